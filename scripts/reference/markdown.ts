import type { Entry, Page } from "./collect.ts";
import type { DocComment } from "./doc-comment.ts";

const HEADER = "<!-- Written by `npm run docs` from the doc comments in the source. -->\n";

/** Text of a doc comment as Markdown: blocks of lines that are indented become code. */
function prose(text: string, link: Link): string {
  return text
    .split(/\n\n+/)
    .map((block) => {
      const lines = block.split("\n");
      return lines.every((line) => line.startsWith("  "))
        ? ["```text", ...lines.map((line) => line.slice(2)), "```"].join("\n")
        : link(block);
    })
    .join("\n\n")
    .replaceAll("```\n\n```text\n", "\n");
}

type Link = (text: string) => string;

/** Makes links of the names of entries in backticks, as seen from a page. */
function linksOf(page: Page, pages: readonly Page[]): Link {
  const paths = new Map<string, string>();
  const own = (other: Page): number => Number(other.package === page.package);
  for (const other of [...pages].sort((a, b) => own(a) - own(b)))
    for (const { name } of other.entries) paths.set(name, other.path);
  const up = "../".repeat(page.path.split("/").length - 1);
  return (text) =>
    text.replace(/`(\w+)`/g, (whole, name) => {
      const path = paths.get(name);
      if (path === undefined) return whole;
      return `[${whole}](${path === page.path ? "" : up + path}#${anchor(name)})`;
    });
}

function table(params: DocComment["params"], link: Link): string {
  const rows = params.map(({ name, text }) => `| \`${name}\` | ${link(text).replaceAll("|", "\\|")} |`);
  return ["| argument | |", "| --- | --- |", ...rows].join("\n");
}

function section({ name, signature, doc }: Entry, link: Link): string {
  return [
    `## ${name}`,
    `\`\`\`typescript\n${signature}\n\`\`\``,
    ...(doc?.description ? [prose(doc.description, link)] : []),
    ...(doc && doc.params.length > 0 ? [table(doc.params, link)] : []),
    ...(doc?.returns ? [`**Returns** ${link(doc.returns)}`] : []),
    ...(doc?.throws ?? []).map((text) => `**Throws** ${link(text)}`),
    ...(doc?.source ? [`**Source** ${doc.source}`] : []),
  ].join("\n\n");
}

/** The page of one source file. */
export function pageOf(page: Page, pages: readonly Page[]): string {
  const { source, path, entries } = page;
  const up = "../".repeat(path.split("/").length - 1);
  const link = linksOf(page, pages);
  const title = `# ${source
    .replace(/^packages\//, "")
    .replace("/src/", ": ")
    .replace(/\.ts$/, "")}`;
  const places = `[Source](${up}../../${source}) · [Index](${up}README.md)`;
  return `${[HEADER + title, places, ...entries.map((entry) => section(entry, link))].join("\n\n")}\n`;
}

/** First sentence of a description, on one line. */
function summary(doc: DocComment | undefined): string {
  const [block = ""] = (doc?.description ?? "").split(/\n\n/);
  const line = block.replace(/\s+/g, " ").trim();
  const sentence = /^.*?[.;:](?=\s+[A-Z`]|$)/.exec(line)?.[0] ?? line;
  return sentence.replace(/[.;:]$/, "").replaceAll("|", "\\|");
}

function anchor(name: string): string {
  return name.toLowerCase();
}

/** The index: every entry of every page with the first sentence of its description. */
export function indexOf(pages: readonly Page[]): string {
  const packages = [...new Set(pages.map((page) => page.package))];
  const parts = packages.flatMap((name) => [
    `## @concord/${name}`,
    ...pages
      .filter((page) => page.package === name)
      .map(({ source, path, entries }) => {
        const file = source.replace(/^packages\/[^/]+\/src\//, "");
        const rows = entries.map(
          (entry) => `| [\`${entry.name}\`](${path}#${anchor(entry.name)}) | ${summary(entry.doc)} |`,
        );
        return `### ${file}\n\n| | |\n| --- | --- |\n${rows.join("\n")}`;
      }),
  ]);
  return `${[`${HEADER}# Reference`, "Everything that the packages of the engine export, by source file.", ...parts].join("\n\n")}\n`;
}
