import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { type Json, type Page, type PageRequest, StoreError } from "../ports.ts";

export const DEFAULT_PAGE = 24;
export const MAX_PAGE = 200;
/** How many ids a call may ask for at once. */
export const MAX_IDS = 500;
const MAX_CURSOR = 500;

/** A new name for a row: 128 random bits as 22 characters of base64url. */
export function newId(): string {
  return randomBytes(16).toString("base64url");
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The first fault of a value as "expected ...; came ...", with where it is. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue && issue.path.length > 0 ? `${what}.${issue.path.join(".")}` : what;
  throw new StoreError("invalid", `${where}: ${issue?.message ?? "not acceptable"}.`);
}

export const millis = z.int().min(0);
export const secretHash = z.string().regex(/^[0-9a-f]{64}$/, "expected the hex SHA-256 of a secret");

/** Text of 1 (or `least`) to `limit` UTF-16 units; lone surrogates and NUL cannot be stored everywhere alike. */
export const text = (limit: number, least = 1) =>
  z
    .string()
    .min(least)
    .max(limit)
    .refine(
      (value) => value.isWellFormed() && !value.includes("\0"),
      "expected well-formed text without NUL",
    );

export const flag = (value: boolean): 0 | 1 => (value ? 1 : 0);

export function toJson(value: Json): string {
  return JSON.stringify(value);
}

/** JSON that the store wrote itself. */
export function fromJson<T>(value: string): T {
  return JSON.parse(value) as T;
}

export function pageLimit(limit: number | undefined, most = MAX_PAGE): number {
  if (limit === undefined) return Math.min(DEFAULT_PAGE, most);
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw new StoreError("invalid", `limit: expected 1 to ${most}, got ${limit}.`);
  }
  return limit;
}

export function checkIds(ids: readonly string[]): readonly string[] {
  if (ids.length > MAX_IDS) {
    throw new StoreError("invalid", `Expected at most ${MAX_IDS} ids, got ${ids.length}.`);
  }
  return ids;
}

type Key = readonly (string | number)[];

/** What `cursor` says of the last row seen; null for the first page. */
export function readCursor<K extends Key>(
  list: string,
  schema: z.ZodType<K>,
  cursor: string | undefined,
): K | null {
  if (cursor === undefined) return null;
  try {
    if (cursor.length > MAX_CURSOR) throw new Error("too long");
    const [name, ...key] = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")) as [string, ...Key];
    if (name !== list) throw new Error("of another list");
    return schema.parse(key);
  } catch (error) {
    throw new StoreError("invalid", "cursor: expected `next` of a page of this list.", { cause: error });
  }
}

/**
 * Cuts a page from rows that were read with one more than its limit.
 *
 * @param list  name of the list, so that a cursor of one is no cursor of another
 * @param keyOf  the values by which the list is sorted
 */
export function cutPage<Row, T>(
  list: string,
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => Key,
  make: (row: Row) => T,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: items.map(make),
    next: more ? Buffer.from(JSON.stringify([list, ...keyOf(last)])).toString("base64url") : null,
  };
}

/** Cursor of lists that are sorted by time and id. */
export const timeKey = z.tuple([z.number(), z.string()]) as z.ZodType<[number, string]>;

/** Limit and position of a list that is sorted by time and id. */
export function timePage(
  list: string,
  page: PageRequest = {},
): { limit: number; after: [number, string] | null } {
  return { limit: pageLimit(page.limit), after: readCursor(list, timeKey, page.cursor) };
}
