import type { Diagnosis, SetSummary, Severity } from "@concord/align";
import type { Advice } from "@concord/papers";
import { element, markup, type TreeNode } from "@concord/plots";
import { compareSection } from "./compare-section.ts";
import { adviceSection, fineSection, foundSection, remediesSection } from "./findings-section.ts";
import { countText } from "./format.ts";
import { p } from "./html.ts";
import { type Panel, plotsSection } from "./plots-section.ts";
import { REPORT_STYLE } from "./style.ts";

export interface ReportInput {
  readonly title: string;
  /** The diagnosis of the vectors as they came. */
  readonly before: Diagnosis;
  /** The diagnosis of the same held-out rows after an adaptation: numbers and plots then stand side by side. */
  readonly after?: Diagnosis;
  /** What the two are called where they stand side by side; default "before" and "after". */
  readonly labels?: { readonly before: string; readonly after: string };
  readonly advice?: readonly Advice[];
  /** Paragraphs of plain text below the headline, e.g. which recipe was run on what. */
  readonly notes?: readonly string[];
  /** Written at the end, e.g. versions and the command that made the page. */
  readonly footer?: string;
}

function setText({ name, rows, skipped, width, sampled }: SetSummary): string {
  const left = skipped.broken + skipped.zero;
  const skippedText =
    left === 0
      ? ""
      : `; ${countText(skipped.broken)} broken and ${countText(skipped.zero)} all-zero rows left out`;
  const sample = sampled < rows ? `; ${countText(sampled)} of them kept for comparing rows with rows` : "";
  return `${name}: ${countText(rows)} rows of width ${countText(width)}${sample}${skippedText}`;
}

function worstOf({ findings }: Diagnosis): Severity {
  const severities = new Set(findings.map(({ severity }) => severity));
  return severities.has("serious") ? "serious" : severities.has("mild") ? "mild" : "none";
}

function verdict(diagnosis: Diagnosis, lead: string): TreeNode {
  const { sets, pairs } = diagnosis;
  const basis = [
    ...sets.map(setText),
    ...(pairs
      ? [
          pairs.sampled < pairs.total
            ? `${countText(pairs.sampled)} of ${countText(pairs.total)} pairs, drawn at random`
            : `${countText(pairs.total)} pairs`,
        ]
      : []),
  ];
  return element(
    "div",
    { class: `verdict ${worstOf(diagnosis)}` },
    p(`${lead}${diagnosis.headline}`),
    p(`${basis.join(". ")}.`, "soft"),
  );
}

/** Without scripts, and with nothing fetched from anywhere: the page says so to the browser itself. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/**
 * A diagnosis as one HTML file that needs no other: verdict, findings in plain words with numbers and intervals, what
 * simple changes would do, plots, papers. With `after`, numbers and plots of both stand side by side, and the findings
 * are those that remain. All texts are escaped; there is no script; it reads in light and dark and on paper.
 */
export function renderReport(input: ReportInput): string {
  const { title, before, after, advice = [], notes = [], footer } = input;
  const labels = input.labels ?? { before: "before", after: "after" };
  const shown = after ?? before;
  const panels: Panel[] = after
    ? [
        { label: labels.before, diagnosis: before },
        { label: labels.after, diagnosis: after },
      ]
    : [{ label: title, diagnosis: before }];
  const page = element(
    "main",
    {},
    element("header", {}, element("h1", {}, title), ...notes.map((note) => p(note, "soft origin"))),
    verdict(shown, after ? `${labels.after.charAt(0).toUpperCase()}${labels.after.slice(1)}: ` : ""),
    ...(after ? [compareSection(before, after, labels)] : []),
    ...foundSection(shown),
    plotsSection(panels),
    ...remediesSection(shown),
    ...adviceSection(advice),
    ...fineSection(shown),
    element(
      "footer",
      { class: "soft" },
      p(
        'How to read intervals: were the rows drawn anew, 95 of 100 such intervals would hold the true value (bootstrap over rows, pairs or queries). A grade is given only when the whole interval has passed its threshold. "Exact" numbers are counted over all rows.',
      ),
      ...(footer ? [p(footer)] : []),
    ),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="color-scheme" content="light dark">
${markup(element("title", {}, title))}
<style>${REPORT_STYLE}</style>
</head>
<body>
${markup(page)}
</body>
</html>
`;
}
