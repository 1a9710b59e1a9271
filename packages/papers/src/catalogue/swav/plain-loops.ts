import { mul, type NDArray, normalArray, randomKey, type Tensor, toNumbers } from "@concord/tensor";

// What the tests of the components compare with: loops over single numbers, in float64.

/** Sinkhorn-Knopp as the paper's listing has it, in float64. */
export function plainCodes(scores: readonly (readonly number[])[], eps: number, iters: number): number[][] {
  const [B, K] = [scores.length, scores[0]?.length as number];
  const M = Array.from({ length: K }, (_, k) => scores.map((row) => Math.exp((row[k] as number) / eps)));
  for (let i = 0; i < iters; i++) {
    for (const row of M) {
      const total = row.reduce((a, b) => a + b, 0);
      for (let b = 0; b < B; b++) row[b] = (row[b] as number) / total / K;
    }
    for (let b = 0; b < B; b++) {
      const total = M.reduce((a, row) => a + (row[b] as number), 0);
      for (const row of M) row[b] = (row[b] as number) / total / B;
    }
  }
  return scores.map((_, b) => M.map((row) => B * (row[b] as number)));
}

/** The loss by loops over images, crops and prototypes. */
export function plainLoss(
  scores: readonly (readonly (readonly number[])[])[],
  codes: ReadonlyMap<number, readonly (readonly number[])[]>,
  temperature: number,
): number {
  let total = 0;
  for (const [a, code] of codes) {
    for (const [v, rows] of scores.entries()) {
      if (v === a) continue;
      rows.forEach((row, b) => {
        const partition = Math.log(row.reduce((sum, s) => sum + Math.exp(s / temperature), 0));
        row.forEach((s, k) => {
          const likelihood = s / temperature - partition;
          total -= ((code[b]?.[k] as number) * likelihood) / rows.length / (scores.length - 1) / codes.size;
        });
      });
    }
  }
  return total;
}

/** Rows of a matrix. */
export function matrix(array: NDArray): number[][] {
  const [rows, columns] = array.shape as [number, number];
  const values = toNumbers(array);
  return Array.from({ length: rows }, (_, i) => values.slice(i * columns, (i + 1) * columns));
}

/** Sums of a matrix along an axis. */
export function sums(matrix: NDArray, axis: 0 | 1): number[] {
  const [rows, columns] = matrix.shape as [number, number];
  const result = Array.from({ length: axis === 0 ? columns : rows }, () => 0);
  toNumbers(matrix).forEach((value, at) => {
    const place = axis === 0 ? at % columns : Math.floor(at / columns);
    result[place] = (result[place] as number) + value;
  });
  return result;
}

/** Normal numbers of a seed. */
export const random = (seed: number, shape: readonly number[]) => normalArray(randomKey(seed), shape);
/** The same as a tensor of a graph. */
export const asInput = (array: NDArray): Tensor => mul(array, 1);
