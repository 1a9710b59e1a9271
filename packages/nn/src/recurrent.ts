import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  cast,
  checkAxes,
  type DirectedWeights,
  div,
  expandDims,
  foldIn,
  gru,
  lstm,
  maximum,
  mul,
  type RecurrentResult,
  sum,
  type Tensor,
  transpose,
  uniformArray,
} from "@concord/tensor";
import type { EmbeddingParams, LinearParams } from "./linear.ts";
import { embedding, embeddingInit, linear, linearInit } from "./linear.ts";

/** Weights of one direction; G gates, three of a GRU (r, z, n) or four of an LSTM (i, f, g, o). */
export interface RecurrentParams {
  /** [G·H, I] */
  readonly inputWeights: NDArray;
  /** [G·H, H] */
  readonly recurrentWeights: NDArray;
  /** [G·H] */
  readonly inputBias: NDArray;
  /** [G·H] */
  readonly recurrentBias: NDArray;
}

export interface RecurrentStackParams {
  /** Of each layer its directions: one, or forwards and backwards. */
  readonly layers: readonly (readonly RecurrentParams[])[];
}

export interface RecurrentStackOptions {
  readonly kind: "gru" | "lstm";
  /** Width of the input. */
  readonly inputs: number;
  /** Width of the state of one direction. */
  readonly hidden: number;
  /** Default 1. */
  readonly layers?: number;
  /** Read the sequence backwards, too; states of both directions stand side by side. Default false. */
  readonly bidirectional?: boolean;
}

const GATES = { gru: 3, lstm: 4 } as const;

/** Weights and biases of one direction, uniform in ±1 / √H. */
export function recurrentInit(
  key: Key,
  { kind, inputs, hidden }: Pick<RecurrentStackOptions, "kind" | "inputs" | "hidden">,
): RecurrentParams {
  const gates = GATES[kind] * hidden;
  const bound = 1 / Math.sqrt(hidden);
  const uniform = (i: number, shape: readonly number[]): NDArray =>
    uniformArray(foldIn(key, i), shape, -bound, bound);
  return {
    inputWeights: uniform(0, [gates, inputs]),
    recurrentWeights: uniform(1, [gates, hidden]),
    inputBias: uniform(2, [gates]),
    recurrentBias: uniform(3, [gates]),
  };
}

/**
 * Parameters of recurrent layers on top of each other.
 *
 * @throws RangeError when there are no layers
 */
export function recurrentStackInit(key: Key, options: RecurrentStackOptions): RecurrentStackParams {
  const { kind, inputs, hidden, layers = 1, bidirectional = false } = options;
  if (layers < 1) throw new RangeError(`recurrentStack: needs at least one layer, got ${layers}`);
  const directions = bidirectional ? 2 : 1;
  return {
    layers: Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: directions }, (_unused, direction) =>
        recurrentInit(foldIn(foldIn(key, layer), direction), {
          kind,
          inputs: layer === 0 ? inputs : directions * hidden,
          hidden,
        }),
      ),
    ),
  };
}

/**
 * Recurrent layers over a sequence. Whether they are GRUs or LSTMs follows from the number of gates.
 *
 * @param x                [T, B, I]
 * @param options.lengths  int32 [B]: valid steps of each sequence. Default: all
 * @returns states [T, B, D·H] of the last layer, and its last state [B, D·H]; D is 1 or 2 directions
 * @throws ShapeError when the widths do not fit
 */
export function recurrentStack(
  params: Traced<RecurrentStackParams>,
  x: Tensor,
  options: { readonly lengths?: Tensor } = {},
): RecurrentResult {
  let result: RecurrentResult = { states: x, last: x };
  for (const directions of params.layers) {
    const [first] = directions as [Traced<RecurrentParams>];
    const [rows, width] = first.recurrentWeights.shape as [number, number];
    const layer = rows === GATES.lstm * width ? lstm : gru;
    const weights = (directions.length === 1 ? first : directions) as unknown as DirectedWeights;
    result = layer(result.states, weights, options);
  }
  return result;
}

export interface RecurrentEncoderOptions extends Omit<RecurrentStackOptions, "inputs"> {
  readonly vocabulary: number;
  /** Width of the word vectors. */
  readonly width: number;
  readonly outputs: number;
}

export interface RecurrentEncoderParams {
  readonly words: EmbeddingParams;
  readonly layers: RecurrentStackParams;
  readonly head: LinearParams;
}

/** Parameters of a recurrent text encoder: word vectors, GRU or LSTM layers, a linear head. */
export function recurrentEncoderInit(key: Key, options: RecurrentEncoderOptions): RecurrentEncoderParams {
  const { vocabulary, width, hidden, bidirectional = false, outputs } = options;
  return {
    words: embeddingInit(foldIn(key, 0), { vocabulary, width, deviation: 1 / Math.sqrt(width) }),
    layers: recurrentStackInit(foldIn(key, 1), { ...options, inputs: width }),
    head: linearInit(foldIn(key, 2), { inputs: hidden * (bidirectional ? 2 : 1), outputs }),
  };
}

/**
 * Texts to vectors: word vectors, recurrent layers, the last state or the mean over real tokens, a linear head.
 *
 * @param ids              [B, T] int32
 * @param mask             [B, T] float32: 1 for tokens, then 0 for padding
 * @param options.pooling  "last" (default): of each direction the state after the last real token; "mean": over tokens
 * @returns [B, outputs], not normalised
 */
export function recurrentEncoder(
  params: Traced<RecurrentEncoderParams>,
  ids: Tensor,
  mask: Tensor,
  options: { readonly pooling?: "last" | "mean" } = {},
): Tensor {
  checkAxes("recurrentEncoder", { ids: [ids, "B T"], mask: [mask, "B T"] });
  const tokens = sum(mask, { axes: 1 });
  const words = embedding(params.words, transpose(ids));
  const { states, last } = recurrentStack(params.layers, words, { lengths: cast(tokens, "int32") });
  if (options.pooling !== "mean") return linear(params.head, last);
  const share = div(transpose(mask), maximum(tokens, 1));
  return linear(params.head, sum(mul(states, expandDims(share, -1)), { axes: 0 }));
}
