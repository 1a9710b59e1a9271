import type { NDArray } from "@concord/tensor";
import { EncoderError, type Pooling } from "./encoder.ts";

/** Which positions count for each row: [first, end) of the tokens that are no padding. */
export interface TokenSpan {
  readonly first: number;
  readonly end: number;
}

/**
 * One vector a row of a batch from the output of a model:
 *
 *   mean            Σ_t m_t x_t / Σ_t m_t
 *   mean-sqrt       Σ_t m_t x_t / √(Σ_t m_t)
 *   weighted-mean   Σ_t m_t (t + 1) x_t / Σ_t m_t (t + 1), t counted from the row's first token
 *   max             max over tokens with m_t = 1
 *   cls, last       the first and the last token with m_t = 1
 *
 * @param output  [B, D]; [B, T, D] of tokens; [B, D, H, W] of a picture's places, whose mean is taken
 * @param spans   the tokens of each row that are no padding (m_t = 1); undefined when all T count, e.g. for pictures
 * @returns [B, D], row-major
 * @throws EncoderError when the output has other axes
 */
export function pool(
  output: NDArray,
  pooling: Pooling,
  spans: readonly TokenSpan[] | undefined,
  name: string,
): { readonly values: Float32Array; readonly rows: number; readonly width: number } {
  const { shape, dtype, data } = output;
  if (dtype !== "float32" && dtype !== "float64")
    throw new EncoderError(`output '${name}' is ${dtype}; embeddings are floats`);
  const values = data as Float32Array | Float64Array;
  const [rows = 0, second = 0, third = 0] = shape;
  if (shape.length === 2) return { values: Float32Array.from(values), rows, width: second };
  if (shape.length === 4) {
    const places = third * (shape[3] as number);
    return { values: placeMeans(values, rows * second, places), rows, width: second };
  }
  if (shape.length !== 3 || pooling === "none")
    throw new EncoderError(
      `output '${name}' has shape [${shape.join(", ")}]; expected [batch, width]${shape.length === 3 ? " or a pooling for its tokens" : ", [batch, tokens, width] or [batch, width, height, width]"}`,
    );
  const [tokens, width] = [second, third];
  const pooled = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const { first, end } = spans?.[row] ?? { first: 0, end: tokens };
    const at = row * tokens * width;
    poolRow(
      values.subarray(at, at + tokens * width),
      pooled.subarray(row * width, (row + 1) * width),
      pooling,
      first,
      Math.min(end, tokens),
    );
  }
  return { values: pooled, rows, width };
}

function placeMeans(values: ArrayLike<number>, count: number, places: number): Float32Array {
  const means = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let place = 0; place < places; place++) sum += values[i * places + place] as number;
    means[i] = sum / places;
  }
  return means;
}

function poolRow(
  tokens: Float32Array | Float64Array,
  target: Float32Array,
  pooling: Exclude<Pooling, "none">,
  first: number,
  end: number,
): void {
  const width = target.length;
  if (pooling === "cls" || pooling === "last") {
    const token = pooling === "cls" ? first : end - 1;
    for (let d = 0; d < width; d++) target[d] = tokens[token * width + d] as number;
    return;
  }
  const sums = new Float64Array(width).fill(pooling === "max" ? Number.NEGATIVE_INFINITY : 0);
  let total = 0;
  for (let t = first; t < end; t++) {
    const weight = pooling === "weighted-mean" ? t - first + 1 : 1;
    total += weight;
    for (let d = 0; d < width; d++) {
      const value = tokens[t * width + d] as number;
      sums[d] = pooling === "max" ? Math.max(sums[d] as number, value) : (sums[d] as number) + weight * value;
    }
  }
  const divisor = pooling === "max" ? 1 : pooling === "mean-sqrt" ? Math.sqrt(total) : total;
  for (let d = 0; d < width; d++) target[d] = (sums[d] as number) / divisor;
}

/** Brings the rows of [N, D] to length 1, in place; rows of zeros stay. */
export function normalizeInPlace(values: Float32Array, width: number): void {
  for (let at = 0; at < values.length; at += width) {
    let sum = 0;
    for (let d = at; d < at + width; d++) sum += (values[d] as number) ** 2;
    const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    for (let d = at; d < at + width; d++) values[d] = (values[d] as number) * scale;
  }
}
