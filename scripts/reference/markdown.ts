import type { Entry, Page } from "./collect.ts";
import type { DocComment } from "./doc-comment.ts";

const HEADER = "<!-- Written by `npm run docs` from the doc comments in the source. -->\n";

/** Text of a doc comment as Markdown: blocks of lines that are indented become code. */
function prose(text: string): string {
  return text
    .split(/\n\n+/)
    .map((block) => {
      const lines = block.split("\n");
      return lines.every((line) => line.startsWith("  "))
        ? ["```text", ...lines.map((line) => line.slice(2)), "```"].join("\n")
        : block;
    })
    .join("\n\n")
    .replaceAll("```\n\n```text\n", "\n");
}

function table(params: DocComment["params"]): string {
  const rows = params.map(({ name, text }) => `| \`${name}\` | ${text.replaceAll("|", "\\|")} |`);
  return ["| argument | |", "| --- | --- |", ...rows].join("\n");
}

function section({ name, signature, doc }: Entry): string {
  return [
    `## ${name}`,
    `\`\`\`typescript\n${signature}\n\`\`\``,
    ...(doc?.description ? [prose(doc.description)] : []),
    ...(doc && doc.params.length > 0 ? [table(doc.params)] : []),
    ...(doc?.returns ? [`**Returns** ${doc.returns}`] : []),
    ...(doc?.throws ?? []).map((text) => `**Throws** ${text}`),
    ...(doc?.source ? [`**Source** ${doc.source}`] : []),
  ].join("\n\n");
}

/** The page of one source file. */
export function pageOf({ source, path, entries }: Page): string {
  const up = "../".repeat(path.split("/").length + 1);
  const title = `# ${source
    .replace(/^packages\//, "")
    .replace("/src/", ": ")
    .replace(/\.ts$/, "")}`;
  return `${[HEADER + title, `[Source](${up}${source}) · [Index](${"../".repeat(path.split("/").length - 1)}README.md)`, ...entries.map(section)].join("\n\n")}\n`;
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
