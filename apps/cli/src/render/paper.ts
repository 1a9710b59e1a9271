import {
  arxivAbsUrl,
  arxivPdfUrl,
  type Experiment,
  type PaperCard,
  type PublishedTable,
} from "@concord/papers";
import type { RenderOptions } from "./results.ts";
import { COLUMN_GAP, renderSplitTable, renderTable } from "./table.ts";
import { paragraph, printable, wrapLines } from "./text.ts";
import { marginText } from "./verdicts.ts";

const LABEL_WIDTH = 34;
const VALUE_WIDTH = 16;
const INDENT = "  ";
const LINK_INDENT = `${INDENT}       `;

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, INDENT);
}

function authorsText({ authors, authorCount }: PaperCard): string {
  if (authors.length === 0) return `${authorCount} authors`;
  const more = authorCount - authors.length;
  return more > 0 ? `${authors.join(", ")} and ${more} more` : authors.join(", ");
}

function renderPublished(table: PublishedTable, { columns, colours }: RenderOptions): string {
  const mark = table.confirmed ? "" : " (not confirmed in the paper itself)";
  const wrapped = (text: string, width: number) => wrapLines(printable(text), width).join("\n");
  const grid = renderSplitTable(
    { head: "", cells: table.rows.map(({ label }) => ({ text: wrapped(label, LABEL_WIDTH) })) },
    table.columns.map((head, column) => ({
      head: wrapped(head, VALUE_WIDTH),
      cells: table.rows.map(({ values }) => ({ text: wrapped(String(values[column] ?? "-"), VALUE_WIDTH) })),
    })),
    { columns: columns - INDENT.length, colours },
  );
  const source = paragraph(`Source: ${table.source}${mark}`, columns, INDENT);
  return `${paragraph(table.caption, columns)}\n${indented(grid)}\n${table.confirmed ? colours.dim(source) : colours.yellow(source)}`;
}

function renderArms({ arms }: Experiment, { columns, colours }: RenderOptions): string {
  const widest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const taken = widest(arms.map(({ id }) => id)) + "reference".length + 2 * COLUMN_GAP + INDENT.length;
  return indented(
    renderTable(
      [{ head: "Arm" }, { head: "Role" }, { head: "What it is", width: columns - taken }],
      arms.map(({ id, role, label, description }) => [
        { text: id, style: role === "method" ? colours.bold : colours.cyan },
        role,
        `${label}: ${description}`,
      ]),
      colours,
    ),
  );
}

function renderClaims({ claims, metrics, arms }: Experiment, { columns, colours }: RenderOptions): string {
  const labelOf = (id: string) => arms.find((arm) => arm.id === id)?.label ?? id;
  return claims
    .map((claim) => {
      const metric = metrics.find(({ id }) => id === claim.metric);
      const test = `${metric?.label ?? claim.metric} of ${labelOf(claim.arm)} against ${labelOf(claim.against)}: ${claim.change} change, ${claim.direction}, margin ${marginText(claim, metric)}. Source: ${claim.source}.`;
      const statement = paragraph(claim.statement, columns, INDENT);
      return `${statement}\n${colours.dim(paragraph(test, columns, `${INDENT}${INDENT}`))}`;
    })
    .join("\n");
}

function renderPresets({ presets }: Experiment, { columns, colours }: RenderOptions): string {
  return indented(
    renderTable(
      [{ head: "Preset" }, { head: "What it costs", width: columns - 12 }],
      Object.entries(presets).map(([name, { description }]) => [
        { text: name, style: colours.cyan },
        description,
      ]),
      colours,
    ),
  );
}

/** A paper's card for the terminal, with the claims, arms and presets of its experiment where there is one. */
export function renderPaper(
  card: PaperCard,
  experiment: Experiment | null,
  options: RenderOptions & { readonly command: string },
): string {
  const { columns, colours, command } = options;
  const head = (text: string) => colours.bold(text);
  const origin = [authorsText(card), card.published, card.venue].filter(Boolean).join(" · ");
  const links = [`Paper  ${arxivAbsUrl(card)}`, `PDF    ${arxivPdfUrl(card)}`];
  if (card.code) {
    links.push(`Code   ${card.code.url}`);
    links.push(
      ...wrapLines(card.code.licence, columns - LINK_INDENT.length).map(
        (line) => `${LINK_INDENT.slice(INDENT.length)}${line}`,
      ),
    );
  }
  const parts = [
    `${head(paragraph(card.title, columns))}\n${colours.dim(paragraph(origin, columns))}`,
    paragraph(card.summary, columns),
    `${head("Use it for")}\n${paragraph(card.useFor, columns, INDENT)}`,
    `${head("Links")}\n${links.map((link) => `${INDENT}${link}`).join("\n")}`,
    `${head("Topics")}\n${INDENT}${card.topics.join(", ")}; aligns ${card.modalities.join(", ")}`,
  ];
  if (experiment) {
    parts.push(
      `${head("Claims that a run tests")}\n${renderClaims(experiment, options)}`,
      `${head("Arms")}\n${renderArms(experiment, options)}`,
      `${head("Presets")}\n${renderPresets(experiment, options)}`,
    );
  }
  if (card.publishedResults.length > 0) {
    const tables = card.publishedResults.map((table) => renderPublished(table, options));
    parts.push(`${head("Published results")}\n${tables.join("\n\n")}`);
  }
  parts.push(
    experiment
      ? `Run it: ${command} run ${card.slug} --preset smoke`
      : "This paper has no experiment yet: it can be read but not run.",
  );
  return parts.join("\n\n");
}
