import type { Diagnosis, Finding, RetrievalDirection } from "./finding.ts";
import { count, ofHundred } from "./text.ts";

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join("; ")}; and ${parts.at(-1)}`;
}

function retrievalText([direction]: readonly RetrievalDirection[]): string {
  if (!direction) return "";
  const first = direction.recall[0]!.estimate.value;
  return ` Of 100 rows of ${direction.from}, ${ofHundred(first).replace(" of 100", "")} find their own partner first among ${count(direction.gallery)} of ${direction.to}.`;
}

/** The verdict in plain words: what is serious, else what is mild, and how retrieval does. */
export function headlineOf(
  findings: readonly Finding[],
  retrieval: readonly RetrievalDirection[],
): Diagnosis["headline"] {
  const titles = (severity: Finding["severity"]): string[] => {
    const found = findings.filter((finding) => finding.severity === severity);
    return found
      .filter(({ id }, place) => found.findIndex((other) => other.id === id) === place)
      .map(({ id, title }) => {
        const other = found.filter((finding) => finding.id === id)[1];
        return other ? `${title} (and likewise in the other set)` : title;
      });
  };
  const serious = titles("serious");
  const mild = titles("mild");
  const tail = retrievalText(retrieval);
  if (serious.length > 0) {
    const shown = serious.slice(0, 3);
    const more = serious.length > shown.length ? `, and ${serious.length - shown.length} more` : "";
    return `${serious.length === 1 ? "One serious problem" : `${serious.length} serious problems`}: ${listed(shown)}${more}.${tail}`;
  }
  if (mild.length > 0)
    return `Nothing serious. Worth a look: ${listed(mild.slice(0, 3))}${mild.length > 3 ? `, and ${mild.length - 3} more` : ""}.${tail}`;
  return `Healthy: none of the usual problems was found.${tail}`;
}
