import type { Diagnosis, Finding, RemedyResult, RetrievalDirection } from "./finding.ts";
import { count, ofHundred, percent } from "./text.ts";

export interface HeadlineParts {
  readonly findings: readonly Finding[];
  readonly retrieval: readonly RetrievalDirection[];
  readonly remedies: readonly RemedyResult[];
  /** What the sets are called: a title that begins with one keeps its first letter. */
  readonly names: readonly string[];
}

const SHOWN = 3;

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join("; ")}; and ${parts.at(-1)}`;
}

function inSentence(title: string, names: readonly string[]): string {
  return names.some((name) => title.startsWith(name))
    ? title
    : `${title.charAt(0).toLowerCase()}${title.slice(1)}`;
}

/** One title a kind of finding. */
function titlesOf({ findings, names }: HeadlineParts, severity: Finding["severity"]): string[] {
  const found = findings.filter((finding) => finding.severity === severity);
  return found
    .filter(({ id }, place) => found.findIndex((other) => other.id === id) === place)
    .map(({ id, title }) => {
      const both = found.filter((finding) => finding.id === id).length > 1;
      return `${inSentence(title, names)}${both ? " (the other set likewise)" : ""}`;
    });
}

function retrievalText([direction]: readonly RetrievalDirection[]): string {
  if (!direction) return "";
  const first = direction.recall[0]?.estimate.value ?? 0;
  return ` Of 100 rows of ${direction.from}, ${ofHundred(first).replace(" of 100", "")} find their own partner first among ${count(direction.gallery)} of ${direction.to}.`;
}

/** The closed form that helps most, when it helps beyond doubt and by what is worth a change. */
function remedyText(remedies: readonly RemedyResult[]): string {
  const helping = remedies.filter(({ change }) => change.low > 0 && change.value >= 0.01);
  // Of two that help alike the simpler one, which stands first.
  const best = helping.reduce<RemedyResult | null>(
    (top, one) => (top === null || one.change.value > top.change.value + 0.01 ? one : top),
    null,
  );
  if (!best) return "";
  const what =
    best.metric === "recall@1" ? "how many find their partner first" : "how many get their own label";
  const half = best.metric === "recall@1" ? "pairs" : "rows";
  return ` A simple change helps: ${best.label}. On ${half} that it was not fitted on${best.metric === "recall@1" ? ` (${count(best.gallery)} candidates)` : ""} it raises ${what} from ${percent(best.before.value)} to ${percent(best.after.value)}.`;
}

/** The verdict in plain words: what is serious, else what is mild; how retrieval does; what simple change helps. */
export function headlineOf(parts: HeadlineParts): Diagnosis["headline"] {
  const serious = titlesOf(parts, "serious");
  const mild = titlesOf(parts, "mild");
  const tail = `${retrievalText(parts.retrieval)}${remedyText(parts.remedies)}`;
  const shown = (titles: readonly string[]): string => {
    const more = titles.length - SHOWN;
    return `${listed(more > 0 ? [...titles.slice(0, SHOWN), `${more} more`] : titles)}.${tail}`;
  };
  if (serious.length > 0)
    return `${serious.length === 1 ? "One serious problem" : `${serious.length} serious problems`}: ${shown(serious)}`;
  if (mild.length > 0) return `Nothing serious. Worth a look: ${shown(mild)}`;
  return `Healthy: none of the usual problems was found.${tail}`;
}
