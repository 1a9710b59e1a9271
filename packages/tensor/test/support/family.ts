import type { ReduceOptions, Tensor } from "../../src/index.ts";

export type Attributes = Readonly<Record<string, unknown>>;
export type Application = (inputs: readonly Tensor[], attributes: Attributes) => Tensor | readonly Tensor[];

/**
 * A group of operations under test: file `operations/NAME.ts`, whose cases `fixtures/NAME.json` were computed by
 * PyTorch. Adding such a pair of files is all that a new group needs. How random programs use its operations stands
 * in `comparison/uses/NAME.ts`.
 */
export interface OperationFamily {
  /** How each operation is called with the inputs and attributes of its fixtures. */
  readonly applications: Readonly<Record<string, Application>>;
  /** Operations that ONNX Runtime computes in float32 only; they refuse float64. */
  readonly float32Only?: readonly string[];
  /** Operations whose results have no gradient: integers and booleans, or by their meaning. */
  readonly withoutGradient?: readonly string[];
  /** Operations whose gradient, by intent, is not that of their value; a test of their own covers it. */
  readonly otherGradient?: readonly string[];
  /** Operations that are differentiated at positive numbers, away from poles and branch points. */
  readonly positive?: readonly string[];
  /** Operations that are differentiated at the inputs of their fixtures, as others do not fit them. */
  readonly fixedInputs?: readonly string[];
  /** Exported functions that no fixture fits, each with the test file of this folder that covers it. */
  readonly testedElsewhere?: Readonly<Record<string, string>>;
}

export function unary(op: (x: Tensor) => Tensor): Application {
  return ([x]) => op(x as Tensor);
}

export function binary(op: (a: Tensor, b: Tensor) => Tensor): Application {
  return ([a, b]) => op(a as Tensor, b as Tensor);
}

export function reduction(op: (x: Tensor, options: ReduceOptions) => Tensor): Application {
  return ([x], attributes) => op(x as Tensor, attributes);
}

export function alongAxis(op: (x: Tensor, axis: number) => Tensor): Application {
  return ([x], { axis }) => op(x as Tensor, axis as number);
}
