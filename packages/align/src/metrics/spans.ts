import { type ClassScores, type PrecisionRecall, scoresOfCounts } from "./precision-recall.ts";

/** Tagging schemes for strict decoding. BILOU writes L for E and U for S. */
export type TagScheme = "IOB2" | "IOBES" | "BILOU";

/** A typed span of tokens, `end` being the first token behind it. */
export interface Span {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

export interface SpanOptions {
  /** Tags must follow this scheme, spans that break it do not count. Default: lenient decoding. */
  readonly scheme?: TagScheme;
}

const ALLOWED: { readonly [S in TagScheme]: string } = { IOB2: "BIO", IOBES: "BIOES", BILOU: "BIOLU" };

/** Prefix (with L and U as E and S) and type of a tag. */
function parseTag(
  tag: string,
  at: number,
  scheme: TagScheme | undefined,
): readonly [prefix: string, type: string] {
  const prefix = tag.charAt(0);
  const allowed = scheme ? ALLOWED[scheme] : "BIOESLU";
  const rest = tag.slice(1);
  const shaped = prefix === "O" ? rest === "" : rest === "" || (rest.startsWith("-") && rest.length > 1);
  if (prefix === "" || !allowed.includes(prefix) || !shaped) {
    throw new RangeError(
      `decodeSpans: tags${scheme ? ` of ${scheme}` : ""} are O or one of ${allowed.replace("O", "")} with a type, like B-PER; got "${tag}" at token ${at}`,
    );
  }
  return [prefix === "L" ? "E" : prefix === "U" ? "S" : prefix, rest.slice(1)];
}

/**
 * Spans that the tags of one sentence mark.
 *
 * Lenient (no scheme; conlleval's rules): a tag I or E continues a span of its type that B or I left open; otherwise any
 * tag but O begins a span, so a stray I begins one, and a span ends before the first tag that does not continue it.
 *
 * Strict: only what the scheme allows counts. IOB2: a span is B and the I of its type behind it; other I are dropped.
 * IOBES and BILOU: a span is S, or B, I…, E of one type; unfinished ones are dropped.
 *
 * Tags are the prefix, "-" and the type (B-PER), or the prefix alone (type "").
 *
 * @throws RangeError on a tag that is none of these or whose prefix is not of the scheme
 * @source lenient: Tjong Kim Sang, Buchholz 2000 (conlleval); strict: as seqeval's strict mode
 */
export function decodeSpans(tags: readonly string[], { scheme }: SpanOptions = {}): Span[] {
  const spans: Span[] = [];
  const bounded = scheme === "IOBES" || scheme === "BILOU";
  let open: { readonly type: string; readonly start: number } | undefined;
  let previous = "O";
  const close = (end: number): void => {
    if (open && (!bounded || previous === "E" || previous === "S")) spans.push({ ...open, end });
    open = undefined;
  };
  for (const [i, tag] of tags.entries()) {
    const [prefix, type] = parseTag(tag, i, scheme);
    const continues =
      (prefix === "I" || prefix === "E") && open?.type === type && (previous === "B" || previous === "I");
    if (!continues) {
      close(i);
      const begins = scheme ? prefix === "B" || prefix === "S" : prefix !== "O";
      if (begins) open = { type, start: i };
    }
    previous = prefix;
  }
  close(tags.length);
  return spans;
}

export interface SpanScores {
  readonly perType: readonly ClassScores[];
  /** All spans together: the usual span F1. */
  readonly micro: PrecisionRecall;
  /** Mean over the types that occur in truth or prediction. */
  readonly macro: PrecisionRecall;
  /** Mean over types, weighted by true spans. */
  readonly weighted: PrecisionRecall;
}

/**
 * Precision, recall and F1 of tagged spans: a span is right when start, end and type all are. In [0, 1]; a ratio with
 * denominator 0 is 0, so a set without spans on either side scores 0.
 *
 * @param truth        tags of each sentence
 * @param predictions  tags of the same sentences, as many for each
 * @throws RangeError when numbers of sentences or of tags differ, there is no sentence, or a tag is malformed
 * @source definitions as in seqeval
 */
export function spanScores(
  truth: readonly (readonly string[])[],
  predictions: readonly (readonly string[])[],
  options: SpanOptions = {},
): SpanScores {
  if (truth.length !== predictions.length || truth.length === 0) {
    throw new RangeError(
      `spanScores: needs truth and predictions of the same sentences, at least one, got ${truth.length} and ${predictions.length}`,
    );
  }
  const counts = new Map<string, { right: number; predicted: number; actual: number }>();
  const cell = (type: string): { right: number; predicted: number; actual: number } => {
    const known = counts.get(type);
    if (known) return known;
    const fresh = { right: 0, predicted: 0, actual: 0 };
    counts.set(type, fresh);
    return fresh;
  };
  for (const [s, tags] of truth.entries()) {
    const guesses = predictions[s] as readonly string[];
    if (tags.length !== guesses.length) {
      throw new RangeError(
        `spanScores: sentence ${s} has ${tags.length} tags in truth and ${guesses.length} in predictions`,
      );
    }
    const keyOf = ({ type, start, end }: Span): string => `${start} ${end} ${type}`;
    const actual = decodeSpans(tags, options);
    const known = new Set(actual.map(keyOf));
    for (const span of actual) cell(span.type).actual++;
    for (const span of decodeSpans(guesses, options)) {
      cell(span.type).predicted++;
      if (known.has(keyOf(span))) cell(span.type).right++;
    }
  }
  const types = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const perType = types.map(
    ([name, { right, predicted, actual }]): ClassScores => ({
      name,
      support: actual,
      ...scoresOfCounts(right, predicted, actual),
    }),
  );
  const sum = (key: "right" | "predicted" | "actual"): number =>
    types.reduce((total, [, count]) => total + count[key], 0);
  const meanOf = (weightOf: (scores: ClassScores) => number): PrecisionRecall => {
    const total = perType.reduce((all, scores) => all + weightOf(scores), 0);
    const over = (key: keyof PrecisionRecall): number =>
      total > 0 ? perType.reduce((all, scores) => all + scores[key] * weightOf(scores), 0) / total : 0;
    return { precision: over("precision"), recall: over("recall"), f1: over("f1") };
  };
  return {
    perType,
    micro: scoresOfCounts(sum("right"), sum("predicted"), sum("actual")),
    macro: meanOf(() => 1),
    weighted: meanOf(({ support }) => support),
  };
}
