import { spanOf } from "../calendar.ts";
import type { Cadence, Millis, UtcDay } from "../store/ports.ts";

/** When digests are due, in UTC: clocks that are put forward and back do not matter. */
export interface DigestTimes {
  /** Minutes after midnight, 0 to 1439. */
  readonly minute: number;
  /** Day of the weekly digest, 1 (Monday) to 7 (Sunday). */
  readonly weekday: number;
}

/** A moment at which a digest is due. */
export interface Slot {
  readonly kind: Cadence;
  readonly at: Millis;
  readonly day: UtcDay;
  /** The day, or its ISO week: at most one digest of a kind has it. */
  readonly period: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** 2026-11-20, moved by some days. */
export function dayPlus(day: UtcDay, days: number): UtcDay {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The slot of a day. */
export function slotOf(kind: Cadence, day: UtcDay, { minute }: Pick<DigestTimes, "minute">): Slot {
  const at = Date.parse(`${day}T00:00:00Z`) + minute * MINUTE_MS;
  return { kind, at, day, period: kind === "daily" ? day : spanOf("week", day).key };
}

/** The last moment, not after now, at which a digest was due. Whoever missed several catches up with this one alone. */
export function latestSlot(kind: Cadence, times: DigestTimes, now: Millis): Slot {
  const today = new Date(now - times.minute * MINUTE_MS).toISOString().slice(0, 10);
  if (kind === "daily") return slotOf(kind, today, times);
  const weekday = ((new Date(`${today}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
  return slotOf(kind, dayPlus(today, -((weekday - times.weekday + 7) % 7)), times);
}

/** What the digest before covered. */
export interface Covered {
  /** Day of its slot. */
  readonly day: UtcDay;
  /** When it was built: papers that came in later are not in it. */
  readonly until: Millis;
}

/** Which papers a digest is about. */
export interface Window {
  /** First day that is wholly this digest's. */
  readonly first: UtcDay;
  /** First day of which papers that came in late are taken too. */
  readonly from: UtcDay;
  readonly to: UtcDay;
  /** Whether a paper between `from` and `to` belongs to this digest and to none before it. */
  has(paper: { readonly day: UtcDay | null; readonly addedAt: Millis }): boolean;
}

/** Days of papers in the first digest, and at most in one that catches up. */
const SPAN = { daily: { first: 1, most: 7 }, weekly: { first: 7, most: 21 } } as const;
const LATE_DAYS = 3;

/**
 * The papers of the days after the digest before, and those of the three days before them that came in only after it
 * was built: a paper that is listed late is neither missed nor sent twice.
 */
export function windowOf(slot: Slot, before: Covered | null): Window {
  const { first: usual, most } = SPAN[slot.kind];
  const furthest = dayPlus(slot.day, 1 - most);
  const follows = before && dayPlus(before.day, 1);
  const first = follows === null ? dayPlus(slot.day, 1 - usual) : follows > furthest ? follows : furthest;
  return {
    first,
    from: before === null ? first : dayPlus(first, -LATE_DAYS),
    to: slot.day,
    has: ({ day, addedAt }) =>
      day !== null && day <= slot.day && (day >= first || (before !== null && addedAt > before.until)),
  };
}
