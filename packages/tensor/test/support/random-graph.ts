import type { DType, NDArray, Tensor } from "../../src/index.ts";
import {
  add,
  constant,
  defineUnitOp,
  gradients,
  isFloat,
  mul,
  RandomStream,
  randomKey,
  sizeOf,
  sum,
} from "../../src/index.ts";
import { applications } from "./families.ts";
import type { StoredArray } from "./fixtures.ts";
import { outputWeights, toArray } from "./fixtures.ts";

export interface ProgramResult {
  readonly name: string;
  readonly shape: readonly number[];
  /** Left out for floats. */
  readonly dtype?: DType;
  /** Between which numbers the values lie, where later steps rely on it. */
  readonly range?: readonly [low: number, high: number];
}

/** One application of an operation, called as in the fixtures of its family. */
export interface ProgramStep {
  readonly op: string;
  /** Names of inputs or of results of steps before. */
  readonly operands: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly results: readonly ProgramResult[];
}

export interface ProgramInput extends StoredArray {
  /** A constant of the graph rather than an input, which lets engine and runtime compute ahead and fuse. */
  readonly constant?: true;
}

/**
 * A graph of operations as plain data: it can be written to a file, run by any engine, and taken apart. Its value is
 * the scalar Σ_k Σ_i cos(1 + 0.7 i + k) y_ki over the float values y_k that no step reads.
 */
export interface Program {
  readonly inputs: Readonly<Record<string, ProgramInput>>;
  readonly steps: readonly ProgramStep[];
}

/** What a program is fed: its inputs but the constants, floats in the given precision. */
export function inputArrays(program: Program, float: DType): Record<string, NDArray> {
  return Object.fromEntries(
    Object.entries(program.inputs)
      .filter(([, input]) => !input.constant)
      .map(([name, array]) => [name, toArray(array, float)]),
  );
}

/**
 * The same value. Parts of one result may be made of others (the last state of a sequence is one of all states);
 * behind this they have gradients of their own.
 */
const apart = defineUnitOp<undefined>({
  name: "apart",
  infer: (inputs) => inputs,
  lower: (_graph, inputs) => inputs,
  vjp: ({ cotangents }) => cotangents,
});

/** All values of a program by name, inputs first; constants get the given precision. */
export function runProgram(
  program: Program,
  inputs: Readonly<Record<string, Tensor>>,
  float: DType,
): ReadonlyMap<string, Tensor> {
  const values = new Map(
    Object.entries(program.inputs).map(([name, input]): [string, Tensor] => [
      name,
      input.constant ? constant(toArray(input, float)) : (inputs[name] as Tensor),
    ]),
  );
  for (const { op, operands, attributes, results } of program.steps) {
    const apply = applications[op];
    if (!apply) throw new Error(`no family applies '${op}'`);
    const result = apply(
      operands.map((name) => values.get(name) as Tensor),
      attributes,
    );
    const outputs = "node" in result ? [result] : result.map((part) => apart([part], undefined));
    results.forEach(({ name }, i) => values.set(name, outputs[i] as Tensor));
  }
  return values;
}

/** Names of the float values that no step reads, in order. */
export function outcomes({ steps }: Program): string[] {
  const read = new Set(steps.flatMap(({ operands }) => operands));
  return steps.flatMap(({ results }) =>
    results.filter(({ name, dtype }) => dtype === undefined && !read.has(name)).map(({ name }) => name),
  );
}

/** The scalar that is differentiated; undefined where a program has integer results only. */
export function objectiveOf(program: Program, values: ReadonlyMap<string, Tensor>): Tensor | undefined {
  const terms = outcomes(program).map((name, k) => {
    const y = values.get(name) as Tensor;
    return sum(mul(y, outputWeights(y.shape, k, y.dtype)));
  });
  const [first, ...rest] = terms;
  return first && rest.reduce(add, first);
}

/** Gradients of the objective with respect to float values, by name. */
export function gradientsOf(
  program: Program,
  values: ReadonlyMap<string, Tensor>,
  names: readonly string[],
): Record<string, Tensor> {
  const objective = objectiveOf(program, values);
  if (!objective) return {};
  const floats = names.filter((name) => isFloat((values.get(name) as Tensor).dtype));
  const found = gradients(
    objective,
    floats.map((name) => values.get(name) as Tensor),
  );
  return Object.fromEntries(floats.map((name, i) => [name, found[i] as Tensor]));
}

/** Random numbers with four decimals, which every engine reads alike. */
export function randomData(
  uniform: (low: number, high: number) => number,
  shape: readonly number[],
  [low, high]: readonly [number, number],
): number[] {
  return Array.from({ length: sizeOf(shape) }, () => Math.round(uniform(low, high) * 1e4) / 1e4);
}

export const USUAL_RANGE: readonly [number, number] = [-1.5, 1.5];

/** The program with some steps left out: what others read of them becomes an input. Undefined for integer results. */
function without(program: Program, left: ReadonlySet<ProgramStep>): Program | undefined {
  const steps = program.steps.filter((step) => !left.has(step));
  const read = new Set(steps.flatMap(({ operands }) => operands));
  const inputs = { ...program.inputs };
  for (const step of left) {
    for (const { name, shape, dtype, range } of step.results) {
      if (!read.has(name)) continue;
      if (dtype !== undefined) return undefined;
      const stream = new RandomStream(randomKey(name.length + sizeOf(shape)));
      const data = randomData((low, high) => stream.uniform(low, high), shape, range ?? USUAL_RANGE);
      inputs[name] = { shape, data };
    }
  }
  const kept = Object.entries(inputs).filter(([name]) => read.has(name));
  return { inputs: Object.fromEntries(kept), steps };
}

/** Smaller programs to try when this one fails: first single steps, then all steps but one. */
export function* smallerPrograms(program: Program): Generator<Program> {
  const { steps } = program;
  if (steps.length < 2) return;
  const choices = [
    ...(steps.length > 2 ? steps.map((step) => new Set(steps.filter((other) => other !== step))) : []),
    ...steps.map((step) => new Set([step])),
  ];
  for (const left of choices) {
    const smaller = without(program, left);
    if (smaller) yield smaller;
  }
}
