import { checkAxes } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, type Tensor } from "../core/tensor.ts";
import { treeEntries, treeMap } from "../core/tree.ts";
import { greater, maximum, sub, where } from "./arithmetic.ts";
import { zeros } from "./create.ts";
import { takeAlong } from "./gather.ts";
import { gruDirection } from "./recurrent-gru.ts";
import { lstmDirection } from "./recurrent-lstm.ts";
import { concat, narrow, split, stack } from "./shape.ts";
import { broadcastTo, expandDims, squeeze, transpose } from "./structure.ts";

/** Weights of one direction; G gates, three of a GRU or four of an LSTM, one after another along the first axis. */
export interface RecurrentWeights {
  /** W [G·H, I] */
  readonly inputWeights: Tensor;
  /** U [G·H, H] */
  readonly recurrentWeights: Tensor;
  /** b [G·H]; none when left out */
  readonly inputBias?: Tensor | undefined;
  /** d [G·H]; none when left out */
  readonly recurrentBias?: Tensor | undefined;
}

/** One direction, or two: the first reads the sequence forwards, the second backwards. */
export type DirectedWeights =
  | RecurrentWeights
  | readonly [forwards: RecurrentWeights, backwards: RecurrentWeights];

export interface RecurrentOptions {
  /** Whether x and the hidden states are [B, T, ...] instead of [T, B, ...]. Default false. */
  readonly batchFirst?: boolean;
  /** Hidden state before the first step, [B, D·H]. Default 0. */
  readonly initial?: Tensor;
  /**
   * int32 [B]: number of valid steps of each sequence, 0 to T. Hidden states beyond are 0, the last state is that of
   * the last valid step, and reading backwards starts there. A sequence of length 0 ends in 0.
   */
  readonly lengths?: TensorLike;
}

export interface RecurrentResult {
  /** Hidden states of all steps: [T, B, D·H], or [B, T, D·H] with `batchFirst`; both directions side by side. */
  readonly states: Tensor;
  /** The state after the last step of each direction: [B, D·H]. */
  readonly last: Tensor;
}

interface Prepared {
  readonly x: Tensor;
  readonly directions: readonly { readonly inputs: readonly Tensor[]; readonly reverse: boolean }[];
  readonly lengths: Tensor | undefined;
  /** Parts a state [B, D·H] into its directions; zeros when there is none. */
  readonly statesOf: (name: string, state: Tensor | undefined) => readonly Tensor[];
}

function prepare(
  operation: string,
  gates: number,
  x: Tensor,
  weights: DirectedWeights,
  options: RecurrentOptions,
): Prepared {
  const list = ("inputWeights" in weights ? [weights] : weights) as readonly RecurrentWeights[];
  const { B, T, I } = checkAxes(operation, { x: [x, options.batchFirst ? "B T I" : "T B I"] });
  if (B === 0 || T === 0)
    throw new ShapeError(
      `${operation}: needs at least one step of one sequence, got ${formatShape(x.shape)}`,
    );
  const hidden = list[0]?.recurrentWeights.shape.at(-1) ?? 0;
  const [G, H] = [gates * hidden, hidden];
  const directions = list.map(({ inputWeights, recurrentWeights, inputBias, recurrentBias }, k) => {
    checkDType(operation, [inputWeights, recurrentWeights, inputBias, recurrentBias], [x.dtype]);
    checkAxes(operation, {
      inputWeights: [inputWeights, `${G} ${I}`],
      recurrentWeights: [recurrentWeights, `${G} ${H}`],
      ...(inputBias && { inputBias: [inputBias, `${G}`] }),
      ...(recurrentBias && { recurrentBias: [recurrentBias, `${G}`] }),
    });
    const bias = (given: Tensor | undefined): Tensor => given ?? zeros([G], x.dtype);
    return {
      inputs: [inputWeights, recurrentWeights, bias(inputBias), bias(recurrentBias)],
      reverse: k === 1,
    };
  });
  checkDType(operation, [x]);
  const lengths = options.lengths === undefined ? undefined : asTensor(options.lengths, "int32");
  if (lengths) {
    if (lengths.dtype !== "int32")
      throw new DTypeError(`${operation}: lengths must be int32, got ${lengths.dtype}`);
    checkAxes(operation, { lengths: [lengths, `${B}`] });
  }
  return {
    x: options.batchFirst ? transpose(x, [1, 0, 2]) : x,
    directions,
    lengths,
    statesOf: (name, state) => {
      if (!state) return directions.map(() => zeros([B, H], x.dtype));
      checkDType(operation, [state], [x.dtype]);
      checkAxes(operation, { [name]: [state, `${B} ${directions.length * H}`] });
      return split(state, directions.length, 1);
    },
  };
}

/** The state after the last step that a direction visits: [T, B, H] to [B, H]. */
function lastOf(states: Tensor, reverse: boolean, lengths: Tensor | undefined): Tensor {
  const [steps, batch, hidden] = states.shape as [number, number, number];
  if (reverse || !lengths) return squeeze(narrow(states, 0, reverse ? 0 : steps - 1, 1), 0);
  const index = expandDims(expandDims(maximum(sub(lengths, 1), 0), 0), 2);
  return squeeze(takeAlong(states, broadcastTo(index, [1, batch, hidden]), 0), 0);
}

function sideBySide(parts: readonly Tensor[], batchFirst: boolean | undefined): Tensor {
  const joined = concat(parts, -1);
  return batchFirst ? transpose(joined, [1, 0, 2]) : joined;
}

/**
 * Gated recurrent unit over whole sequences, in one or two directions (D = 1 or 2).
 *
 *   r = σ(W_r x_t + b_r + U_r h + d_r),   z = σ(W_z x_t + b_z + U_z h + d_z),
 *   n = tanh(W_n x_t + b_n + r ⊙ (U_n h + d_n)),   h ← (1 - z) ⊙ n + z ⊙ h
 *
 * Gates stand in the order r, z, n, and the reset gate acts after the product with U, as in PyTorch. In float32 ONNX
 * Runtime's kernel runs all steps; float64 is unrolled. The gradient keeps the hidden states only and computes the
 * gates anew.
 *
 * @param x        [T, B, I], T steps of B sequences, or [B, T, I] with `batchFirst`
 * @param weights  of one direction, or of both
 * @throws ShapeError, DTypeError when weights, states or lengths do not fit x
 * @source Cho et al. 2014, in the form of cuDNN
 */
export function gru(x: Tensor, weights: DirectedWeights, options: RecurrentOptions = {}): RecurrentResult {
  const prepared = prepare("gru", 3, x, weights, options);
  const { lengths, directions } = prepared;
  const initial = prepared.statesOf("initial", options.initial);
  const results = directions.map(({ inputs, reverse }, k) => {
    const states = gruDirection(
      [prepared.x, ...inputs, initial[k] as Tensor, ...(lengths ? [lengths] : [])],
      { reverse },
    );
    return { states, last: lastOf(states, reverse, lengths) };
  });
  return {
    states: sideBySide(
      results.map(({ states }) => states),
      options.batchFirst,
    ),
    last: concat(
      results.map(({ last }) => last),
      1,
    ),
  };
}

export interface LstmOptions extends RecurrentOptions {
  /** Cell before the first step, [B, D·H]. Default 0. */
  readonly initialCell?: Tensor;
}

/**
 * Long short-term memory over whole sequences, in one or two directions (D = 1 or 2).
 *
 *   i = σ(W_i x_t + b_i + U_i h + d_i),   f = σ(…),   g = tanh(…),   o = σ(…),
 *   c ← f ⊙ c + i ⊙ g,   h ← o ⊙ tanh c
 *
 * Gates stand in the order i, f, g, o, as in PyTorch. Computed as `gru` is.
 *
 * @param x        [T, B, I], T steps of B sequences, or [B, T, I] with `batchFirst`
 * @param weights  of one direction, or of both
 * @returns hidden states, the last state and the last cell [B, D·H]
 * @throws ShapeError, DTypeError when weights, states or lengths do not fit x
 * @source Hochreiter, Schmidhuber 1997; forget gate: Gers et al. 2000
 */
export function lstm(
  x: Tensor,
  weights: DirectedWeights,
  options: LstmOptions = {},
): RecurrentResult & { readonly lastCell: Tensor } {
  const prepared = prepare("lstm", 4, x, weights, options);
  const { lengths, directions } = prepared;
  const initial = prepared.statesOf("initial", options.initial);
  const initialCell = prepared.statesOf("initialCell", options.initialCell);
  const results = directions.map(({ inputs, reverse }, k) => {
    const start = [initial[k] as Tensor, initialCell[k] as Tensor];
    const [states, cell] = lstmDirection([prepared.x, ...inputs, ...start, ...(lengths ? [lengths] : [])], {
      reverse,
    }) as [Tensor, Tensor];
    // Kernels differ in what they return for a sequence without steps.
    const lastCell = lengths ? where(expandDims(greater(lengths, 0), 1), cell, 0) : cell;
    return { states, lastCell, last: lastOf(states, reverse, lengths) };
  });
  return {
    states: sideBySide(
      results.map(({ states }) => states),
      options.batchFirst,
    ),
    last: concat(
      results.map(({ last }) => last),
      1,
    ),
    lastCell: concat(
      results.map(({ lastCell }) => lastCell),
      1,
    ),
  };
}

/**
 * Applies a step to the entries of the leading axis one after another, as a loop that is written out in the graph:
 *
 *   (state, y_t) ← step(state, x_t, t),   t = 0 … T - 1
 *
 * The graph grows with T; a few hundred steps are fine. Gradients flow through all of it.
 *
 * @param initial  state before the first step, a tree of tensors
 * @param inputs   a tree of tensors [T, ...]
 * @returns the state after the last step, and the tree of outputs stacked to [T, ...]
 * @throws ShapeError when the leading axes differ in size
 */
export function unroll<S, X, Y>(
  step: (state: S, input: X, t: number) => { readonly state: S; readonly output: Y },
  initial: S,
  inputs: X,
): { readonly state: S; readonly outputs: Y } {
  const leaves = treeEntries(inputs) as [string, Tensor][];
  const steps = leaves[0]?.[1].shape[0] ?? 0;
  for (const [path, leaf] of leaves)
    if (leaf.shape[0] !== steps)
      throw new ShapeError(
        `unroll: '${path}' has shape ${formatShape(leaf.shape)}, but '${leaves[0]?.[0]}' has ${steps} steps`,
      );
  if (steps === 0) throw new ShapeError("unroll: needs an input with at least one step");
  const parts = new Map(
    leaves.map(([path, leaf]) => [path, split(leaf, steps, 0).map((part) => squeeze(part, 0))]),
  );
  let state = initial;
  const outputs: Y[] = [];
  for (let t = 0; t < steps; t++) {
    const result = step(state, treeMap(inputs, (_, path) => parts.get(path)?.[t]) as X, t);
    state = result.state;
    outputs.push(result.output);
  }
  const lists = outputs.map((output) => new Map(treeEntries(output)));
  return {
    state,
    outputs: treeMap(outputs[0], (_, path) =>
      stack(
        lists.map((list) => list.get(path) as Tensor),
        0,
      ),
    ) as Y,
  };
}
