import fc from "fast-check";
import type { Tensor } from "../../src/index.ts";
import {
  abs,
  add,
  broadcastTo,
  concat,
  div,
  exp,
  expandDims,
  gather,
  greater,
  l2Normalize,
  log,
  logSoftmax,
  logSumExp,
  matmul,
  max,
  maximum,
  mean,
  min,
  mul,
  neg,
  pad,
  relu,
  reshape,
  sigmoid,
  sin,
  sizeOf,
  slice,
  softmax,
  split,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  tensor,
  transpose,
  where,
} from "../../src/index.ts";
import { families } from "./family.ts";

/** One step of a random program: which operation, on which of the values so far, with which choice. */
interface Step {
  readonly operation: number;
  readonly first: number;
  readonly second: number;
  readonly choice: number;
}

export interface RandomProgram {
  readonly shapes: readonly (readonly number[])[];
  readonly steps: readonly Step[];
  readonly seed: number;
}

/** Programs over two or three small tensors of rank up to 3; they shrink to fewer steps and smaller shapes. */
export const randomPrograms: fc.Arbitrary<RandomProgram> = fc.record({
  shapes: fc.array(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }), {
    minLength: 2,
    maxLength: 3,
  }),
  steps: fc.array(
    fc.record({ operation: fc.nat(999), first: fc.nat(99), second: fc.nat(99), choice: fc.nat(999) }),
    { minLength: 1, maxLength: 12 },
  ),
  seed: fc.nat(1_000_000),
});

const LARGEST = 200;

function compatible(a: Tensor, b: Tensor): boolean {
  const rank = Math.max(a.rank, b.rank);
  const sizes = Array.from({ length: rank }, (_, i) => [
    a.shape[i - rank + a.rank] ?? 1,
    b.shape[i - rank + b.rank] ?? 1,
  ]);
  return sizes.every(([m, n]) => m === n || m === 1 || n === 1);
}

function rotated(rank: number, by: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i + by) % rank);
}

/** Operations that fit every tensor; results stay of moderate size so that differences are well conditioned. */
const unary: readonly ((x: Tensor, choice: number) => Tensor)[] = [
  (x) => tanh(x),
  (x) => sin(x),
  (x) => sigmoid(x),
  (x) => exp(tanh(x)),
  (x) => log(add(square(x), 1)),
  (x) => sqrt(add(square(x), 0.5)),
  (x) => relu(x),
  (x) => abs(x),
  (x) => neg(x),
  (x, choice) => mul(mul(x, 0.5 + (choice % 3)), -0.75),
  (x) => where(greater(x, 0), x, mul(x, 0.1)),
  (x) => reshape(x, [-1]),
  (x) => reshape(reshape(x, [-1]), [...x.shape].reverse()),
  (x, choice) => expandDims(x, choice % (x.rank + 1)),
  (x) => broadcastTo(x, [2, ...x.shape]),
  (x) => stack([x, tanh(x)], -1),
  (x) => sum(x),
  (x) => mean(x),
];

/** Operations that need an axis; `axis` exists. */
const alongAxis: readonly ((x: Tensor, axis: number, choice: number) => Tensor)[] = [
  (x, axis, choice) => sum(x, { axes: axis, keepDims: choice % 2 === 0 }),
  (x, axis, choice) => mean(x, { axes: axis - x.rank, keepDims: choice % 2 === 0 }),
  (x, axis, choice) => max(x, { axes: axis, keepDims: choice % 2 === 0 }),
  (x, axis) => min(x, { axes: axis }),
  (x, axis, choice) => logSumExp(x, { axes: axis, keepDims: choice % 2 === 0 }),
  (x, axis) => softmax(x, axis),
  (x, axis) => logSoftmax(x, axis),
  (x, axis) => transpose(x, rotated(x.rank, axis)),
  (x, axis) => concat([x, tanh(x)], axis),
  (x, axis) => split(concat([x, sin(x), neg(x)], axis), 3, axis)[1] as Tensor,
  (x, axis, choice) => {
    const from = choice % (x.shape[axis] as number);
    const starts = x.shape.map((_, i) => (i === axis ? from : 0));
    const steps = x.shape.map((_, i) => (i === axis ? 1 + (choice % 2) : 1));
    return slice(x, starts, [...x.shape], steps);
  },
  (x, axis, choice) =>
    pad(
      x,
      x.shape.map((_, i) => (i === axis ? [choice % 2, 1] : [0, 0])),
    ),
  (x, axis, choice) => {
    const n = x.shape[axis] as number;
    return gather(x, tensor([choice % n, 0, choice % n], { dtype: "int32" }), axis);
  },
  (x) => l2Normalize(x, { epsilon: 0.1 }),
  ...[...families.values()].flatMap(({ programSteps }) => programSteps ?? []),
];

const binary: readonly ((a: Tensor, b: Tensor) => Tensor)[] = [
  add,
  sub,
  mul,
  (a, b) => div(a, add(square(b), 0.5)),
  maximum,
  (a, b) => where(greater(a, b), a, b),
];

/** A product of two tensors made to fit: the rows of one with those of the other. */
function product(a: Tensor, b: Tensor, choice: number): Tensor | undefined {
  if (
    a.rank < 2 ||
    b.rank < 2 ||
    !compatible(
      reshape(a, [...a.shape.slice(0, -2), -1, 1, 1]),
      reshape(b, [...b.shape.slice(0, -2), -1, 1, 1]),
    )
  )
    return undefined;
  const scale = choice % 2 === 0 ? 1 : 0.4;
  if (a.shape.at(-1) === b.shape.at(-1)) return matmul(a, b, { transposeB: true, scale });
  if (a.shape.at(-1) === b.shape.at(-2)) return matmul(a, b, { scale });
  if (a.shape.at(-2) === b.shape.at(-2)) return matmul(a, b, { transposeA: true, scale });
  return undefined;
}

function applyStep(values: readonly Tensor[], { operation, first, second, choice }: Step): Tensor {
  const a = values[first % values.length] as Tensor;
  const b = values[second % values.length] as Tensor;
  const kinds = unary.length + alongAxis.length + 2 * binary.length + 4;
  const kind = operation % kinds;
  const fallback = (): Tensor => tanh(add(mul(a, 0.7), 0.1));
  if (kind < unary.length) return (unary[kind] as (typeof unary)[number])(a, choice);
  const axial = alongAxis[kind - unary.length];
  if (axial) return a.rank === 0 ? fallback() : axial(a, choice % a.rank, choice);
  const paired = kind - unary.length - alongAxis.length;
  if (paired < 2 * binary.length)
    return compatible(a, b) ? (binary[paired % binary.length] as (typeof binary)[number])(a, b) : fallback();
  return product(a, b, choice) ?? fallback();
}

/** Runs a program; the results are its last values, so that shared values have several users. */
export function runProgram(program: RandomProgram, inputs: readonly Tensor[]): readonly Tensor[] {
  const values = [...inputs];
  for (const step of program.steps) {
    const value = applyStep(values, step);
    values.push(sizeOf(value.shape) > LARGEST || value.rank > 5 ? mean(value) : value);
  }
  return values.slice(-2);
}
