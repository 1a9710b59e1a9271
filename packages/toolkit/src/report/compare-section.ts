import type { Diagnosis, Finding, Measure } from "@concord/align";
import { element, type TreeNode } from "@concord/plots";
import { badge } from "./findings-section.ts";
import { valueText } from "./format.ts";
import { p, section, table } from "./html.ts";

interface Row {
  readonly name: string;
  readonly before: Measure;
  readonly after: Measure;
}

function retrievalRows(before: Diagnosis, after: Diagnosis): Row[] {
  return before.retrieval.flatMap((direction, place) => {
    const other = after.retrieval[place];
    if (!other) return [];
    return direction.recall.flatMap(({ k, estimate }, i) => {
      const later = other.recall[i]?.estimate;
      if (!later) return [];
      const name = `${direction.from} → ${direction.to}: partner among the first ${k}`;
      return [
        {
          name,
          before: { name, format: "share" as const, ...estimate },
          after: { name, format: "share" as const, ...later },
        },
      ];
    });
  });
}

function matchOf(finding: Finding, others: readonly Finding[]): Finding | undefined {
  return others.find(({ id, scope }) => id === finding.id && scope === finding.scope);
}

/** A number above its grade: three narrow columns fit on a phone, where the last one matters most. */
function graded(measure: Measure, finding: Finding): TreeNode {
  return element("span", { class: "graded" }, valueText(measure), badge(finding.severity));
}

/** Numbers of two diagnoses of the same rows beside each other. */
export function compareSection(
  before: Diagnosis,
  after: Diagnosis,
  labels: { readonly before: string; readonly after: string },
): TreeNode {
  const heads = [
    { text: labels.before, number: true },
    { text: labels.after, number: true },
  ];
  const retrieval = retrievalRows(before, after);
  return section(
    "changes",
    "What changed",
    p("Both columns are of the same rows. Intervals stand with the findings below."),
    ...(retrieval.length > 0
      ? [
          table(
            "Retrieval",
            [{ text: "Of 100 queries" }, ...heads],
            retrieval.map((row) => [
              { text: row.name },
              { text: valueText(row.before), number: true },
              { text: valueText(row.after), number: true },
            ]),
          ),
        ]
      : []),
    table(
      "Findings",
      [{ text: "Finding, and the number that decides" }, { text: labels.before }, { text: labels.after }],
      before.findings.flatMap((finding) => {
        const later = matchOf(finding, after.findings);
        const [first, second] = [finding.measures[0], later?.measures[0]];
        if (!later || !first || !second) return [];
        return [
          [
            { text: `${nameOf(finding, before)}: ${first.name}` },
            graded(first, finding),
            graded(second, later),
          ],
        ];
      }),
    ),
  );
}

function nameOf({ scope, term }: Finding, { sets }: Diagnosis): string {
  return scope === "both" ? term : `${term} (${(scope === "b" ? sets[1] : sets[0])?.name ?? ""})`;
}
