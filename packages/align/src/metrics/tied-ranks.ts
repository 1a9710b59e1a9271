/**
 * Expected values of ranking measures when items of equal score come in random order. A ranking is a list of groups of
 * tied items, best group first.
 *
 * @source McSherry, Najork 2008, Computing information retrieval performance measures efficiently in the presence of
 *   tied scores
 */
export interface TiedGroup {
  /** Items of this score. */
  readonly tied: number;
  /** Those of them that are relevant. */
  readonly relevant: number;
  /** Sum of the gains of the group's items. */
  readonly gain: number;
}

/** Room for an item's number below the bits of its score in one exact number. */
const ITEM_ROOM = 2 ** 21;

/** Items by falling score. */
function fallingOrder(scores: ArrayLike<number>): Uint32Array {
  const count = scores.length;
  const order = new Uint32Array(count);
  if (!(scores instanceof Float32Array) || count > ITEM_ROOM) {
    for (let i = 0; i < count; i++) order[i] = i;
    return order.sort((a, b) => (scores[b] as number) - (scores[a] as number));
  }
  // The bits of floats order as integers do, and numbers sort twice as fast without a comparison function.
  const bits = new Int32Array(scores.slice().buffer);
  const keys = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const value = bits[i] as number;
    keys[i] = i - (value >= 0 ? value : -(value & 0x7fffffff)) * ITEM_ROOM;
  }
  keys.sort();
  for (let i = 0; i < count; i++) {
    const key = keys[i] as number;
    order[i] = key - Math.floor(key / ITEM_ROOM) * ITEM_ROOM;
  }
  return order;
}

/**
 * Groups of items whose scores lie within `tolerance` of the group's best, best group first.
 *
 * @param gainOf  gain of an item; it is relevant where this is above 0
 */
export function groupTies(
  scores: ArrayLike<number>,
  gainOf: (item: number) => number,
  tolerance: number,
  skip = -1,
): TiedGroup[] {
  const groups: { tied: number; relevant: number; gain: number }[] = [];
  let best = Number.NaN;
  for (const item of fallingOrder(scores)) {
    if (item === skip) continue;
    const score = scores[item] as number;
    let group = groups.at(-1);
    if (group === undefined || best - score > tolerance) {
      group = { tied: 0, relevant: 0, gain: 0 };
      groups.push(group);
      best = score;
    }
    const gain = gainOf(item);
    group.tied++;
    group.gain += gain;
    if (gain > 0) group.relevant++;
  }
  return groups;
}

/** E[Σ_i relevant(i) · precision(i)] over the first k places; divide by the number of relevant items. */
export function expectedPrecisionSum(groups: Iterable<TiedGroup>, k: number): number {
  let before = 0;
  let relevantBefore = 0;
  let sum = 0;
  for (const { tied, relevant } of groups) {
    if (before >= k) break;
    if (relevant > 0) {
      // Given that place i of the group is relevant, each other place of it is so with chance (r - 1) / (t - 1).
      const share = tied > 1 ? (relevant - 1) / (tied - 1) : 0;
      const places = Math.min(tied, k - before);
      let group = 0;
      for (let i = 1; i <= places; i++) group += (relevantBefore + 1 + (i - 1) * share) / (before + i);
      sum += (group * relevant) / tied;
    }
    before += tied;
    relevantBefore += relevant;
  }
  return sum;
}

/** E[1 / rank of the first relevant item], 0 where that rank is above k. */
export function expectedReciprocalRank(groups: Iterable<TiedGroup>, k: number): number {
  let before = 0;
  for (const { tied, relevant } of groups) {
    if (relevant > 0) {
      let none = 1;
      let sum = 0;
      for (let i = 0; i < tied && before + i < k && none > 0; i++) {
        const here = none * Math.min(1, relevant / (tied - i));
        sum += here / (before + i + 1);
        none -= here;
      }
      return sum;
    }
    before += tied;
  }
  return 0;
}

/** E[Σ_i gain(i) / log2(i + 1)] over the first k places. */
export function expectedDiscountedGain(groups: Iterable<TiedGroup>, k: number): number {
  let before = 0;
  let sum = 0;
  for (const { tied, gain } of groups) {
    const places = Math.min(tied, k - before);
    if (places <= 0) break;
    if (gain !== 0) {
      let discount = 0;
      for (let i = 1; i <= places; i++) discount += 1 / Math.log2(before + i + 1);
      sum += (gain / tied) * discount;
    }
    before += tied;
  }
  return sum;
}

/** E[number of relevant items among the first k]. */
export function expectedFound(groups: Iterable<TiedGroup>, k: number): number {
  let before = 0;
  let found = 0;
  for (const { tied, relevant } of groups) {
    if (before >= k) break;
    found += (relevant * Math.min(tied, k - before)) / tied;
    before += tied;
  }
  return found;
}

/** How a grade becomes a gain: as it is, or 2^grade - 1. */
export type GainOf = "linear" | "exponential";

/**
 * What the average precision at k is divided by: the most that k places can hold, min(R, k), so that a perfect list has
 * 1; or all R relevant items, as in TREC, so that R > k cannot reach 1.
 */
export type PrecisionNormalizer = "possible" | "relevant";

/** min(R, k) or R. */
export function precisionDivisor(normalizer: PrecisionNormalizer, relevant: number, k: number): number {
  return normalizer === "possible" ? Math.min(relevant, k) : relevant;
}

/** Gain of a grade. */
export function gainOfGrade(gain: GainOf, grade: number): number {
  return gain === "linear" ? grade : 2 ** grade - 1;
}

/** Discounted gain of the best order of these gains. */
export function idealDiscountedGain(gains: ArrayLike<number>, k: number): number {
  const sorted = Array.from(gains).sort((a, b) => b - a);
  return expectedDiscountedGain(
    sorted.map((value) => ({ tied: 1, relevant: Number(value > 0), gain: value })),
    k,
  );
}
