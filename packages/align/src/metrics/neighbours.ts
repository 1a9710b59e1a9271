import { checkCount } from "./checks.ts";
import { TIE } from "./ranking.ts";

/**
 * The k items of highest score, best first, the lower index among equals.
 *
 * @param skip  an item that does not take part, or -1
 */
export function kLargest(scores: ArrayLike<number>, k: number, skip = -1): Int32Array {
  const items = new Int32Array(k);
  const values = new Float64Array(k).fill(Number.NEGATIVE_INFINITY);
  let held = 0;
  for (let item = 0; item < scores.length; item++) {
    const score = scores[item] as number;
    if (item === skip || (held === k && score <= (values[k - 1] as number))) continue;
    let place = held < k ? held++ : k - 1;
    for (; place > 0 && (values[place - 1] as number) < score; place--) {
      values[place] = values[place - 1] as number;
      items[place] = items[place - 1] as number;
    }
    values[place] = score;
    items[place] = item;
  }
  return items.subarray(0, held);
}

/**
 * Chance of each item to be among the k nearest: 1, 0, or for items that tie (within 1e-6) at the k-th place their
 * share of the places left.
 */
export function chanceAmongNearest(
  scores: Float32Array,
  k: number,
  skip: number,
  visit: (item: number, chance: number) => void,
): void {
  const last = scores[kLargest(scores, k, skip)[k - 1] as number] as number;
  let above = 0;
  let tied = 0;
  scores.forEach((score, item) => {
    if (item === skip) return;
    if (score > last + TIE) above++;
    else if (score >= last - TIE) tied++;
  });
  const chance = (k - above) / tied;
  scores.forEach((score, item) => {
    if (item !== skip && score >= last - TIE) visit(item, score > last + TIE ? 1 : chance);
  });
}

/** @throws RangeError unless 1 ≤ k ≤ the number of neighbours that a row can have */
export function checkNeighbours(operation: string, k: number, available: number): void {
  checkCount(operation, "k (number of neighbours)", k, 1, available);
}
