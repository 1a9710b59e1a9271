import type { Diagnosis, Finding, Measure } from "@concord/align";
import type { TreeNode } from "@concord/plots";
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
      [
        { text: "Finding" },
        { text: "Measure" },
        heads[0]!,
        { text: `grade ${labels.before}` },
        heads[1]!,
        { text: `grade ${labels.after}` },
      ],
      before.findings.flatMap((finding) => {
        const later = matchOf(finding, after.findings);
        const [first, second] = [finding.measures[0], later?.measures[0]];
        if (!later || !first || !second) return [];
        return [
          [
            {
              text:
                finding.scope === "both" ? finding.term : `${finding.term} (${scopeName(finding, before)})`,
            },
            { text: first.name },
            { text: valueText(first), number: true },
            badge(finding.severity),
            { text: valueText(second), number: true },
            badge(later.severity),
          ],
        ];
      }),
    ),
  );
}

function scopeName({ scope }: Finding, { sets }: Diagnosis): string {
  return (scope === "b" ? sets[1] : sets[0])?.name ?? "";
}
