import { z } from "zod";
import { bibtex } from "../bibtex.ts";
import { paperId } from "../record.ts";
import type { Account, Json, Page, PageRequest, Store, StoredPaper } from "../store/ports.ts";
import { StoreError } from "../store/ports.ts";

const PAGE = 200;

interface ListedPaper {
  readonly id: string;
  readonly title: string;
  readonly at: string;
}

/** All that a store has of one person, and nothing of others. Secrets and their hashes are left out. */
export interface PersonData {
  readonly format: "concord-person";
  readonly formatVersion: 1;
  readonly exportedAt: string;
  readonly account: Omit<Account, "createdAt"> & { readonly createdAt: string };
  readonly votes: readonly ListedPaper[];
  readonly bookmarks: readonly ListedPaper[];
  readonly collections: readonly {
    readonly name: string;
    readonly public: boolean;
    readonly papers: readonly ListedPaper[];
  }[];
  readonly comments: readonly {
    readonly paper: string;
    readonly text: string;
    readonly createdAt: string;
    readonly editedAt: string | null;
    readonly earlier: readonly string[];
  }[];
  readonly savedSearches: readonly { readonly name: string; readonly query: string; readonly filter: Json }[];
  readonly sessions: readonly {
    readonly label: string;
    readonly createdAt: string;
    readonly expiresAt: string;
  }[];
  readonly apiKeys: readonly { readonly name: string; readonly prefix: string; readonly createdAt: string }[];
  /** The digest that goes to the account's address. */
  readonly digest: {
    readonly state: string;
    readonly cadence: string;
    readonly topics: readonly string[];
  } | null;
}

const iso = (ms: number) => new Date(ms).toISOString();

async function everything<T>(read: (page: PageRequest) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await read({ limit: PAGE, cursor });
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}

const listed = ({ paper, at }: { readonly paper: StoredPaper; readonly at: number }): ListedPaper => ({
  id: paper.id,
  title: paper.title,
  at: iso(at),
});

/** @throws StoreError `not-found` for an unknown account */
export async function exportPerson(
  store: Store,
  accountId: string,
  now: Date = new Date(),
): Promise<PersonData> {
  const account = await store.people.get(accountId);
  if (account === null) throw new StoreError("not-found", "There is no such account.");
  const collections = [];
  for (const { id, name, public: open } of await store.activity.collections(accountId)) {
    const papers = await everything((page) => store.activity.collected(id, page));
    collections.push({ name, public: open, papers: papers.map(listed) });
  }
  const comments = [];
  for (const comment of await everything((page) => store.comments.ofAccount(accountId, page))) {
    comments.push({
      paper: comment.paperId,
      text: comment.text,
      createdAt: iso(comment.createdAt),
      editedAt: comment.editedAt === null ? null : iso(comment.editedAt),
      earlier: (await store.comments.history(comment.id)).map(({ text }) => text),
    });
  }
  // Only a proved address: the digest of an address says something about whoever owns it.
  const reader =
    account.email !== null && account.emailVerified ? await store.subscriptions.byEmail(account.email) : null;
  return {
    format: "concord-person",
    formatVersion: 1,
    exportedAt: now.toISOString(),
    account: { ...account, createdAt: iso(account.createdAt) },
    votes: (await everything((page) => store.activity.votes(accountId, page))).map(listed),
    bookmarks: (await everything((page) => store.activity.bookmarks(accountId, page))).map(listed),
    collections,
    comments,
    savedSearches: (await store.subscriptions.savedSearches(accountId)).map(({ name, query, filter }) => ({
      name,
      query,
      filter,
    })),
    sessions: (await store.people.sessions(accountId)).map(({ label, createdAt, expiresAt }) => ({
      label,
      createdAt: iso(createdAt),
      expiresAt: iso(expiresAt),
    })),
    apiKeys: (await store.people.apiKeys(accountId)).map(({ name, prefix, createdAt }) => ({
      name,
      prefix,
      createdAt: iso(createdAt),
    })),
    digest: reader && { state: reader.state, cadence: reader.cadence, topics: reader.topics },
  };
}

/** A field of CSV (RFC 4180). Spreadsheets take text that begins so for a formula: an apostrophe keeps it text. */
function field(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A person's papers as CSV: one row for each list that a paper is in. */
export function personCsv(data: PersonData): string {
  const lists: [string, readonly ListedPaper[]][] = [
    ["bookmarks", data.bookmarks],
    ["votes", data.votes],
    ...data.collections.map(({ name, papers }): [string, readonly ListedPaper[]] => [
      `collection: ${name}`,
      papers,
    ]),
  ];
  const rows = lists.flatMap(([list, papers]) => papers.map(({ id, title, at }) => [list, id, title, at]));
  return [["list", "paper", "title", "added"], ...rows]
    .map((row) => `${row.map(field).join(",")}\r\n`)
    .join("");
}

/** The papers that a person bookmarked or collected as BibTeX entries, each once, in the order of their ids. */
export async function personBibtex(store: Store, data: PersonData): Promise<string> {
  const ids = [
    ...new Set([...data.bookmarks, ...data.collections.flatMap(({ papers }) => papers)].map(({ id }) => id)),
  ].sort();
  const entries: string[] = [];
  for (let start = 0; start < ids.length; start += PAGE) {
    const papers = await store.papers.getMany(ids.slice(start, start + PAGE));
    entries.push(...papers.map((paper) => bibtex(paper)));
  }
  return entries.map((entry) => `${entry.trim()}\n`).join("\n");
}

const imported = z.object({
  format: z.literal("concord-person"),
  formatVersion: z.literal(1),
  bookmarks: z.array(z.object({ id: paperId })).max(10_000),
  collections: z
    .array(
      z.object({
        name: z.string(),
        public: z.boolean(),
        papers: z.array(z.object({ id: paperId })).max(10_000),
      }),
    )
    .max(200),
  savedSearches: z.array(z.object({ name: z.string(), query: z.string(), filter: z.json() })).max(200),
});

/**
 * Brings the bookmarks, collections and saved searches of an export into an account, beside what is there. Votes and
 * comments stay where they were made. Each item is a call of its own; doing it again adds nothing.
 *
 * @param data  a parsed `PersonData`
 * @returns how much came in, and the papers that this store does not have
 * @throws StoreError `invalid` naming the field when it is no export of a person
 */
export async function importPerson(
  store: Store,
  accountId: string,
  data: unknown,
): Promise<{ readonly added: number; readonly unknown: readonly string[] }> {
  const parsed = imported.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new StoreError("invalid", `${issue?.path.join(".") || "data"}: ${issue?.message ?? "malformed"}.`);
  }
  const { activity, papers, subscriptions } = store;
  const unknown = new Set<string>();
  let added = 0;
  const bring = async (id: string, put: () => Promise<{ readonly changed: boolean }>) => {
    if ((await papers.get(id)) === null) unknown.add(id);
    else if ((await put()).changed) added++;
  };
  for (const { id } of parsed.data.bookmarks)
    await bring(id, () => activity.bookmark(id, { accountId }, true));
  const known = new Map((await activity.collections(accountId)).map(({ name, id }) => [name, id]));
  for (const { name, public: open, papers: members } of parsed.data.collections) {
    const id = known.get(name) ?? (await activity.createCollection({ accountId, name, public: open })).id;
    for (const paper of members) await bring(paper.id, () => activity.collect(id, paper.id, true));
  }
  const saved = new Set((await subscriptions.savedSearches(accountId)).map(({ name }) => name));
  for (const { name, query, filter } of parsed.data.savedSearches) {
    if (saved.has(name)) continue;
    await subscriptions.saveSearch({ accountId, name, query, filter });
    added++;
  }
  return { added, unknown: [...unknown] };
}
