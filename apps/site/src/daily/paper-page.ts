import { bibtex, type StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { dayElement, topicLinks } from "../pages/parts.ts";
import { countText } from "../text.ts";
import { externalLinks } from "./card.ts";
import { address } from "./query.ts";
import { plainTex, texMarkup } from "./tex.ts";

export interface PaperPageParts {
  readonly paper: StoredPaper;
  readonly venue: string | undefined;
  /** Vote, bookmark, collections. */
  readonly actions: Html;
  /** What the catalogue knows of the paper: summary, claims, arms, published figures; empty for others. */
  readonly catalogue: Html;
  /** Run panel and past runs; empty for papers that are not of the catalogue. */
  readonly runs: Html;
  readonly similar: Html;
  readonly comments: Html;
}

const ALWAYS_SHOWN = 12;

function authors({ authors, authorCount }: StoredPaper): Html {
  const total = authorCount ?? authors.length;
  if (total === 0) return html``;
  if (authors.length === 0) return html`<p class="paper-authors">${countText(total, "author")}</p>`;
  const link = ({ name, affiliation }: (typeof authors)[number]) =>
    html`<a href="${address("/search", { author: name })}" ${affiliation ? html`title="${affiliation}"` : ""}>${plainTex(name)}</a>`;
  const join = (some: typeof authors) => some.map((author, at) => html`${at > 0 ? ", " : ""}${link(author)}`);
  const unknown = total - authors.length;
  const rest = unknown > 0 ? ` and ${countText(unknown, "other")}` : "";
  if (authors.length <= ALWAYS_SHOWN) return html`<p class="paper-authors">${join(authors)}${rest}</p>`;
  return html`<div class="paper-authors">${join(authors.slice(0, ALWAYS_SHOWN))} <details><summary>and ${countText(total - ALWAYS_SHOWN, "other")}</summary><p>${join(authors.slice(ALWAYS_SHOWN))}${rest}</p></details></div>`;
}

function facts({ paper, venue }: PaperPageParts): Html {
  const latest = paper.versions.at(-1)?.date ?? paper.updated;
  const entries: readonly (readonly [string, Html | string | null])[] = [
    [
      "Listed",
      paper.announced && paper.announced !== paper.published
        ? html`<a href="/day/${paper.announced}">${dayElement(paper.announced)}</a>`
        : null,
    ],
    ["Submitted", paper.published && dayElement(paper.published)],
    [
      "Version",
      paper.version && paper.version > 1
        ? html`${paper.version}${latest ? html`, ${dayElement(latest)}` : ""}`
        : null,
    ],
    ["Appeared in", venue ?? paper.journalRef],
    ["Comment", paper.comment && texMarkup(paper.comment)],
    [
      "Categories",
      paper.categories.length > 0
        ? html`${paper.categories.map((category, at) => html`${at > 0 ? ", " : ""}<a href="${address("/", { category })}">${category}</a>`)}`
        : null,
    ],
    [
      "DOI",
      paper.doi &&
        html`<a href="https://doi.org/${encodeURI(paper.doi)}" rel="external noopener">${paper.doi}</a>`,
    ],
    [
      "Licence",
      paper.licence &&
        (/^https?:/.test(paper.licence)
          ? html`<a href="${paper.licence}" rel="external noopener license">${paper.licence.replace(/^https?:\/\/(www\.)?/, "")}</a>`
          : paper.licence),
    ],
  ];
  return html`<dl class="paper-facts">${entries.map(([name, value]) => (value ? html`<div><dt>${name}</dt><dd>${value}</dd></div>` : ""))}</dl>`;
}

function versions({ versions }: StoredPaper): Html {
  if (versions.length < 2) return html``;
  return html`<details class="versions"><summary>${countText(versions.length, "version")}</summary><ol>${versions.map(
    ({ version, date }) => html`<li>Version ${version}${date ? html`, ${dayElement(date)}` : ""}</li>`,
  )}</ol></details>`;
}

/** The page of any paper; papers of the catalogue bring their claims and the way to test them. */
export function paperPage(parts: PaperPageParts): Html {
  const { paper } = parts;
  return html`<div class="column">
<article>
<header class="paper-head" data-card>
<h1>${texMarkup(paper.title)}</h1>
${authors(paper)}
${paper.withdrawn ? html`<p class="banner">This paper was withdrawn by its authors.</p>` : ""}
<div class="paper-bar">${parts.actions}${externalLinks(paper)}</div>
${topicLinks(paper.topics)}
</header>
<div class="with-aside">
<div class="prose-column">
${paper.abstract ? html`<section aria-labelledby="abstract"><h2 id="abstract" class="visually-hidden">Abstract</h2><p class="paper-abstract">${texMarkup(paper.abstract)}</p></section>` : ""}
${parts.catalogue}
${parts.comments}
<section aria-labelledby="cite"><div class="section-head"><h2 id="cite">Cite</h2>
<button type="button" class="button button-quiet needs-script" data-copy="bibtex">Copy</button></div>
<pre tabindex="0" aria-labelledby="cite"><code id="bibtex">${bibtex(paper, parts.venue)}</code></pre></section>
</div>
<aside class="side" aria-label="More about this paper">
${parts.runs}
<section class="panel" aria-labelledby="facts"><h2 id="facts" class="panel-title">Facts</h2>${facts(parts)}${versions(paper)}</section>
${parts.similar}
</aside>
</div>
</article>
</div>`;
}
