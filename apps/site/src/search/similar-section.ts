import type { Search, StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import { paperPath } from "../daily/query.ts";
import { texMarkup } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";
import { dayElement } from "../pages/parts.ts";
import { tasteAddress } from "./query.ts";

const SHOWN = 6;
/** A page does not wait longer for what stands at its side. */
const PATIENCE_MS = 250;
const KEPT = 500;
const KEPT_MS = 10 * 60_000;

/** The papers that stand beside a paper, kept for some minutes: pages of papers are read again and again. */
export class SimilarSections {
  readonly #search: Pick<Search, "similar">;
  readonly #kept = new Map<string, { readonly papers: readonly StoredPaper[]; readonly until: number }>();

  constructor(search: Pick<Search, "similar">) {
    this.#search = search;
  }

  /** The panel of a paper; empty where there is none like it, and where the search is too busy. */
  async of(paper: { readonly id: string }): Promise<Html> {
    const papers = await this.#papers(paper.id);
    if (papers.length === 0) return html``;
    return html`<section class="panel similar" aria-labelledby="similar"><h2 id="similar" class="panel-title">Similar papers</h2>
<ul>${papers.map(
      (one) =>
        html`<li><a href="${paperPath(one)}">${texMarkup(one.title, { links: false })}</a>${one.day ? html`<br>${dayElement(one.day)}` : ""}</li>`,
    )}</ul>
<p><a href="${tasteAddress({ like: [paper.id], unlike: [] })}" rel="nofollow">More like this</a></p></section>`;
  }

  async #papers(id: string): Promise<readonly StoredPaper[]> {
    const known = this.#kept.get(id);
    if (known && known.until > Date.now()) return known.papers;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), PATIENCE_MS);
    });
    const found = this.#search.similar(id, SHOWN).then(
      (papers) => {
        this.#keep(id, papers);
        return papers;
      },
      () => null,
    );
    const papers = await Promise.race([found, patience]);
    clearTimeout(timer);
    return papers ?? [];
  }

  #keep(id: string, papers: readonly StoredPaper[]): void {
    this.#kept.delete(id);
    this.#kept.set(id, { papers, until: Date.now() + KEPT_MS });
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value as string);
  }
}
