import { plainTex, type StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { dayText } from "../text.ts";

const LINE = 34;
const LINES = 5;

/** Words in lines of at most `width` characters; what does not fit into `lines` ends with an ellipsis. */
function wrapped(text: string, width: number, lines: number): readonly string[] {
  const result: string[] = [];
  for (const word of text.split(" ")) {
    const last = result.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      result[result.length - 1] = `${last} ${word}`;
    else if (result.length === lines) return [...result.slice(0, -1), `${result.at(-1)}…`];
    else result.push(word.length > width ? `${word.slice(0, width - 1)}…` : word);
  }
  return result;
}

/** The paper as a picture of 1200 × 630 for places that show one: title, first author, day. */
export function paperCardSvg(paper: StoredPaper): Html {
  const title = wrapped(plainTex(paper.title), LINE, LINES);
  const [first] = paper.authors;
  const others = (paper.authorCount ?? paper.authors.length) - 1;
  const by = first ? `${plainTex(first.name)}${others > 0 ? ` and ${others} more` : ""}` : "";
  const foot = [by, paper.day ? dayText(paper.day) : ""].filter(Boolean).join(" · ");
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 630" width="1200" height="630">
<rect width="1200" height="630" fill="#fbfaf7"/>
<g fill="none" stroke="#0b5f6b" stroke-width="6"><circle cx="110" cy="104" r="28"/><circle cx="150" cy="104" r="28"/></g>
<text x="204" y="118" font-family="Georgia, serif" font-size="40" font-weight="600" fill="#1d2125">Concord</text>
<text x="80" y="236" font-family="Georgia, serif" font-size="58" font-weight="600" fill="#1d2125">${title.map(
    (line, index) => html`<tspan x="80" y="${236 + 70 * index}">${line}</tspan>`,
  )}</text>
<text x="80" y="582" font-family="Helvetica, Arial, sans-serif" font-size="30" fill="#535a61">${foot}</text>
</svg>`;
}

/** The paper as Markdown: for notes, and for programs that read pages. */
export function paperMarkdown(paper: StoredPaper, address: string): string {
  const { authors, authorCount, day, categories, links } = paper;
  const names = authors.map(({ name }) => plainTex(name));
  const missing = (authorCount ?? names.length) - names.length;
  const plain = (text: string) => plainTex(text).replace(/([\\`*_[\]<>#])/g, "\\$1");
  const entries = [
    names.length > 0 && `- Authors: ${names.join(", ")}${missing > 0 ? ` and ${missing} more` : ""}`,
    day && `- Listed: ${day}`,
    categories.length > 0 && `- Categories: ${categories.join(", ")}`,
    links.abstract && `- arXiv: <${links.abstract}>`,
    links.pdf && `- PDF: <${links.pdf}>`,
    links.code && `- Code: <${links.code}>`,
    links.project && `- Project: <${links.project}>`,
    `- This page: <${address}>`,
  ];
  return `# ${plain(paper.title)}\n\n${entries.filter(Boolean).join("\n")}\n\n${plain(paper.abstract)}\n`;
}
