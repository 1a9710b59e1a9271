import type { NDArray } from "@concord/tensor";

export interface RetrievalMetrics {
  /** Shares in % of queries whose own item is among the k first. */
  readonly r1: number;
  readonly r5: number;
  readonly r10: number;
  readonly medianRank: number;
  readonly meanRank: number;
}

/**
 * Retrieval from a similarity matrix with the target of query i in column i. Its rank is 1 + the number of items with a
 * strictly larger score.
 *
 * @param similarities  [N, N], rows are queries
 * @throws RangeError unless the matrix is square, not empty and finite
 * @source released code, vl_ret/metrics.py:9-24
 */
export function retrievalMetrics(similarities: NDArray): RetrievalMetrics {
  const [N, columns] = similarities.shape as [number, number];
  if (similarities.shape.length !== 2 || N !== columns || N < 1)
    throw new RangeError(
      `retrievalMetrics: expected a square matrix, got [${similarities.shape.join(", ")}]`,
    );
  const scores = similarities.data as Float32Array;
  if (!scores.every(Number.isFinite)) throw new RangeError("retrievalMetrics: a score is not finite");
  const ranks = Float64Array.from({ length: N }, (_, i) => {
    const own = scores[i * N + i] as number;
    let rank = 1;
    for (let j = 0; j < N; j++) if ((scores[i * N + j] as number) > own) rank++;
    return rank;
  }).sort();
  const within = (k: number): number => (100 * ranks.filter((rank) => rank <= k).length) / N;
  const middle = [(N - 1) >> 1, N >> 1].map((i) => ranks[i] as number) as [number, number];
  return {
    r1: within(1),
    r5: within(5),
    r10: within(10),
    medianRank: (middle[0] + middle[1]) / 2,
    meanRank: ranks.reduce((sum, rank) => sum + rank, 0) / N,
  };
}
