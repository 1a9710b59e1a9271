import { setImmediate as nextTurn } from "node:timers/promises";
import type { Cadence, Clock, Issue, Reader, Store } from "../store/ports.ts";
import { buildContent, hasAny, type IssueContent, readContent } from "./issue.ts";
import { type Covered, type DigestTimes, latestSlot, type Slot, slotOf } from "./slots.ts";

const CADENCES: readonly Cadence[] = ["daily", "weekly"];
/** Where a slot is without papers, they may come late; after this it stays without a digest. */
const PATIENCE_MS = 6 * 3_600_000;
const PAGE = 100;
const MOST_WISHES = 10_000;

export interface PublisherOptions {
  readonly store: Store;
  readonly times: DigestTimes;
  /** Name of the host in Message-IDs. */
  readonly host: () => string;
  readonly clock?: Clock;
}

export interface Published {
  readonly kind: Cadence;
  readonly period: string;
  readonly issueId: string;
  readonly papers: number;
  /** Messages to be sent. */
  readonly readers: number;
}

type Before = Covered & { readonly rising: readonly string[] };

/** Issues that are looked through, newest first: more than can lie between a slot and now. */
const LOOKED_THROUGH = 8;

const newestIssues = async (store: Store, kind: Cadence) =>
  (await store.outbox.issues({ kind, limit: LOOKED_THROUGH })).items;

/** What the issue before a slot covered. One of the future is none: the clock was wrong when it was built. */
async function issueBefore(store: Store, slot: Slot, now: number): Promise<Before | null> {
  let before: Before | null = null;
  for (const { content, builtAt } of await newestIssues(store, slot.kind)) {
    const { day, until, rising } = readContent(content);
    if (builtAt > now || day >= slot.day || (before !== null && day <= before.day)) continue;
    before = { day, until, rising: rising.map(({ id }) => id) };
  }
  return before;
}

async function issueOf(store: Store, { kind, period }: Slot): Promise<Issue | null> {
  return (await newestIssues(store, kind)).find((issue) => issue.period === period) ?? null;
}

/** The content of a period's digest: the one that was frozen, or what it would be now. null: there are no papers. */
export async function previewIssue(
  store: Store,
  kind: Cadence,
  day: string,
  options: Pick<PublisherOptions, "times" | "clock">,
): Promise<{ readonly slot: Slot; readonly content: IssueContent | null; readonly frozen: boolean }> {
  const slot = slotOf(kind, day, options.times);
  const known = await issueOf(store, slot);
  if (known) return { slot, content: readContent(known.content), frozen: true };
  const now = (options.clock ?? Date.now)();
  const content = await buildContent(store, slot, { now, before: await issueBefore(store, slot, now) });
  return { slot, content, frozen: false };
}

/** Builds issues when they are due and gives every reader a row. What a crash interrupts goes on at the next look. */
export class DigestPublisher {
  readonly #store: Store;
  readonly #times: DigestTimes;
  readonly #host: () => string;
  readonly #clock: Clock;

  constructor({ store, times, host, clock = Date.now }: PublisherOptions) {
    this.#store = store;
    this.#times = times;
    this.#host = host;
    this.#clock = clock;
  }

  /** Publishes what is due and not yet published. A second call does nothing. */
  async publishDue(): Promise<Published[]> {
    const published: Published[] = [];
    for (const kind of CADENCES) {
      await this.#finishFilling(kind);
      const slot = latestSlot(kind, this.#times, this.#clock());
      if (!(await this.#isWaited(slot))) continue;
      const issue = await this.publish(slot);
      if (issue) published.push(issue);
    }
    return published;
  }

  /** Publishes the digest of a slot, once. null: there are no papers, no readers, or it was published before. */
  async publish(slot: Slot): Promise<Published | null> {
    const now = this.#clock();
    if ((await issueOf(this.#store, slot)) !== null) return null;
    const { items } = await this.#store.subscriptions.readers({
      ...{ state: "confirmed", cadence: slot.kind, limit: 1 },
    });
    if (items.length === 0) return null;
    const before = await issueBefore(this.#store, slot, now);
    const content = await buildContent(this.#store, slot, { now, before });
    if (content === null) return null;
    const { issue, created } = await this.#store.outbox.createIssue({
      kind: slot.kind,
      period: slot.period,
      content,
    });
    const readers = await this.#fill(issue);
    // Another process was first: it is its issue.
    if (!created) return null;
    return {
      kind: slot.kind,
      period: slot.period,
      issueId: issue.id,
      papers: content.papers.length,
      readers,
    };
  }

  /** Whether a slot still waits for its papers: from the first look at it on, for six hours. */
  async #isWaited({ kind, period }: Slot): Promise<boolean> {
    const now = this.#clock();
    const key = `digest.looked.${kind}`;
    const looked = await this.#store.settings.get(key);
    if (typeof looked === "object" && looked !== null && "period" in looked && looked.period === period) {
      const at = "at" in looked && typeof looked.at === "number" ? looked.at : 0;
      return now - at < PATIENCE_MS;
    }
    await this.#store.settings.set(key, { period, at: now });
    return true;
  }

  async #finishFilling(kind: Cadence): Promise<void> {
    const { items } = await this.#store.outbox.issues({ kind, limit: 5 });
    for (const issue of items) if (issue.state === "filling") await this.#fill(issue);
  }

  async #fill(issue: Issue): Promise<number> {
    const content = readContent(issue.content);
    const cadence = content.kind;
    // Readers for whom there is nothing get no row: an empty digest is not sent.
    const without = new Set<string>();
    // Many readers have the same wishes.
    const known = new Map<string, boolean>();
    const anyFor = ({ topics, savedSearches }: Reader) => {
      const key = JSON.stringify([topics, savedSearches]);
      const any = known.get(key) ?? hasAny(content, { topics, savedSearches });
      if (known.size < MOST_WISHES) known.set(key, any);
      return any;
    };
    for (let cursor: string | undefined; ; ) {
      const page = await this.#store.subscriptions.readers({
        state: "confirmed",
        cadence,
        cursor,
        limit: PAGE,
      });
      for (const reader of page.items) if (!anyFor(reader)) without.add(reader.id);
      if (page.next === null) break;
      await nextTurn();
      cursor = page.next;
    }
    return this.#store.outbox.fill(issue.id, {
      cadence,
      host: this.#host(),
      select: (id) => !without.has(id),
    });
  }
}
