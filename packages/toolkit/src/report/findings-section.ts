import type { Diagnosis, Finding, Severity } from "@concord/align";
import type { Advice } from "@concord/papers";
import { element, type TreeNode } from "@concord/plots";
import { intervalText, valueText } from "./format.ts";
import { p, section, table } from "./html.ts";

/** More papers than these are named in one line. */
const SHOWN_PAPERS = 6;

const SEVERITY_WORDS: Readonly<Record<Severity, string>> = {
  serious: "serious",
  mild: "worth a look",
  none: "fine",
};

export function badge(severity: Severity): TreeNode {
  return element("span", { class: `badge ${severity}` }, SEVERITY_WORDS[severity]);
}

function measuresOf(finding: Finding): TreeNode {
  return table(
    `Numbers for: ${finding.title}`,
    [{ text: "Measure" }, { text: "Value", number: true }, { text: "95 % interval", number: true }],
    finding.measures.map((measure) => [
      { text: measure.name },
      { text: valueText(measure), number: true },
      { text: intervalText(measure) || "exact", number: true },
    ]),
  );
}

/** One kind of finding: of both sets together, or of each set, which share what it means and what to do. */
function findingCard(findings: readonly [Finding, ...Finding[]]): TreeNode {
  const [worst] = findings;
  const rows: [string, string | null][] = [
    ["What it costs", worst.cost],
    ["What to do", worst.remedy],
    ["What is normal", worst.normal],
    ["Measured on", [...new Set(findings.map(({ basis }) => basis))].join("; ")],
  ];
  return element(
    "article",
    { class: `finding ${worst.severity}` },
    ...findings.flatMap(({ title, severity, sentence }) => [
      element("div", { class: "finding-head" }, element("h3", {}, title), badge(severity)),
      p(sentence),
    ]),
    p(`${worst.explanation} The term for it: ${worst.term}.`, "meaning"),
    element(
      "dl",
      {},
      ...rows.flatMap(([term, text]) =>
        text === null ? [] : [element("dt", {}, term), element("dd", {}, text)],
      ),
    ),
    ...findings.map(measuresOf),
  );
}

/** Findings of one id together, in the order of the first of each. */
function byId(findings: readonly Finding[]): (readonly [Finding, ...Finding[]])[] {
  const groups = new Map<string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const group = groups.get(finding.id);
    if (group) group.push(finding);
    else groups.set(finding.id, [finding]);
  }
  return [...groups.values()];
}

/** What was found, in full. */
export function foundSection({ findings }: Diagnosis): readonly TreeNode[] {
  const found = findings.filter(({ severity }) => severity !== "none");
  return found.length > 0 ? [section("found", "What was found", ...byId(found).map(findingCard))] : [];
}

/** What was checked without a finding, in a table. */
export function fineSection({ findings }: Diagnosis): readonly TreeNode[] {
  const fine = findings.filter(({ severity }) => severity === "none");
  const several = fine.length < findings.length;
  return fine.length > 0
    ? [
        section(
          "fine",
          several ? "What else was checked, and is fine" : "What was checked, and is fine",
          table(
            "Checks without a finding",
            [
              { text: "In plain words" },
              { text: "The term" },
              { text: "Measure" },
              { text: "Value", number: true },
              { text: "95 % interval", number: true },
            ],
            fine.flatMap(({ title, term, measures: [first] }) =>
              first
                ? [
                    [
                      { text: title },
                      { text: term },
                      { text: first.name },
                      { text: valueText(first), number: true },
                      { text: intervalText(first) || "exact", number: true },
                    ],
                  ]
                : [],
            ),
          ),
        ),
      ]
    : [];
}

/** What closed forms would change, as measured. */
export function remediesSection({ remedies }: Diagnosis): readonly TreeNode[] {
  const [first] = remedies;
  if (!first) return [];
  const what =
    first.metric === "recall@1"
      ? "find their own partner first"
      : "get their own label from their nearest neighbours";
  const share = (estimate: { value: number; low: number; high: number }) => ({
    ...estimate,
    format: "share" as const,
  });
  return [
    section(
      "remedies",
      "What simple changes would do",
      p(
        `Each was fitted on one half of the ${first.metric === "recall@1" ? "pairs" : "rows"} and measured on the other half: how many of 100 rows ${what}. None of them trains an encoder.`,
      ),
      table(
        "Measured changes",
        [
          { text: "Change" },
          { text: "Before", number: true },
          { text: "After", number: true },
          { text: "Difference", number: true },
          { text: "95 % interval", number: true },
        ],
        remedies.map(({ label, before, after, change }) => [
          { text: label },
          { text: valueText(share(before)), number: true },
          { text: valueText(share(after)), number: true },
          { text: `${change.value > 0 ? "+" : ""}${valueText(share(change))}`, number: true },
          { text: intervalText(share(change)) || "exact", number: true },
        ]),
      ),
    ),
  ];
}

/** Papers that address what was found, the most exact one first. */
export function adviceSection(advice: readonly Advice[]): readonly TreeNode[] {
  if (advice.length === 0) return [];
  const more = advice.slice(SHOWN_PAPERS);
  return [
    section(
      "papers",
      "Papers that address exactly this",
      p(
        "In order: first those made for the most serious finding, and for your kind of data where it was named.",
      ),
      element(
        "ol",
        { class: "papers" },
        ...advice
          .slice(0, SHOWN_PAPERS)
          .map(({ title, arxivId, slug, runnable, addresses }) =>
            element(
              "li",
              {},
              element("h3", {}, element("a", { href: `https://arxiv.org/abs/${arxivId}` }, title)),
              p(
                runnable
                  ? `Runs here: concord run ${slug}`
                  : `In the catalogue as ${slug}; it can be read but not run yet.`,
                "soft",
              ),
              element(
                "ul",
                {},
                ...addresses.map(({ finding, because }) =>
                  element("li", {}, element("strong", {}, `${finding.replaceAll("-", " ")}: `), because),
                ),
              ),
            ),
          ),
      ),
      ...(more.length > 0
        ? [p(`And ${more.length} more: ${more.map(({ slug }) => slug).join(", ")}.`, "soft")]
        : []),
    ),
  ];
}
