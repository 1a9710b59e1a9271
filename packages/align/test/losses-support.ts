import { compile, type NDArray, type Tensor, valueAndGrad } from "@concord/tensor";
import { expect, test } from "vitest";
import type { SoftmaxOptions } from "../src/index.ts";
import { dotProduct, expectGradientOfDifferences, type Matrix, squaredDistance, unit } from "./support.ts";

export type Loss = (...inputs: Tensor[]) => Tensor;
export type Distance = "euclidean" | "squared" | "cosine" | "dot";

export function double(x: NDArray): NDArray {
  return x.dtype === "float32"
    ? { dtype: "float64", shape: x.shape, data: Float64Array.from(x.data as Float32Array) }
    : x;
}

/** Numbers as an array of a dtype, [rows, columns] or [length]. */
export function arrayOf(values: Matrix | number[], dtype: "float32" | "int32" | "bool" = "float32"): NDArray {
  const flat = values.flat();
  const shape = Array.isArray(values[0]) ? [values.length, values[0].length] : [values.length];
  if (dtype === "int32") return { dtype, shape, data: Int32Array.from(flat) };
  if (dtype === "bool") return { dtype, shape, data: Uint8Array.from(flat) };
  return { dtype, shape, data: Float32Array.from(flat) };
}

/** The value and the gradients with respect to the first inputs. */
export async function slopesOf(
  loss: Loss,
  inputs: readonly NDArray[],
  learned: number,
): Promise<{ readonly value: number; readonly gradients: number[][] }> {
  const compiled = compile((all: Tensor[]) =>
    valueAndGrad((first: Tensor[]) => loss(...first, ...all.slice(learned)))(all.slice(0, learned)),
  );
  const { value, gradients } = await compiled(inputs as NDArray[]);
  await compiled.close();
  return { value: Number(value.data[0]), gradients: gradients.map(({ data }) => Array.from(data, Number)) };
}

export function expectClose(
  found: readonly number[],
  expected: readonly number[],
  tolerance: number,
  what: string,
): void {
  const size = Math.max(1, ...expected.map(Math.abs));
  found.forEach((x, i) =>
    expect(
      Math.abs(x - (expected[i] as number)),
      `${what}, entry ${i}: ${x} and ${expected[i]}`,
    ).toBeLessThan(tolerance * size),
  );
}

export interface LossCase {
  readonly name: string;
  /** The loss by blocks of so many rows. */
  readonly loss: (blockRows: number, ...inputs: Tensor[]) => Tensor;
  readonly inputs: readonly NDArray[];
  /** How many of the inputs are learned, from the first on. Default 1. */
  readonly learned?: number;
  /** Blocks other than the whole. Default: one row, some rows with a rest, all but one. */
  readonly blocks?: readonly number[];
  readonly expected: number;
}

/** The loss has the value of the loop, the gradient of its differences, and both do not depend on blocks. */
export function testLoss({ name, loss, inputs, learned = 1, blocks = [1, 3, 6], expected }: LossCase): void {
  test(name, async () => {
    const wide = inputs.map(double);
    const whole: Loss = (...given) => loss(Number.POSITIVE_INFINITY, ...given);
    const { value, gradients } = await slopesOf(whole, wide, learned);
    // Loops and graph add up the same numbers in another order: float64 leaves some 15 digits.
    expectClose([value], [expected], 1e-11, "value and loop");
    expect(Math.max(...gradients.flat().map(Math.abs)), "a gradient that is not 0").toBeGreaterThan(1e-4);
    for (let i = 0; i < learned; i++) {
      const moved = inputs[i] as NDArray;
      const others = inputs.filter((_, k) => k !== i);
      await expectGradientOfDifferences(
        (x, ...rest) => whole(...rest.slice(0, i), x, ...rest.slice(i)),
        moved,
        ...others,
      );
    }
    for (const blockRows of blocks) {
      const parts = await slopesOf((...given) => loss(blockRows, ...given), wide, learned);
      expectClose([parts.value], [value], 1e-12, `value by ${blockRows} rows`);
      parts.gradients.forEach((gradient, i) =>
        expectClose(gradient, gradients[i] as number[], 1e-11, `gradient ${i} by ${blockRows} rows`),
      );
    }
    // float32 has 7 digits, and sums over pairs lose one or two.
    const rounded = await slopesOf((...given) => loss(3, ...given), inputs, learned);
    expectClose([rounded.value], [value], 1e-5, "value in float32");
    rounded.gradients.forEach((gradient, i) =>
      expectClose(gradient, gradients[i] as number[], 1e-4, `gradient ${i} in float32`),
    );
  });
}

export const productsOf = (x: Matrix, y: Matrix): Matrix =>
  x.map((row) => y.map((other) => dotProduct(row, other)));

export function distancesOf(x: Matrix, y: Matrix, distance: Distance): Matrix {
  if (distance === "cosine") return productsOf(x.map(unit), y.map(unit)).map((row) => row.map((c) => 1 - c));
  if (distance === "dot") return productsOf(x, y).map((row) => row.map((s) => -s));
  const squares = x.map((row) => y.map((other) => squaredDistance(row, other)));
  return distance === "squared" ? squares : squares.map((row) => row.map(Math.sqrt));
}

export const turned = (m: Matrix): Matrix =>
  (m[0] as number[]).map((_, j) => m.map((row) => row[j] as number));

export const matrixOf = (rows: number, columns: number, at: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => at(i, j)));

/** Pairs by weights of positives and of the mask: what each row has. */
export interface Pair {
  readonly j: number;
  readonly weight: number;
}

export function pairsOf(
  positives: Matrix,
  mask: Matrix,
  i: number,
): { readonly positives: Pair[]; readonly negatives: Pair[] } {
  const all = (positives[i] as number[]).map((w, j) => ({ j, w, m: mask[i]?.[j] as number }));
  return {
    positives: all.filter(({ w, m }) => w * m > 0).map(({ j, w, m }) => ({ j, weight: w * m })),
    negatives: all.filter(({ w, m }) => w === 0 && m > 0).map(({ j, m }) => ({ j, weight: m })),
  };
}

export const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

export const scaledBy = (m: Matrix, s: number): Matrix => m.map((row) => row.map((v) => v * s));

/** Sizes of the two sets of vectors that losses are tested on. */
export const [N, M] = [7, 9];
/** Classes of the first set. */
export const labels = [0, 1, 0, 2, 1, 0, 3];
export const others = matrixOf(N, N, (i, j) => Number(i !== j));
export const alike = matrixOf(N, N, (i, j) => Number(labels[i] === labels[j] && i !== j));
export const everything = (rows = N, columns = M): Matrix => matrixOf(rows, columns, () => 1);
export const identity = matrixOf(N, M, (i, j) => Number(i === j));
/** Several soft positives in some rows, none in row 4 and in column 2; row i matches row i by the weight `own`. */
export const softPositives = (own: number): Matrix =>
  matrixOf(N, M, (i, j) => (i === 4 || j === 2 ? 0 : i === j ? own : (i * 5 + j) % 4 === 0 ? 0.25 : 0));
/** Leaves out a third of the pairs, positives among them. */
export const kept = matrixOf(N, M, (i, j) => Number((i + 2 * j) % 3 !== 0 || i === j));
export const weights = matrixOf(N, M, (i, j) => ((i + j) % 5 === 0 ? 0 : 0.5 + ((i * 3 + j) % 4) / 2));

export const SOFTMAX_VARIANTS: Record<string, SoftmaxOptions> = {
  "the mean outside": {},
  "the mean inside": { severalPositives: "inside" },
  "positives that do not compete": { denominator: "own" },
  "negatives alone below": { denominator: "negatives" },
  "all positive pairs alike": { average: "pairs" },
};

/** Softmax losses of the rows of logits by loops. */
export function softmaxByLoops(
  logits: Matrix,
  positives: Matrix,
  mask: Matrix,
  options: SoftmaxOptions = {},
): number {
  const { severalPositives = "outside", denominator = "all", average = "rows" } = options;
  const rows = logits.flatMap((row, i) => {
    const { positives: own, negatives } = pairsOf(positives, mask, i);
    const mass = total(own.map(({ weight }) => weight));
    if (mass === 0 || (denominator === "negatives" && negatives.length === 0)) return [];
    const power = (j: number): number => Math.exp(row[j] as number);
    const sumOf = (pairs: readonly Pair[]): number => total(pairs.map(({ j, weight }) => weight * power(j)));
    // A positive stands in the denominator by the mask's weight alone.
    const held = own.map(({ j }) => ({ j, weight: mask[i]?.[j] as number }));
    const competing = (j: number): number =>
      denominator === "all"
        ? sumOf(negatives) + sumOf(held)
        : sumOf(negatives) + (denominator === "own" ? power(j) : 0);
    const loss =
      severalPositives === "inside"
        ? -Math.log(sumOf(own) / mass / competing(0))
        : -total(own.map(({ j, weight }) => (weight / mass) * Math.log(power(j) / competing(j))));
    return [{ loss, weight: average === "pairs" ? mass : 1 }];
  });
  return total(rows.map(({ loss, weight }) => loss * weight)) / total(rows.map(({ weight }) => weight));
}
