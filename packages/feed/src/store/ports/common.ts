/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Millis = number;

/** A UTC day, YYYY-MM-DD. */
export type UtcDay = string;

/** Lower-case hex SHA-256 of a secret. Secrets themselves never reach the store. */
export type SecretHash = string;

/** Values that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Which part of a list. Lists are cut by keyset: a cursor names the last row seen, so that rows that come or go
 * meanwhile neither repeat nor hide others, and a late page costs no more than the first.
 */
export interface PageRequest {
  /** `next` of the page before; absent for the first page. Belongs to the same list with the same filter. */
  readonly cursor?: string | undefined;
  /** 1 to 200, default 24. */
  readonly limit?: number | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Cursor of the next page; null when this is the last one. */
  readonly next: string | null;
}

/**
 * - `invalid`: an argument, cursor or record is not acceptable
 * - `not-found`: what the call is about does not exist
 * - `conflict`: a unique value (name, address, key) is taken, or the state does not allow the change
 * - `busy`: another process held the write lock for longer than the store waits; nothing was written
 * - `schema`: the file belongs to a newer version, or is no store
 * - `corrupt`: the file is damaged
 * - `closed`: the store was closed
 */
export type StoreErrorCode = "invalid" | "not-found" | "conflict" | "busy" | "schema" | "corrupt" | "closed";

/** What every call of the store throws when it cannot do what was asked; it changed nothing then. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
