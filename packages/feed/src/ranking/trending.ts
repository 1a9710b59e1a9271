/**
 * The trending order: a sum of events that decays, and a key that sorts it without ever being recomputed.
 *
 * Every event i of a paper adds w_i to
 *
 *   v(t) = Σ_i w_i · 2^(-(t - t_i)/H),   H = 2.5 days,
 *
 * of which only v and the time t_ref at which it was taken are kept. As all sums shrink by the same factor,
 *
 *   K = log2 v + t_ref/H
 *
 * stays as it is between events, and K sorts papers by v(t) at any moment t: log2 v(t) = K - t/H. After a day an event
 * keeps 76 % of its weight, after a week 14 %.
 */

const DAY_MS = 86_400_000;

/** H: time in which an event loses half its weight, in milliseconds. */
export const HALF_LIFE_MS = 2.5 * DAY_MS;

/** Sums are not taken for smaller than this, so that K stays finite when all events were withdrawn. */
export const LEAST_HEAT = 2 ** -20;

/** An account younger than this counts for YOUNG_SHARE. */
export const YOUNG_MS = DAY_MS;
export const YOUNG_SHARE = 0.25;

/** Upvotes of one paper from one address block within this time weigh once. */
export const BLOCK_WINDOW_MS = 3_600_000;

/** People who were active about a topic within this time make its community. */
export const COMMUNITY_WINDOW_MS = 7 * DAY_MS;

/** `why` counts the events of this time. */
export const WHY_WINDOW_MS = 7 * DAY_MS;

/** Weight of one event of an account of age. A comment and a run count once for a person and paper. */
export const EVENT_WEIGHTS = { upvote: 1, bookmark: 0.7, comment: 0.5, run: 1.5 } as const;

export type TrendingEvent = keyof typeof EVENT_WEIGHTS;

/** A decayed sum and the time at which it had this value. */
export interface Heat {
  readonly value: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** 2^(-(to - from)/H): what is left at `to` of a weight of `from`. */
export function decay(from: number, to: number): number {
  return 2 ** ((from - to) / HALF_LIFE_MS);
}

/**
 * Weight with which an event enters the sum.
 *
 *   w = base(kind) · (0.25 if the account is younger than 24 h) · (0 if its block voted for the paper within the hour)
 *       / log2(2 + people)
 *
 * The last factor is the correction for small communities: an event among few people says more than one among many.
 * It belongs to the event, so that a later event never lowers a paper, whatever became of the community meanwhile.
 *
 * @param options.accountAgeMs  age of the account at the event
 * @param options.people  other people who were active about the paper's topic in the last 7 days, >= 0
 * @param options.sameBlock  whether an upvote from the same address block weighed in the hour before
 */
export function eventWeight(
  kind: TrendingEvent,
  options: { readonly accountAgeMs: number; readonly people: number; readonly sameBlock: boolean },
): number {
  if (kind === "upvote" && options.sameBlock) return 0;
  const age = options.accountAgeMs < YOUNG_MS ? YOUNG_SHARE : 1;
  return (EVENT_WEIGHTS[kind] * age) / Math.log2(2 + options.people);
}

/**
 * The sum after an event, taken at the later of both times: v ← v·2^(-(t - t_ref)/H) + w.
 * An event that is older than t_ref (clocks differ) enters with what is left of it.
 */
export function addEvent(heat: Heat, weight: number, at: number): Heat {
  const now = Math.max(heat.at, at);
  return { value: heat.value * decay(heat.at, now) + weight * decay(at, now), at: now };
}

/** The sum without an event of `eventAt`, which was withdrawn at `now`; never below zero. */
export function withdrawEvent(heat: Heat, weight: number, eventAt: number, now: number): Heat {
  const at = Math.max(heat.at, now);
  return { value: Math.max(0, heat.value * decay(heat.at, at) - weight * decay(eventAt, at)), at };
}

/** K = log2 v + t_ref/H, with v at least LEAST_HEAT. Larger is more trending. */
export function trendingKey(heat: Heat): number {
  return Math.log2(Math.max(heat.value, LEAST_HEAT)) + heat.at / HALF_LIFE_MS;
}

/** The sum of events by its definition, taken at `now`. */
export function heatOf(
  events: readonly { readonly weight: number; readonly at: number }[],
  now: number,
): Heat {
  let value = 0;
  for (const { weight, at } of events) value += weight * decay(at, now);
  return { value, at: now };
}
