import { type Search, type Store, StoreError } from "@concord/feed";
import { markWords } from "../../../packages/feed/src/search/marking.ts";

const MAX_QUERY = 250;
const AUTHORS_SHOWN = 3;
const LIKE_WORDS = 30;

/** Search by words alone, in the test's own thread: for stores in memory, which no other thread can read. */
export function wordSearch(store: Store): Search {
  return {
    async search({ query, filter = {}, cursor, limit = 24 }) {
      const start = performance.now();
      if (query.trim() === "" || query.length > MAX_QUERY) {
        throw new StoreError("invalid", `A search has 1 to ${MAX_QUERY} characters.`);
      }
      const offset = cursor === undefined ? 0 : Number(cursor);
      if (!Number.isInteger(offset) || offset < 0)
        throw new StoreError("invalid", "This is no page of a search.");
      const [{ hits, words }, authors] = await Promise.all([
        store.text.search(query.slice(0, 200), { filter }),
        offset === 0 ? store.text.authors(query.slice(0, 200), { limit: AUTHORS_SHOWN }) : [],
      ]);
      const papers = await store.papers.getMany(hits.slice(offset, offset + limit).map(({ id }) => id));
      return {
        hits: papers.map((paper) => ({
          paper,
          title: markWords(paper.title, words),
          abstract: markWords(paper.abstract, words),
          byWords: true,
          byMeaning: false,
        })),
        next: offset + limit < hits.length ? String(offset + limit) : null,
        found: hits.length,
        mode: "words",
        authors,
        ms: performance.now() - start,
      };
    },
    async similar(paperId, limit = 10) {
      const paper = await store.papers.get(paperId);
      if (!paper) return [];
      return this.recommend({ like: [paper.id], limit });
    },
    async recommend({ like, unlike = [], filter = {}, limit = 20 }) {
      const liked = await store.papers.getMany(like);
      const text = liked
        .map(({ title }) => title)
        .join(" ")
        .split(/\s+/)
        .slice(0, LIKE_WORDS)
        .join(" ")
        .slice(0, 200);
      if (text === "") return [];
      const { hits } = await store.text.search(text, { mode: "any", filter });
      const known = new Set([...liked.map(({ id }) => id), ...unlike]);
      return store.papers.getMany(
        hits
          .map(({ id }) => id)
          .filter((id) => !known.has(id))
          .slice(0, limit),
      );
    },
    state: async () => ({ encoder: null, encoded: 0, waiting: 0 }),
    close: async () => {},
  };
}
