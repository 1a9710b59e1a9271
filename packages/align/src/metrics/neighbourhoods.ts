import type { NDArray } from "@concord/tensor";
import { checkSameLength } from "./checks.ts";
import { chanceAmongNearest, checkNeighbours } from "./neighbours.ts";
import { forEachBlockOfProducts, unitRows, unitSets } from "./rows.ts";

export interface Hubness {
  /** Skewness of N_k: 0 when all items are neighbours equally often, large when few hubs are everybody's neighbour. */
  readonly skewness: number;
  /** Share of items that are nobody's neighbour, in [0, 1]. */
  readonly antiHubShare: number;
  /** Share of queries that have the largest hub among their k nearest, in [0, 1]. */
  readonly largestHubShare: number;
  /** Index of the largest hub. */
  readonly largestHub: number;
  /** N_k of each item: how many queries have it among their k nearest; the mean is k Q / N. */
  readonly occurrences: Float64Array;
}

/**
 * Hubness of nearest neighbours by cosine.
 *
 *   N_k(i) = number of queries with item i among their k nearest,   skewness = m₃ / m₂^(3/2),  m_p = mean (N_k - mean)^p
 *
 * Items that tie (within 1e-6) at the k-th place share it, so duplicates make no hub. 0 skewness when all N_k are equal.
 *
 * @param queries              [Q, D], normalised here
 * @param items                [N, D], normalised here; pass the same set twice with `excludeSelf` for one set
 * @param options.k            default 10
 * @param options.excludeSelf  row i of the items is row i of the queries and no neighbour of its own. Default false
 * @throws RangeError when widths differ, values are not finite, or k exceeds the number of possible neighbours
 * @source Radovanović et al. 2010, Hubs in space
 */
export async function hubness(
  queries: NDArray,
  items: NDArray,
  { k = 10, excludeSelf = false }: { readonly k?: number; readonly excludeSelf?: boolean } = {},
): Promise<Hubness> {
  const operation = "hubness";
  const [left, right] = unitSets(operation, { queries, items }, "sets");
  const [Q, N] = [left.shape[0] as number, right.shape[0] as number];
  if (excludeSelf)
    checkSameLength(operation, ["queries", { length: Q }], ["items (excludeSelf)", { length: N }]);
  checkNeighbours(operation, k, N - Number(excludeSelf));
  const occurrences = new Float64Array(N);
  await forEachBlockOfProducts(left, right, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const scores = products.subarray(row * N, (row + 1) * N);
      chanceAmongNearest(scores, k, excludeSelf ? first + row : -1, (item, chance) => {
        occurrences[item] = (occurrences[item] as number) + chance;
      });
    }
  });
  const average = (k * Q) / N;
  const moment = (power: number): number =>
    occurrences.reduce((sum, count) => sum + (count - average) ** power, 0) / N;
  const variance = moment(2);
  const largestHub = occurrences.reduce(
    (best, count, i) => (count > (occurrences[best] as number) ? i : best),
    0,
  );
  return {
    // Shares of places add up with rounding: what they leave is no variance.
    skewness: variance > 1e-18 * average ** 2 ? moment(3) / variance ** 1.5 : 0,
    antiHubShare: occurrences.reduce((sum, count) => sum + Number(count === 0), 0) / N,
    largestHubShare: (occurrences[largestHub] as number) / Q,
    largestHub,
    occurrences,
  };
}

/**
 * Anisotropy: the mean cosine of two different rows, over all pairs (not a sample). In [-1 / (N - 1), 1]: near 0 when
 * directions are used evenly, near 1 when all rows lie in a narrow cone.
 *
 *   (‖Σ_i x_i‖² - Σ_i ‖x_i‖²) / (N (N - 1))   with unit rows x
 *
 * @param rows  [N, D] with N ≥ 2, normalised here; a row of zeros has cosine 0 with everything
 * @throws RangeError when values are not finite or there are fewer than two rows
 * @source Ethayarajh 2019
 */
export function anisotropy(rows: NDArray): number {
  const unit = unitRows("anisotropy", "rows", rows);
  const [n, width] = unit.shape as [number, number];
  if (n < 2) throw new RangeError("anisotropy: needs at least two rows");
  const sums = new Float64Array(width);
  let lengths = 0;
  unit.data.forEach((value, i) => {
    sums[i % width] = (sums[i % width] as number) + value;
    lengths += value * value;
  });
  return (sums.reduce((total, sum) => total + sum * sum, 0) - lengths) / (n * (n - 1));
}

export interface NeighbourhoodMixing {
  /** Mean share of a row's k nearest that are of the other set, in [0, 1]; both sets' rows together. */
  readonly otherShare: number;
  /** The share when sets mean nothing: 2 N M / ((N + M) (N + M - 1)). */
  readonly expected: number;
  /** otherShare / expected: 0 for sets that lie apart, 1 for sets that are one cloud. */
  readonly ratio: number;
  /** The share for rows of a, with neighbours in b. */
  readonly fromA: number;
  /** The share for rows of b, with neighbours in a. */
  readonly fromB: number;
}

function joined(a: NDArray<"float64">, b: NDArray<"float64">): NDArray<"float64"> {
  const data = new Float64Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return {
    dtype: "float64",
    shape: [(a.shape[0] as number) + (b.shape[0] as number), a.shape[1] as number],
    data,
  };
}

/**
 * How far two sets (modalities, languages, domains) share one space: among the k nearest by cosine of each row in both
 * sets together, the row itself left out, the share that is of the other set. Items that tie (within 1e-6) at the k-th
 * place share it.
 *
 * @param a          [N, D], normalised here
 * @param b          [M, D], normalised here
 * @param options.k  default 10
 * @throws RangeError when widths differ, values are not finite, or k > N + M - 1
 * @source the share of cross-sample neighbours: Schilling 1986, Henze 1988 (nearest-neighbour two-sample test)
 */
export async function neighbourhoodMixing(
  a: NDArray,
  b: NDArray,
  { k = 10 }: { readonly k?: number } = {},
): Promise<NeighbourhoodMixing> {
  const operation = "neighbourhoodMixing";
  const [left, right] = unitSets(operation, { a, b }, "sets");
  const [N, M] = [left.shape[0] as number, right.shape[0] as number];
  const total = N + M;
  checkNeighbours(operation, k, total - 1);
  const all = joined(left, right);
  const shares = [0, 0];
  await forEachBlockOfProducts(all, all, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const side = Number(first + row >= N);
      const scores = products.subarray(row * total, (row + 1) * total);
      chanceAmongNearest(scores, k, first + row, (item, chance) => {
        if (Number(item >= N) !== side) shares[side] = (shares[side] as number) + chance / k;
      });
    }
  });
  const [ofA, ofB] = shares as [number, number];
  const otherShare = (ofA + ofB) / total;
  const expected = (2 * N * M) / (total * (total - 1));
  return { otherShare, expected, ratio: otherShare / expected, fromA: ofA / N, fromB: ofB / M };
}

/** Rows [first, first + count) as a view. */
function slice(rows: NDArray<"float64">, first: number, count: number): NDArray<"float64"> {
  const width = rows.shape[1] as number;
  return {
    dtype: "float64",
    shape: [count, width],
    data: rows.data.subarray(first * width, (first + count) * width),
  };
}

/** Rows that are compared at a time. */
const BLOCK = 256;

/**
 * Mutual nearest-neighbour overlap: how far two embeddings of the same things agree on who is near whom.
 *
 *   (1 / N) Σ_i |kNN_a(i) ∩ kNN_b(i)| / k
 *
 * Neighbours by cosine within each set, i itself left out. In [0, 1]; about k / (N - 1) for unrelated embeddings. Items
 * that tie (within 1e-6) at the k-th place share it, so a collapsed embedding scores chance. Widths may differ.
 *
 * @param a          [N, D], normalised here
 * @param b          [N, E], normalised here; row i is the same thing as a's row i
 * @param options.k  default 10
 * @throws RangeError when the numbers of rows differ, values are not finite, or k > N - 1
 * @source Huh et al. 2024, The platonic representation hypothesis
 */
export async function neighbourOverlap(
  a: NDArray,
  b: NDArray,
  { k = 10 }: { readonly k?: number } = {},
): Promise<number> {
  const operation = "neighbourOverlap";
  const left = unitRows(operation, "a", a);
  const right = unitRows(operation, "b", b);
  const N = left.shape[0] as number;
  checkSameLength(operation, ["a", { length: N }], ["b", { length: right.shape[0] as number }]);
  checkNeighbours(operation, k, N - 1);
  let common = 0;
  for (let first = 0; first < N; first += BLOCK) {
    const count = Math.min(BLOCK, N - first);
    // A block's rows are visited at once, so the products of both sides stand side by side.
    const sides: Float32Array[] = [];
    for (const rows of [left, right]) {
      await forEachBlockOfProducts(slice(rows, first, count), rows, (_first, _count, products) => {
        sides.push(products);
      });
    }
    const chances = new Float64Array(N);
    for (let row = 0; row < count; row++) {
      const [ofA, ofB] = sides.map((products) => products.subarray(row * N, (row + 1) * N)) as [
        Float32Array,
        Float32Array,
      ];
      chances.fill(0);
      chanceAmongNearest(ofA, k, first + row, (item, chance) => {
        chances[item] = chance;
      });
      chanceAmongNearest(ofB, k, first + row, (item, chance) => {
        common += chance * (chances[item] as number);
      });
    }
  }
  return common / (N * k);
}
