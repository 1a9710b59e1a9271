import { ndarray } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { constant, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { equal, less, where } from "./arithmetic.ts";
import { arange } from "./create.ts";
import { concat, narrow, split } from "./shape.ts";
import { expandDims, reshape } from "./structure.ts";

/** What gru and lstm share; T steps, B sequences, I inputs, H hidden units. */
export interface DirectionAttributes {
  /** Whether the sequences are read from their ends. */
  readonly reverse: boolean;
}

/** Steps in the order in which a direction visits them. */
export function visitingOrder(steps: number, reverse: boolean): number[] {
  const forwards = Array.from({ length: steps }, (_, t) => t);
  return reverse ? forwards.reverse() : forwards;
}

/** [T, B, 1]: whether a step lies within its sequence. */
export function withinLengths(lengths: Tensor, steps: number): Tensor {
  return expandDims(less(expandDims(arange(steps, "int32"), 1), expandDims(lengths, 0)), 2);
}

/** x [T, B, ...] where the step lies within its sequence, else a number. */
export function keepWithin(mask: Tensor | undefined, x: Tensor, otherwise: number): Tensor {
  if (!mask) return x;
  const shape = x.shape.map((n, axis) => (axis < 2 ? n : 1));
  return where(reshape(mask, shape), x, otherwise);
}

/** The steps of [T, ...] as T tensors [1, ...]. */
export function stepsOf(x: Tensor): Tensor[] {
  return split(x, x.shape[0] as number, 0);
}

/** The state from which each step started: that of the step before it, or the initial one. All [T, B, H]. */
export function statesBefore(
  states: Tensor,
  initial: Tensor,
  reverse: boolean,
  lengths: Tensor | undefined,
): Tensor {
  const steps = states.shape[0] as number;
  const first = expandDims(initial, 0);
  if (steps === 1) return first;
  if (!reverse) return concat([first, narrow(states, 0, 0, steps - 1)], 0);
  const shifted = concat([narrow(states, 0, 1, steps - 1), first], 0);
  if (!lengths) return shifted;
  // Read from its end, a sequence starts at its own last step.
  const following = constant(
    ndarray(
      Array.from({ length: steps }, (_, t) => t + 1),
      { shape: [steps, 1], dtype: "int32" },
    ),
  );
  return where(expandDims(equal(following, expandDims(lengths, 0)), 2), first, shifted);
}

/** Rows of gates [G·H, ...] in another order of gates, with a leading axis as the kernels want it. */
export function reorderGates(
  graph: GraphBuilder,
  value: string,
  { shape }: Spec,
  order: readonly number[],
  hidden: number,
): string {
  const width = shape[1] ?? 1;
  const gates = graph.reshape(value, [order.length, hidden * width]);
  const ordered = graph.node("Gather", [gates, graph.int64s(order)], { axis: 0 });
  return graph.reshape(ordered, [1, ...shape]);
}

/** Both biases [G·H] one after another with their gates reordered: [1, 2·G·H]. */
export function joinBiases(
  graph: GraphBuilder,
  biases: readonly [string, string],
  order: readonly number[],
  hidden: number,
): string {
  const both = graph.node("Concat", biases, { axis: 0 });
  const twice = [...order, ...order.map((gate) => gate + order.length)];
  return reorderGates(graph, both, { shape: [twice.length * hidden], dtype: "float32" }, twice, hidden);
}

/** x · wᵀ + bias as nodes. */
export function affine(graph: GraphBuilder, x: string, w: string, bias: string): string {
  return graph.node("Add", [graph.node("MatMul", [x, graph.node("Transpose", [w], { perm: [1, 0] })]), bias]);
}

/** The recursion over time written out node by node, for element types for which there is no kernel. */
export function unrollNodes(
  graph: GraphBuilder,
  steps: number,
  reverse: boolean,
  dtype: Spec["dtype"],
  lengths: string | undefined,
  gatesOfInput: string,
  initial: readonly string[],
  step: (gates: string, state: readonly string[]) => readonly string[],
): { readonly outputs: string; readonly last: readonly string[] } {
  const perStep = graph.nodeWithOutputs("Split", [gatesOfInput], steps, { axis: 0, num_outputs: steps });
  const outputs = new Array<string>(steps);
  const column = lengths && graph.node("Unsqueeze", [lengths, graph.int64s([0, 2])]);
  let state = initial.map((value) => graph.node("Unsqueeze", [value, graph.int64s([0])]));
  for (const t of visitingOrder(steps, reverse)) {
    const next = step(perStep[t] as string, state);
    if (column) {
      const valid = graph.node("Less", [graph.scalar(t, "int32"), column]);
      state = next.map((value, i) => graph.node("Where", [valid, value, state[i] as string]));
      outputs[t] = graph.node("Where", [valid, next[0] as string, graph.scalar(0, dtype)]);
    } else {
      state = [...next];
      outputs[t] = next[0] as string;
    }
  }
  return { outputs: graph.node("Concat", outputs, { axis: 0 }), last: state };
}
