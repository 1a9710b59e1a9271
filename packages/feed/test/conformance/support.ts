import { createHash } from "node:crypto";
import { expect } from "vitest";
import {
  type Clock,
  type PaperRecord,
  type PaperRecordInput,
  paperRecord,
  type Store,
  StoreError,
  type StoreErrorCode,
} from "../../src/index.ts";

/** Opens an empty store with this clock; the suite closes it. */
export type OpenStore = (clock: Clock) => Promise<Store>;

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const START = Date.UTC(2026, 10, 20, 12);

/** A clock that stands until it is moved. */
export class TestClock {
  time = START;
  readonly now: Clock = () => this.time;
  pass(ms: number): void {
    this.time += ms;
  }
}

/** A fresh store and its clock for one test. */
export interface Fixture {
  readonly store: Store;
  readonly clock: TestClock;
}

export function fixture(openStore: OpenStore) {
  return async (work: (fixture: Fixture) => Promise<void>): Promise<void> => {
    const clock = new TestClock();
    const store = await openStore(clock.now);
    try {
      await work({ store, clock });
    } finally {
      await store.close();
    }
  };
}

export function paper(over: Partial<PaperRecordInput> & { id: string }): PaperRecord {
  return paperRecord.parse({
    title: `Title of ${over.id}`,
    abstract: `Abstract of ${over.id}.`,
    announced: "2026-11-20",
    sources: ["test"],
    ...over,
  });
}

/** n papers with rising ids, `perDay` of them a day, from 2026-01-01 on. */
export function papers(n: number, perDay = 3, over: Partial<PaperRecordInput> = {}): PaperRecord[] {
  return Array.from({ length: n }, (_, index) =>
    paper({
      id: `2601.${String(index).padStart(5, "0")}`,
      announced: new Date(Date.UTC(2026, 0, 1 + Math.floor(index / perDay))).toISOString().slice(0, 10),
      ...over,
    }),
  );
}

export const hash = (secret: string) => createHash("sha256").update(secret).digest("hex");

export async function account(store: Store, name: string): Promise<string> {
  return (await store.people.create({ name, email: `${name}@example.org` })).id;
}

/** Follows `next` to the end. */
export async function all<T>(
  read: (page: { cursor?: string; limit: number }) => Promise<{ items: readonly T[]; next: string | null }>,
  limit = 3,
): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await read({ limit, ...(cursor !== undefined && { cursor }) });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = page.next;
  }
}

export async function refused(code: StoreErrorCode, work: () => unknown, message?: RegExp): Promise<void> {
  let error: unknown;
  try {
    await work();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(StoreError);
  expect((error as StoreError).code).toBe(code);
  if (message) expect((error as StoreError).message).toMatch(message);
}

export const ids = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);
