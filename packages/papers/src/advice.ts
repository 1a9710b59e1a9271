import type { FindingId } from "@concord/align/findings";
import type { PaperCard } from "./card.ts";
import { hasExperiment, loadCatalogue } from "./catalogue.ts";

/** What `advise` needs of a finding of a diagnosis. */
export interface AdvisedFinding {
  readonly id: FindingId;
  readonly severity: "none" | "mild" | "serious";
}

/** A paper whose method works against what was found. */
export interface Advice {
  readonly slug: string;
  readonly title: string;
  readonly arxivId: string;
  /** Whether its claims can be run here. */
  readonly runnable: boolean;
  /** What of the findings it addresses, the worst first, and why. */
  readonly addresses: readonly {
    readonly finding: FindingId;
    readonly severity: "mild" | "serious";
    readonly because: string;
  }[];
  /** The modalities that were named and that the paper aligns; empty when none were named. */
  readonly sharedModalities: readonly string[];
  /** The sum that orders the list; see `advise`. */
  readonly score: number;
}

export interface AdviseOptions {
  /** What the two sets are, e.g. ["image", "text"]: papers made for these come first. */
  readonly modalities?: readonly string[];
  /** Default: the whole catalogue. */
  readonly cards?: readonly PaperCard[];
}

/** A serious finding counts as much as four mild ones: a paper is read for what hurts. */
const WEIGHT = { serious: 1, mild: 0.25, none: 0 } as const;
/** A method made for other kinds of data can be carried over, at a cost. */
const OTHER_MODALITIES = 0.5;

/**
 * Papers of the catalogue that address what was found, the most exact one first.
 *
 *   score = fit · Σ over findings  weight(severity) / place
 *
 * `place` is the finding's place in the card's list, whose first entry is what the paper is made for: a paper for
 * exactly this finding comes before one that touches it. `fit` goes from 0.5, for other kinds of data, to 1, for
 * exactly the named modalities: 0.5 + 0.5 |named ∩ card's| / |named ∪ card's|. Equal scores: papers that run here first, then newer ones.
 *
 * @param findings  of a diagnosis; those of severity "none" do not count, and of two with one id the worse does
 */
export async function advise(
  findings: readonly AdvisedFinding[],
  { modalities = [], cards }: AdviseOptions = {},
): Promise<readonly Advice[]> {
  const worst = new Map<FindingId, "mild" | "serious">();
  for (const { id, severity } of findings) {
    if (severity === "none" || worst.get(id) === "serious") continue;
    worst.set(id, severity);
  }
  if (worst.size === 0) return [];
  const candidates = await Promise.all(
    (cards ?? (await loadCatalogue())).map(async (card) => {
      const matched = card.addresses.flatMap(({ finding, because }, place) => {
        const severity = worst.get(finding);
        return severity ? [{ finding, because, severity, place }] : [];
      });
      const sharedModalities = modalities.filter((modality) => card.modalities.includes(modality));
      const all = new Set([...modalities, ...card.modalities]).size;
      const fit =
        modalities.length === 0
          ? 1
          : OTHER_MODALITIES + ((1 - OTHER_MODALITIES) * sharedModalities.length) / all;
      const sum = matched.reduce((total, { severity, place }) => total + WEIGHT[severity] / (place + 1), 0);
      const advice: Advice = {
        slug: card.slug,
        title: card.title,
        arxivId: card.arxivId,
        runnable: matched.length > 0 && (await hasExperiment(card.slug)),
        addresses: matched
          .sort((x, y) => WEIGHT[y.severity] - WEIGHT[x.severity] || x.place - y.place)
          .map(({ finding, because, severity }) => ({ finding, severity, because })),
        sharedModalities,
        score: fit * sum,
      };
      return { advice, published: card.published };
    }),
  );
  return candidates
    .filter(({ advice }) => advice.addresses.length > 0)
    .sort(
      (x, y) =>
        y.advice.score - x.advice.score ||
        Number(y.advice.runnable) - Number(x.advice.runnable) ||
        y.published.localeCompare(x.published) ||
        x.advice.slug.localeCompare(y.advice.slug),
    )
    .map(({ advice }) => advice);
}
