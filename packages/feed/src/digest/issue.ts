import { setImmediate as nextTurn } from "node:timers/promises";
import { z } from "zod";
import type { Cadence, Reader, SavedSearch, Store, StoredPaper } from "../store/ports.ts";
import { firstSentences, readableText } from "./readable.ts";
import { type Covered, type Slot, windowOf } from "./slots.ts";

/** Papers that an issue holds, from which every reader gets those of their topics. */
const MOST_PAPERS = 1000;
/** Papers of the window that are looked through for them. */
const MOST_READ = 5000;
const MOST_RISING = 10;
/** Searches of all readers together that one issue answers. */
const MOST_SEARCHES = 5000;
const PAGE = 200;
const SUMMARY = 320;
const NAMED_AUTHORS = 4;

const day = z.iso.date();
const issuePaper = z.strictObject({
  id: z.string(),
  /** Last part of the page's path. */
  page: z.string(),
  title: z.string(),
  authors: z.string(),
  summary: z.string(),
  day: day.nullable(),
  votes: z.int(),
  comments: z.int(),
  pdf: z.string().nullable(),
  code: z.string().nullable(),
  runs: z.boolean(),
  /** Topics and categories. */
  tags: z.array(z.string()),
  /** Saved searches that find it. */
  searches: z.array(z.string()),
});
const issueContent = z.strictObject({
  version: z.literal(1),
  kind: z.enum(["daily", "weekly"]),
  /** Day of the slot. */
  day,
  first: day,
  /** When it was built, milliseconds. */
  until: z.number(),
  /** Papers of the days; `papers` are the first of them. */
  total: z.int(),
  /** In the order in which readers get them. */
  papers: z.array(issuePaper),
  /** Older papers that rise, of which the digest before said nothing. */
  rising: z.array(issuePaper),
  /** Names of the saved searches that were asked. */
  searches: z.record(z.string(), z.string()),
});

/** A paper as digests show it: text alone, cut to length. */
export type IssuePaper = z.infer<typeof issuePaper>;
/** What is frozen of a digest: all that the messages to its readers are made of. */
export type IssueContent = z.infer<typeof issueContent>;

/** @throws ZodError for what is not an issue's content */
export function readContent(content: unknown): IssueContent {
  return issueContent.parse(content);
}

function authorsText({ authors, authorCount }: StoredPaper): string {
  const total = authorCount ?? authors.length;
  if (total === 0) return "";
  const names = authors.slice(0, NAMED_AUTHORS).map(({ name }) => readableText(name));
  if (names.length === 0) return total === 1 ? "1 author" : `${total} authors`;
  const rest = total - names.length;
  // "and 1 other" is as long as the name.
  if (rest === 1 && authors[NAMED_AUTHORS])
    return [...names, readableText(authors[NAMED_AUTHORS].name)].join(", ");
  return rest === 0 ? names.join(", ") : `${names.join(", ")} and ${rest} ${rest === 1 ? "other" : "others"}`;
}

function toIssuePaper(paper: StoredPaper, searches: readonly string[]): IssuePaper {
  return {
    id: paper.id,
    page: paper.slug ?? paper.id,
    title: readableText(paper.title),
    authors: authorsText(paper),
    summary: firstSentences(readableText(paper.abstract), SUMMARY),
    day: paper.day,
    votes: paper.upvotes,
    comments: paper.comments,
    pdf: paper.links.pdf ?? null,
    code: paper.links.code ?? null,
    runs: paper.runnable,
    tags: [...paper.topics, ...paper.categories],
    searches: [...searches],
  };
}

/** Saved searches of the confirmed readers of a cadence. */
async function wantedSearches(store: Store, cadence: Cadence): Promise<SavedSearch[]> {
  const ids = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const page = await store.subscriptions.readers({ state: "confirmed", cadence, cursor, limit: PAGE });
    for (const { savedSearches } of page.items) for (const id of savedSearches) ids.add(id);
    if (page.next === null || ids.size >= MOST_SEARCHES) break;
    cursor = page.next;
    await nextTurn();
  }
  const found: SavedSearch[] = [];
  for (const [at, id] of [...ids].entries()) {
    const search = await store.subscriptions.savedSearch(id);
    if (search) found.push(search);
    if (at % 50 === 49) await nextTurn();
  }
  return found;
}

const searchFilter = z
  .object({
    category: z.string(),
    topic: z.string(),
    author: z.string(),
    hasCode: z.boolean(),
    runnable: z.boolean(),
  })
  .partial();

/** Papers from these days that a saved search finds: all of its words, and its filter. */
async function foundBy(
  store: Store,
  search: SavedSearch,
  days: { readonly from: string; readonly to: string },
): Promise<string[]> {
  const parsed = searchFilter.safeParse(search.filter);
  const filter = { ...(parsed.success ? parsed.data : {}), ...days };
  if (search.query.trim() !== "") {
    const { hits } = await store.text.search(search.query, { mode: "all", filter, limit: PAGE });
    return hits.map(({ id }) => id);
  }
  const { items } = await store.papers.list({ order: "top", filter, limit: PAGE });
  return items.map(({ id }) => id);
}

/**
 * What the digest of a slot says: the papers of its days by votes, then trending key, then identifier (the order of day
 * pages), and older ones that rise. The same store gives the same content.
 *
 * @param options.before  what the digest before covered, with the rising papers it named
 * @returns null on empty days: then there is no digest
 */
export async function buildContent(
  store: Store,
  slot: Slot,
  options: {
    readonly now: number;
    readonly before: (Covered & { readonly rising: readonly string[] }) | null;
  },
): Promise<IssueContent | null> {
  const { now, before } = options;
  const window = windowOf(slot, before);
  const days = { from: window.from, to: window.to };
  const fresh: StoredPaper[] = [];
  let read = 0;
  for (let cursor: string | undefined; ; ) {
    const page = await store.papers.list({ order: "top", filter: days, cursor, limit: PAGE });
    read += page.items.length;
    fresh.push(...page.items.filter((paper) => window.has(paper) && !paper.withdrawn));
    if (page.next === null || read >= MOST_READ) break;
    cursor = page.next;
    await nextTurn();
  }
  if (fresh.length === 0) return null;

  const searches = await wantedSearches(store, slot.kind);
  const finders = new Map<string, string[]>();
  for (const search of searches) {
    for (const id of await foundBy(store, search, days)) {
      const those = finders.get(id);
      if (those) those.push(search.id);
      else finders.set(id, [search.id]);
    }
    await nextTurn();
  }
  // What somebody searches for has its place, however many papers come before it.
  const kept = fresh.filter(({ id }, at) => at < MOST_PAPERS || finders.has(id));
  const papers: IssuePaper[] = [];
  for (const [at, paper] of kept.entries()) {
    papers.push(toIssuePaper(paper, finders.get(paper.id) ?? []));
    if (at % 20 === 19) await nextTurn();
  }

  const known = new Set([...kept.map(({ id }) => id), ...(before?.rising ?? [])]);
  const trending = await store.papers.list({ order: "trending", filter: { to: window.to }, limit: 50 });
  const rising = trending.items
    .filter(({ id, withdrawn }) => !known.has(id) && !withdrawn)
    .slice(0, MOST_RISING)
    .map((paper) => toIssuePaper(paper, []));
  return {
    version: 1,
    kind: slot.kind,
    day: slot.day,
    first: window.first,
    until: now,
    total: fresh.length,
    papers,
    rising,
    searches: Object.fromEntries(searches.map(({ id, name }) => [id, name])),
  };
}

/** What a reader asked for. */
export type Wishes = Pick<Reader, "topics" | "savedSearches">;

/** A paper with what it was chosen for: topics, categories and searches of the reader; none: all papers were asked for. */
export interface ChosenPaper {
  readonly paper: IssuePaper;
  readonly reasons: readonly string[];
}

export interface Choice {
  readonly papers: readonly ChosenPaper[];
  readonly rising: readonly ChosenPaper[];
  /** How many papers of the period there were for this reader. */
  readonly found: number;
  /** Whether there may have been more: the issue holds the first thousand papers. */
  readonly orMore: boolean;
}

const SHOWN_RISING = 5;

/** Which of a paper's topics, categories ("cs.CV") or archives ("cs") a reader asked for. */
const askedTags = (paper: IssuePaper, topics: readonly string[]) =>
  topics.filter((topic) => paper.tags.some((tag) => tag === topic || tag.startsWith(`${topic}.`)));

/** Whether there is anything in an issue for a reader: `choose` would not say null. */
export function hasAny(content: IssueContent, { topics, savedSearches }: Wishes): boolean {
  if (topics.length === 0 && savedSearches.length === 0) return content.papers.length > 0;
  return content.papers.some(
    (paper) => askedTags(paper, topics).length > 0 || savedSearches.some((id) => paper.searches.includes(id)),
  );
}

/**
 * What a reader gets of an issue, in its order: the papers with any of the topics or found by any of the searches, or
 * all where the reader asked for nothing in particular.
 *
 * @returns null where there is nothing for the reader: then no message is sent
 */
export function choose(content: IssueContent, wishes: Wishes, most: number): Choice | null {
  const all = wishes.topics.length === 0 && wishes.savedSearches.length === 0;
  const pick = (papers: readonly IssuePaper[]): ChosenPaper[] =>
    papers.flatMap((paper) => {
      const reasons = [
        ...askedTags(paper, wishes.topics),
        ...wishes.savedSearches
          .filter((id) => paper.searches.includes(id))
          .map((id) => `“${content.searches[id] ?? "search"}”`),
      ];
      return all || reasons.length > 0 ? [{ paper, reasons }] : [];
    });
  const papers = pick(content.papers);
  if (papers.length === 0) return null;
  return {
    papers: papers.slice(0, most),
    rising: pick(content.rising).slice(0, SHOWN_RISING),
    found: all ? content.total : papers.length,
    orMore: !all && content.total > content.papers.length,
  };
}
