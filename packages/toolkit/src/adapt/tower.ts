import { type AdaptedOnnx, adaptOnnx, type LoraParams } from "@concord/nn";
import type { TrainMode } from "@concord/papers/recipes";
import {
  importOnnx,
  isNDArray,
  type Key,
  type NDArray,
  type OnnxLayer,
  type Tensor,
  type TensorLike,
  type Traced,
} from "@concord/tensor";
import type { Encoder } from "../encoders/encoder.ts";
import type { TowerData } from "./dataset.ts";
import { AdaptRequestError } from "./errors.ts";
import { tracedPooling } from "./traced-pooling.ts";

/** Weights of an encoder by name: those that are trained. */
export type EncoderParams = Readonly<Record<string, unknown>>;
export type Feeds = Readonly<Record<string, NDArray>>;

/** An encoder as a layer: traced, trained, exported. */
export interface EncoderLayer {
  readonly layer: OnnxLayer;
  /** What is trained of it; empty for a frozen one. */
  readonly params: EncoderParams;
  /** [B, D] base features; the key switches the adapters' dropout on. */
  apply(params: Traced<EncoderParams>, feeds: Readonly<Record<string, Tensor>>, key?: Tensor): Tensor;
  /** All weights by name, what was trained in its place. */
  merge(params: EncoderParams): Promise<Record<string, NDArray>>;
  /** As `apply` with all weights given, for export. */
  applyMerged(weights: Readonly<Record<string, TensorLike>>, feeds: Readonly<Record<string, Tensor>>): Tensor;
}

/** One side of the data with its encoder, if it has one. */
export interface Tower {
  readonly name: string;
  readonly width: number;
  readonly data: TowerData;
  readonly encoder: Encoder | null;
  /** [rows, D] by the untouched encoder. */
  readonly features: NDArray<"float32">;
  /** What a recipe may not change. */
  readonly anchor: boolean;
  /** The encoder as a layer; null for vectors computed before, and for a frozen one that cannot be taken apart. */
  readonly layer: EncoderLayer | null;
  /** Whether its encoder's own weights or adapters are trained. */
  readonly trained: boolean;
  /** For a second list of items of one encoder: the name of the tower that it belongs to. */
  readonly twinOf?: string;
}

export interface LayerOptions {
  readonly train: TrainMode;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
}

/** An encoder that runs, but cannot be imported as a layer. */
export class ClosedEncoderError extends AdaptRequestError {
  /** What the import found, without advice. */
  readonly reason: string;

  constructor(message: string, reason: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

function poolingOf(
  encoder: Encoder,
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, Tensor>>,
): Tensor {
  const { graph } = encoder;
  const output = outputs[graph.output];
  if (!output) throw new AdaptRequestError(`${encoder.name}: the model makes no '${graph.output}'`);
  return tracedPooling(output, graph, graph.mask === null ? undefined : feeds[graph.mask]);
}

/**
 * Imports an encoder as a layer in which as much is trained as `train` says.
 *
 * @throws ClosedEncoderError that names the file when the model cannot be imported; AdaptRequestError when it has nothing
 *   to adapt
 */
export async function openLayer(key: Key, encoder: Encoder, options: LayerOptions): Promise<EncoderLayer> {
  const { train, rank, alpha, dropout } = options;
  const { file, output } = encoder.graph;
  let layer: OnnxLayer;
  try {
    layer = await importOnnx(file, { trainable: train === "whole" ? "all" : "none", outputs: [output] });
  } catch (error) {
    throw new ClosedEncoderError(
      `${file} cannot be taken apart, as --train ${train} needs: ${(error as Error).message}\nQuantised models, and those with operators of one runtime alone, can only stay as they are: --train head.`,
      (error as Error).message,
      { cause: error },
    );
  }
  // The mask is read by the pooling even where the model itself does without.
  const pooled = (outputs: Record<string, Tensor>, feeds: Readonly<Record<string, Tensor>>): Tensor =>
    poolingOf(encoder, outputs, feeds);
  const taken = (feeds: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(
      Object.entries(feeds).filter(([name]) => layer.inputs.some((input) => input.name === name)),
    );
  const applyMerged = (
    weights: Readonly<Record<string, TensorLike>>,
    feeds: Readonly<Record<string, Tensor>>,
  ): Tensor => pooled(layer.apply(weights, taken(feeds)), feeds);
  if (train !== "adapters") {
    return {
      layer,
      params: layer.params,
      apply: (params, feeds) => applyMerged(params as Readonly<Record<string, Tensor>>, feeds),
      merge: async (params) => ({ ...layer.frozen, ...layer.params, ...(params as Record<string, NDArray>) }),
      applyMerged,
    };
  }
  const fit = new Set(
    layer.linears.filter(({ inputs, outputs }) => Math.min(inputs, outputs) >= rank).map(({ name }) => name),
  );
  if (fit.size === 0)
    throw new AdaptRequestError(
      `${file} has no matrix of rank ${rank} or more that adapters could change (${layer.linears.length} matrices in all); try --train head or whole, or a smaller --rank`,
    );
  const adapted: AdaptedOnnx = adaptOnnx(key, layer, {
    rank,
    alpha,
    dropout,
    match: (name) => fit.has(name),
  });
  return {
    layer,
    params: adapted.params,
    apply: (params, feeds, stepKey) =>
      pooled(
        adapted.apply(params as Traced<LoraParams>, taken(feeds), stepKey ? { key: stepKey } : {}),
        feeds,
      ),
    merge: (params) => adapted.merge(params as LoraParams),
    applyMerged,
  };
}

/**
 * The input that carries the items, of which views are made.
 *
 * @throws AdaptRequestError when the encoder has several inputs, as those of texts have
 */
export function mainInput({ name, encoder, layer }: Tower): string {
  const [input, ...others] = layer?.layer.inputs ?? [];
  if (!encoder || !input || others.length > 0 || encoder.modality === "text")
    throw new AdaptRequestError(
      `Views are made of pictures, sounds and vectors; '${name}' takes ${encoder?.modality ?? "vectors computed before"}${others.length > 0 ? ` by ${1 + others.length} inputs` : ""}.`,
    );
  return input.name;
}

/** Rows of a matrix, in the order of the indices. */
export function gatherRows({ shape, data }: NDArray<"float32">, rows: ArrayLike<number>): NDArray<"float32"> {
  const width = shape[1] as number;
  const picked = new Float32Array(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    picked.set(data.subarray(row * width, (row + 1) * width), i * width);
  }
  return { dtype: "float32", shape: [rows.length, width], data: picked };
}

/** Numbers in a tree of arrays. */
export function countNumbers(tree: unknown): number {
  if (isNDArray(tree)) return tree.data.length;
  if (typeof tree !== "object" || tree === null) return 0;
  return Object.values(tree).reduce((sum: number, child) => sum + countNumbers(child), 0);
}
