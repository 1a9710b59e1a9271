import type { NDArray } from "../../../core/ndarray.ts";
import type { NodeCall, Value } from "../call.ts";

export type Results = Value | readonly (Value | undefined)[];

/** How one operator is imported. */
export interface OpEntry {
  /** Attributes that are understood; others are refused, because they may change the meaning. */
  readonly attributes: readonly string[];
  /** Most inputs that a node may have; not checked when left out. */
  readonly inputs?: number;
  /** First and last opset (of the operator's domain) in which the operator exists with this meaning. */
  readonly since?: number;
  readonly until?: number;
  /** What is left out or different, for the table of supported operators. */
  readonly note?: string;
  /** Computes the node while tracing, when all inputs are known. */
  readonly fold?: (call: NodeCall, inputs: readonly NDArray[]) => Results;
  /** Makes tensors that compute the node. */
  readonly lazy?: (call: NodeCall) => Results;
}

export type OpEntries = Readonly<Record<string, OpEntry>>;
