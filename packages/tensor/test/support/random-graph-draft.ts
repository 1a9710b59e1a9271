import { placeholder } from "../../src/core/tensor.ts";
import type { DType, Tensor } from "../../src/index.ts";
import { isFloat, sizeOf } from "../../src/index.ts";
import { applications } from "./families.ts";
import type { Attributes } from "./family.ts";
import type { StoredArray } from "./fixtures.ts";
import type { Program, ProgramInput, ProgramStep } from "./random-graph.ts";
import { randomData, USUAL_RANGE } from "./random-graph.ts";

/** Where random choices come from. */
export interface Choices {
  /** A whole number, both bounds included. */
  integer(low: number, high: number): number;
  uniform(low: number, high: number): number;
}

/** Adds one application of an operation to a draft; operands that nothing offers become inputs. */
export type Use = (draft: Draft) => void;
export type Uses = Readonly<Record<string, Use>>;

/** Values with more entries are cut, so that differences stay cheap. */
const LARGEST = 216;
const HIGHEST_RANK = 5;

function broadcast(a: readonly number[], b: readonly number[]): boolean {
  return a.every((_, i) => {
    const [m, n] = [a.at(-1 - i) ?? 1, b.at(-1 - i) ?? 1];
    return m === n || m === 1 || n === 1;
  });
}

/** A program in the making: the values so far, and random choices among them. */
export class Draft {
  readonly #choices: Choices;
  readonly #float: DType;
  readonly #inputs: Record<string, ProgramInput> = {};
  readonly #steps: ProgramStep[] = [];
  /** Values by name; placeholders, since only shapes matter here. */
  readonly #values = new Map<string, Tensor>();

  constructor(choices: Choices, float: DType) {
    this.#choices = choices;
    this.#float = float;
  }

  get program(): Program {
    return { inputs: this.#inputs, steps: this.#steps };
  }

  integer(low: number, high: number): number {
    return this.#choices.integer(low, high);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)] as T;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.integer(1, times) === times;
  }

  shape(value: string): readonly number[] {
    return (this.#values.get(value) as Tensor).shape;
  }

  rank(value: string): number {
    return this.shape(value).length;
  }

  /** A shape with a rank between the bounds. */
  freshShape(lowest = 0, highest = 3): number[] {
    return Array.from({ length: this.integer(lowest, highest) }, () => this.integer(1, 4));
  }

  /** A new float input. */
  input(shape: readonly number[], range: readonly [number, number] = USUAL_RANGE): string {
    return this.given({
      shape,
      data: randomData((...bounds) => this.#choices.uniform(...bounds), shape, range),
    });
  }

  /** A new input with these numbers; some are constants. */
  given(array: StoredArray): string {
    const name = `x${Object.keys(this.#inputs).length}`;
    this.#inputs[name] = this.once(4) ? { ...array, constant: true } : array;
    this.#values.set(name, placeholder(name, { shape: array.shape, dtype: array.dtype ?? this.#float }));
    return name;
  }

  /** A new input of integers from 0 to `end` - 1. */
  indices(shape: readonly number[], end: number): string {
    const data = Array.from({ length: sizeOf(shape) }, () => this.integer(0, end - 1));
    return this.given({ shape, dtype: this.pick(["int32", "int64"] as const), data });
  }

  /** A value that fits, later ones preferred; undefined where there is none. */
  existing(fits: (shape: readonly number[]) => boolean, dtype?: DType): string | undefined {
    const names = [...this.#values]
      .filter(
        ([, x]) =>
          (dtype ? x.dtype === dtype : isFloat(x.dtype)) && sizeOf(x.shape) <= LARGEST && fits(x.shape),
      )
      .map(([name]) => name);
    if (names.length === 0) return undefined;
    return this.pick(this.once(2) ? names : names.slice(-3));
  }

  /** A float value whose shape fits; by default any. Sometimes, and where there is none, a new input. */
  tensor(
    fits: (shape: readonly number[]) => boolean = () => true,
    fresh: () => readonly number[] = () => this.freshShape(),
  ): string {
    const found = this.once(6) ? undefined : this.existing(fits);
    return found ?? this.input(fresh());
  }

  /** A float value with a rank between the bounds. */
  ranked(lowest: number, highest = HIGHEST_RANK): string {
    return this.tensor(
      ({ length }) => length >= lowest && length <= highest,
      () => this.freshShape(lowest, Math.max(lowest, Math.min(highest, 3))),
    );
  }

  /** A float value of exactly this shape. */
  shaped(shape: readonly number[]): string {
    return this.tensor(
      (other) => other.length === shape.length && other.every((n, i) => n === shape[i]),
      () => shape,
    );
  }

  /** A float value that broadcasts with the given one. */
  partner(value: string): string {
    const shape = this.shape(value);
    const trailing = shape.slice(this.integer(0, shape.length)).map((n) => (this.once(4) ? 1 : n));
    return this.tensor(
      (other) => broadcast(shape, other),
      () => trailing,
    );
  }

  /** Booleans that broadcast with the given value. */
  condition(value: string): string {
    const found = this.existing((other) => broadcast(this.shape(value), other), "bool");
    return found ?? this.step("greater", [value, this.partner(value)]);
  }

  /** A value between -limit and limit. */
  bounded(value = this.tensor(), limit = 1): string {
    const unit = this.step("tanh", [value], {}, [-1, 1]);
    if (limit === 1) return unit;
    return this.step("mul", [unit, this.given({ shape: [], data: [limit] })], {}, [-limit, limit]);
  }

  /** A value of at least 0.4. */
  positive(value = this.tensor()): string {
    const square = this.step("square", [this.bounded(value)], {}, [0, 1]);
    return this.step("add", [square, this.given({ shape: [], data: [0.4] })], {}, [0.4, 1.4]);
  }

  /** An axis of a value with at least one, from the front or from the back. */
  axis(value: string): number {
    const rank = this.rank(value);
    return this.integer(-rank, rank - 1);
  }

  /** Size along an axis. */
  along(value: string, axis: number): number {
    return this.shape(value).at(axis) as number;
  }

  /** Options of a reduction: one axis, several or all, kept or not. */
  reduction(value: string): Attributes {
    const rank = this.rank(value);
    const axes = Array.from({ length: rank }, (_, axis) => axis).filter(() => this.once(2));
    const keepDims = this.once(2);
    if (rank === 0 || this.once(4)) return { keepDims };
    return axes.length === 0 ? { axes: this.axis(value), keepDims } : { axes, keepDims };
  }

  /** Applies an operation and returns the name of its first result; large results are cut. */
  step(
    op: string,
    operands: readonly string[],
    attributes: Attributes = {},
    range?: readonly [number, number],
  ): string {
    return this.steps(op, operands, attributes, range)[0] as string;
  }

  /** As `step`, with the names of all results. */
  steps(
    op: string,
    operands: readonly string[],
    attributes: Attributes = {},
    range?: readonly [number, number],
  ): string[] {
    const apply = applications[op];
    if (!apply) throw new Error(`no family applies '${op}'`);
    const given = operands.map((name) => this.#values.get(name) as Tensor);
    const result = apply(given, attributes);
    const outputs = "node" in result ? [result] : result;
    const results = outputs.map(({ shape, dtype }, i) => ({
      name: `v${this.#steps.length}${outputs.length > 1 ? `_${i}` : ""}`,
      shape,
      ...(isFloat(dtype) ? {} : { dtype }),
      ...(range && { range }),
    }));
    this.#steps.push({ op, operands, attributes, results });
    results.forEach(({ name, shape }, i) =>
      this.#values.set(name, placeholder(name, { shape, dtype: (outputs[i] as Tensor).dtype })),
    );
    return results.map(({ name }) => this.#cut(name));
  }

  #cut(name: string): string {
    const value = this.#values.get(name) as Tensor;
    if (!isFloat(value.dtype)) return name;
    if (value.rank > HIGHEST_RANK) return this.step("sum", [name], { axes: 0 });
    if (sizeOf(value.shape) <= LARGEST) return name;
    const axis = value.shape.indexOf(Math.max(...value.shape));
    const size = value.shape[axis] as number;
    const length = Math.max(1, size >> 1);
    return this.step("narrow", [name], { axis, start: this.integer(0, size - length), length });
  }
}
