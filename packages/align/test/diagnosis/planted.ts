import { foldIn, type Key, type NDArray, normalArray, RandomStream, randomKey } from "@concord/tensor";
import { collectSet, type Diagnosis, diagnoseSets } from "../../src/index.ts";

export type Rows = NDArray<"float32">;

/** What is done to one row of a planted set. */
export type Fault = (row: Float32Array, index: number) => void;

export interface World {
  readonly rows?: number;
  readonly width?: number;
  /** Noise on each side of a pair, relative to what the pair shares. */
  readonly noise?: number;
  readonly seed?: number;
}

/** Two views of the same things: what a pair shares, isotropic, plus noise of each side. */
export function healthyPairs({ rows = 600, width = 32, noise = 0.6, seed = 1 }: World = {}): {
  a: Rows;
  b: Rows;
} {
  const key = randomKey(seed);
  const shared = normalArray(foldIn(key, 0), [rows, width]);
  const side = (stream: number): Rows => {
    const own = normalArray(foldIn(key, stream), [rows, width]);
    return { ...own, data: own.data.map((value, i) => noise * value + (shared.data[i] as number)) };
  };
  return { a: side(1), b: side(2) };
}

export function withFault(rows: Rows, fault: Fault): Rows {
  const [n, width] = rows.shape as [number, number];
  const data = rows.data.slice();
  for (let i = 0; i < n; i++) fault(data.subarray(i * width, (i + 1) * width), i);
  return { ...rows, data };
}

/** A random orthogonal matrix applied to rows, by Gram-Schmidt on normal numbers. */
export function rotation(width: number, key: Key): Fault {
  const raw = normalArray(key, [width, width]).data;
  const basis: Float64Array[] = [];
  for (let i = 0; i < width; i++) {
    const axis = Float64Array.from(raw.subarray(i * width, (i + 1) * width));
    for (const other of basis) {
      const along = axis.reduce((sum, value, k) => sum + value * (other[k] as number), 0);
      other.forEach((value, k) => {
        axis[k] = (axis[k] as number) - along * value;
      });
    }
    const length = Math.hypot(...axis);
    basis.push(axis.map((value) => value / length));
  }
  return (row) => {
    const turned = basis.map((axis) => axis.reduce((sum, value, k) => sum + value * (row[k] as number), 0));
    row.set(turned);
  };
}

/** Adds the same vector to every row. */
export function shift(width: number, length: number, key: Key): Fault {
  const direction = normalArray(key, [width]).data;
  const norm = Math.hypot(...direction);
  return (row) => {
    for (let k = 0; k < width; k++) row[k] = (row[k] as number) + (length * (direction[k] as number)) / norm;
  };
}

/** Rows in another order: the pairs are wrong. */
export function shuffled(rows: Rows, seed: number): Rows {
  const [n, width] = rows.shape as [number, number];
  const stream = new RandomStream(randomKey(seed));
  const order = stream.sample(
    Array.from({ length: n }, (_, i) => i),
    n,
  );
  const data = new Float32Array(n * width);
  order.forEach((from, to) => {
    data.set(rows.data.subarray(from * width, (from + 1) * width), to * width);
  });
  return { ...rows, data };
}

/** All of a set in one block. */
export function blockOf(rows: Rows) {
  const n = rows.shape[0] as number;
  return [{ rows: n, values: rows.data, indices: Float64Array.from({ length: n }, (_, i) => i) }];
}

export function collected(rows: Rows, name: string, sample?: number, seed = 0) {
  const options = { name, key: randomKey(seed), ...(sample === undefined ? {} : { sample }) };
  return collectSet(rows.shape[1] as number, blockOf(rows), options);
}

/** Diagnosis of row i against row i. */
export async function diagnosePairs(a: Rows, b: Rows, seed = 0): Promise<Diagnosis> {
  const [left, right] = [await collected(a, "captions"), await collected(b, "pictures")];
  const n = Math.min(left.sample.shape[0] as number, right.sample.shape[0] as number);
  const places = Uint32Array.from({ length: n }, (_, i) => i);
  return diagnoseSets(
    { a: left, b: right, pairs: { a: places, b: places, total: n, sameRows: true } },
    { key: randomKey(seed), queries: 300 },
  );
}
