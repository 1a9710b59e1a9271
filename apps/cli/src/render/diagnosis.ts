import {
  type DiagnoseResult,
  measureIntervalText as intervalText,
  measureText as valueText,
} from "@concord/toolkit";
import type { Colours } from "../context.ts";
import { renderTable } from "./table.ts";
import { countText, paragraph, printable } from "./text.ts";

type Diagnosis = DiagnoseResult["diagnosis"];
type Finding = Diagnosis["findings"][number];

interface Style {
  readonly columns: number;
  readonly colours: Colours;
  readonly command: string;
}

const INDENT = "  ";
/** Longer lines of prose are hard to read. */
const PROSE = 96;
const MAX_PAPERS = 5;

function prose(text: string, { columns }: Style, indent = INDENT): string {
  return paragraph(printable(text), Math.min(columns, PROSE), indent);
}

function renderSets({ sets, pairs }: Diagnosis, style: Style): string {
  const lines = sets.map(({ name, rows, width, sampled, skipped }) => {
    const left = skipped.broken + skipped.zero;
    const parts = [`${countText(rows, "row")} of width ${width}`];
    if (sampled < rows)
      parts.push(`${countText(sampled, "of them", "of them")} kept for comparing rows with rows`);
    if (left > 0)
      parts.push(`${countText(left, "row")} left out (${skipped.broken} broken, ${skipped.zero} all zero)`);
    return `${INDENT}${printable(name)}: ${parts.join("; ")}`;
  });
  if (pairs) {
    const sample =
      pairs.sampled < pairs.total ? `, ${pairs.sampled.toLocaleString("en-GB")} of them drawn at random` : "";
    lines.push(`${INDENT}${countText(pairs.total, "pair")}${sample}`);
  }
  return lines.map((line) => style.colours.dim(line)).join("\n");
}

function renderFinding(finding: Finding, also: readonly Finding[], style: Style): string {
  const { colours } = style;
  const mark = finding.severity === "serious" ? colours.red("✗") : colours.yellow("!");
  const title = prose(finding.title, style).slice(INDENT.length);
  const head = `${mark} ${colours.bold(title)}\n${colours.dim(prose(`${finding.term}, ${finding.severity}`, style))}`;
  const blocks = [
    prose(finding.sentence, style),
    ...also.map((other) => prose(other.sentence, style)),
    prose(finding.explanation, style),
    colours.dim(numbersOf([finding, ...also], style)),
    ...(finding.cost ? [prose(`Cost: ${finding.cost}`, style)] : []),
    colours.dim(prose(`Normal: ${finding.normal}`, style)),
    prose(`What to do: ${finding.remedy}`, style),
  ];
  return `${head}\n${blocks.join("\n")}`;
}

function numbersOf(findings: readonly Finding[], style: Style): string {
  return findings
    .map(({ measures: [first], basis }) => {
      if (!first) return "";
      const interval = intervalText(first);
      const text = `${first.name}: ${valueText(first)}${interval ? `, 95 % interval ${interval}` : ""}; measured on ${basis}.`;
      return prose(text, style);
    })
    .join("\n");
}

function renderRetrieval({ retrieval }: Diagnosis, { colours }: Style): string {
  const share = (estimate: { value: number; low: number; high: number }): string => {
    const measure = { ...estimate, format: "share" as const };
    const interval = intervalText(measure).replace(" to ", "–").replace(" %", "");
    return interval ? `${valueText(measure)} (${interval})` : valueText(measure);
  };
  return renderTable(
    [
      { head: "From → to" },
      ...["first", "among 5", "among 10", "mean 1/rank", "median"].map((head) => ({
        head,
        align: "right" as const,
      })),
    ],
    retrieval.map(({ from, to, recall, meanReciprocalRank, medianRank }) => [
      `${printable(from)} → ${printable(to)}`,
      ...recall.map(({ estimate }) => share(estimate)),
      valueText({ ...meanReciprocalRank, format: "number" }),
      medianRank.value.toLocaleString("en-GB"),
    ]),
    colours,
  );
}

function renderAdvice({ advice }: DiagnoseResult, style: Style): string {
  const { colours, command } = style;
  const shown = advice.slice(0, MAX_PAPERS);
  const lines = shown.map(({ slug, title, runnable, addresses }, place) => {
    const how = runnable ? `${command} run ${slug}` : `${command} papers ${slug}`;
    const reasons = addresses.map(({ finding, because }) =>
      prose(`${finding.replaceAll("-", " ")}: ${because}`, style, `${INDENT}   `),
    );
    const head = prose(title, style, `${INDENT}   `).slice(INDENT.length + 3);
    return `${INDENT}${place + 1}. ${colours.bold(head)}\n${INDENT}   ${colours.dim(how)}\n${reasons.join("\n")}`;
  });
  if (advice.length > shown.length)
    lines.push(`${INDENT}${colours.dim(`and ${advice.length - shown.length} more with --json or --html`)}`);
  return lines.join("\n");
}

/** The report for a terminal: verdict, findings in plain words with their numbers, retrieval, papers. */
export function renderDiagnosis(result: DiagnoseResult, style: Style): string {
  const { diagnosis } = result;
  const { colours } = style;
  const { findings, retrieval } = diagnosis;
  const found = findings.filter(({ severity }) => severity !== "none");
  const fine = findings.filter(({ severity }) => severity === "none");
  const parts = [`${colours.bold(prose(diagnosis.headline, style, ""))}\n${renderSets(diagnosis, style)}`];
  // The same finding of both sets is told once, with the numbers of both.
  const groups = found.filter(({ id }, place) => found.findIndex((other) => other.id === id) === place);
  for (const finding of groups) {
    const also = found.filter((other) => other.id === finding.id && other !== finding);
    parts.push(renderFinding(finding, also, style));
  }
  if (retrieval.length > 0) {
    const [first] = retrieval;
    parts.push(
      `${colours.bold("Who finds its partner")} ${colours.dim(`(${countText(first!.queries, "query", "queries")} among ${first!.gallery.toLocaleString("en-GB")}, with 95 % intervals)`)}\n${renderRetrieval(diagnosis, style)}`,
    );
  }
  if (fine.length > 0) {
    const terms = [...new Set(fine.map(({ term }) => term))].filter(
      (term) => !found.some((finding) => finding.term === term),
    );
    if (terms.length > 0)
      parts.push(
        `${colours.green("✓")} Checked, and fine:\n${colours.dim(prose(`${terms.join(", ")}.`, style))}`,
      );
  }
  if (result.advice.length > 0) {
    parts.push(`${colours.bold("Papers that address what was found")}\n${renderAdvice(result, style)}`);
  }
  return parts.join("\n\n");
}
