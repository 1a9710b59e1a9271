import type { NDArray } from "@concord/tensor";
import { checkLabels } from "./checks.ts";
import { checkNeighbours, kLargest } from "./neighbours.ts";
import { forEachBlockOfProducts, unitSets } from "./rows.ts";

export interface NearestNeighbourOptions {
  /** Number of neighbours, default 20. */
  readonly k?: number;
  /**
   * Weight of a neighbour's vote: "uniform" 1 (default); "cosine" max(cos, 0); "exponential" exp(cos / temperature).
   */
  readonly weighting?: "uniform" | "cosine" | "exponential";
  /** Of the exponential weights, default 0.07. */
  readonly temperature?: number;
}

export interface NearestNeighbourAccuracy {
  /** Share of test rows whose prediction is right, in [0, 1]. */
  readonly accuracy: number;
  /** The same with the lowest label replaced by a random one among classes of equal votes. */
  readonly expectedAccuracy: number;
  /** Class with most votes, the lowest label among equals. */
  readonly predictions: Int32Array;
}

/** Votes nearer than this share of the highest count as equal. */
const EQUAL_VOTES = 1e-9;

/**
 * Accuracy of k-nearest-neighbour classification by cosine: each of the k most similar training rows votes for its
 * class. Equal cosines at the k-th place: the lower index. Classes with equal votes: the lowest label, as in
 * scikit-learn; `expectedAccuracy` takes a random one of them instead, so that it does not depend on the names.
 *
 * @param train        [N, D], normalised here
 * @param trainLabels  N integers ≥ 0
 * @param test         [M, D], normalised here
 * @param testLabels   M integers in [0, C), C the largest training label plus 1
 * @throws RangeError when shapes, lengths or labels do not fit, a value is not finite, k is not in [1, N] or the
 *   temperature is not positive
 * @source exponential weights, k = 200, temperature 0.07: Wu et al. 2018; k = 20: Caron et al. 2021
 */
export async function nearestNeighbourAccuracy(
  train: NDArray,
  trainLabels: ArrayLike<number>,
  test: NDArray,
  testLabels: ArrayLike<number>,
  { k = 20, weighting = "uniform", temperature = 0.07 }: NearestNeighbourOptions = {},
): Promise<NearestNeighbourAccuracy> {
  const operation = "nearestNeighbourAccuracy";
  const [items, queries] = unitSets(operation, { train, test }, "sets");
  const [N, M] = [items.shape[0] as number, queries.shape[0] as number];
  checkNeighbours(operation, k, N);
  if (!(temperature > 0)) throw new RangeError(`${operation}: temperature must be > 0, got ${temperature}`);
  checkLabels(operation, trainLabels, N, Number.POSITIVE_INFINITY);
  const classes = Array.from(trainLabels).reduce((top, label) => Math.max(top, label + 1), 0);
  checkLabels(operation, testLabels, M, classes);
  const weightOf = {
    uniform: () => 1,
    cosine: (cosine: number) => Math.max(cosine, 0),
    exponential: (cosine: number) => Math.exp((cosine - 1) / temperature),
  }[weighting];
  const predictions = new Int32Array(M);
  const votes = new Float64Array(classes);
  let right = 0;
  let expected = 0;
  await forEachBlockOfProducts(queries, items, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const scores = products.subarray(row * N, (row + 1) * N);
      votes.fill(0);
      for (const item of kLargest(scores, k)) {
        const label = trainLabels[item] as number;
        votes[label] = (votes[label] as number) + weightOf(scores[item] as number);
      }
      const most = votes.reduce((top, vote) => Math.max(top, vote), 0);
      const leads = (vote: number): boolean => vote >= most * (1 - EQUAL_VOTES);
      const label = testLabels[first + row] as number;
      predictions[first + row] = votes.findIndex(leads);
      if (predictions[first + row] === label) right++;
      if (leads(votes[label] as number))
        expected += 1 / votes.reduce((n, vote) => n + Number(leads(vote)), 0);
    }
  });
  return { accuracy: right / M, expectedAccuracy: expected / M, predictions };
}
