/** No server's word keeps its papers away for longer than a day: then it is asked again, once. */
const MAX_ASKED_MS = 24 * 3_600_000;

/**
 * What a Retry-After header asks for, in milliseconds from now; null when it says nothing that can be understood.
 * It holds either seconds or an HTTP date; a moment that has passed counts as now, and more than a day as a day.
 *
 * @source RFC 9110, section 10.2.3
 */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? "";
  if (/^\d{1,10}$/.test(text)) return Math.min(MAX_ASKED_MS, Number(text) * 1000);
  // Dates alone: Date.parse would also take "3" or "1.5" for one.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return null;
  const moment = Date.parse(/ GMT$| UTC$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(moment) ? null : Math.min(MAX_ASKED_MS, Math.max(0, moment - now));
}

export interface Backoff {
  /** Mean wait before the second attempt, in milliseconds. */
  readonly baseMs: number;
  /** The wait grows no further than this, in milliseconds. */
  readonly maxMs: number;
}

/**
 * How long to wait before attempt `attempt + 1`: doubles with each failure, and spread by half of it to both sides so
 * that clients that failed together do not come back together.
 *
 *   wait = min(max, base · 2^(attempt - 1)) · U(0.5, 1.5)
 *
 * @param attempt  attempts that have failed, from 1
 * @param random  a number in [0, 1)
 */
export function backoffMs(attempt: number, { baseMs, maxMs }: Backoff, random: number): number {
  return Math.min(maxMs, baseMs * 2 ** (attempt - 1)) * (0.5 + random);
}
