import type { NDArray } from "@concord/tensor";
import { checkSameLength, encodeLabels, type Labels, mean } from "./checks.ts";
import { centred, forEachRowOfDistances, squaredLengths } from "./distances.ts";
import { unitRows } from "./rows.ts";

export interface Silhouette {
  /** Mean over all rows, in [-1, 1]; higher for tight clusters that lie apart. */
  readonly mean: number;
  /** s(i) of each row. */
  readonly perRow: Float64Array;
}

/**
 * Silhouette of labelled rows: how much nearer each row lies to its own cluster than to the next one.
 *
 *   s(i) = (b - a) / max(a, b),   a = mean distance to the others of i's cluster, b = least mean distance to another one
 *
 * In [-1, 1]. 0 for a row alone in its cluster, and where a = b = 0. All N² distances, in blocks of 256 rows with
 * products in float32.
 *
 * @param rows    [N, D]
 * @param labels  N labels, between 2 and N - 1 different ones
 * @param options.distance  "cosine" (default), 1 - cos; or "euclidean", of the rows as they are
 * @throws RangeError when lengths differ, values are not finite or the number of clusters is outside [2, N - 1]
 * @source Rousseeuw 1987
 */
export async function silhouette(
  rows: NDArray,
  labels: Labels,
  { distance = "cosine" }: { readonly distance?: "cosine" | "euclidean" } = {},
): Promise<Silhouette> {
  const operation = "silhouette";
  const cosine = distance === "cosine";
  const points = cosine ? unitRows(operation, "rows", rows) : centred(operation, "rows", rows).rows;
  const n = points.shape[0] as number;
  checkSameLength(operation, ["rows", { length: n }], ["labels", labels]);
  const { names, codes } = encodeLabels(operation, ["labels", labels]);
  const clusters = names.length;
  if (clusters < 2 || clusters > n - 1)
    throw new RangeError(`${operation}: needs between 2 and N - 1 = ${n - 1} clusters, got ${clusters}`);
  const own = codes[0] as Int32Array;
  const sizes = new Float64Array(clusters);
  for (const code of own) sizes[code] = (sizes[code] as number) + 1;
  const lengths = squaredLengths(points);
  const perRow = new Float64Array(n);
  const sums = new Float64Array(clusters);
  await forEachRowOfDistances(points, points, (row, squares) => {
    sums.fill(0);
    for (let j = 0; j < n; j++) {
      if (j === row) continue;
      const square = squares[j] as number;
      const code = own[j] as number;
      // ‖x - y‖² = ‖x‖² + ‖y‖² - 2 cos, lengths being 1, or 0 for a row of zeros.
      const away = cosine
        ? 1 - ((lengths[row] as number) + (lengths[j] as number) - square) / 2
        : Math.sqrt(square);
      sums[code] = (sums[code] as number) + away;
    }
    const cluster = own[row] as number;
    const others = (sizes[cluster] as number) - 1;
    if (others === 0) return;
    const within = (sums[cluster] as number) / others;
    let between = Number.POSITIVE_INFINITY;
    for (let c = 0; c < clusters; c++)
      if (c !== cluster) between = Math.min(between, (sums[c] as number) / (sizes[c] as number));
    const top = Math.max(within, between);
    perRow[row] = top > 0 ? (between - within) / top : 0;
  });
  return { mean: mean(perRow), perRow };
}
