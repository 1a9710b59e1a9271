import {
  type LayerNormParams,
  type LinearParams,
  layerNormInit,
  linear,
  linearInit,
  patchify,
} from "@concord/nn";
import {
  add,
  broadcastTo,
  checkAxes,
  concat,
  foldIn,
  gelu,
  type Key,
  layerNorm,
  mean,
  type NDArray,
  narrow,
  normalArray,
  reshape,
  type Tensor,
  type Traced,
  transpose,
} from "@concord/tensor";
import { type LoraLinearOptions, loraLinearInit } from "./lora-linear.ts";
import { patchDropout } from "./patch-dropout.ts";
import {
  type AttentionMaps,
  type AttentionMapsOptions,
  adaptedAttention,
  type TemporalParams,
  temporalAttentionStep,
} from "./temporal-attention.ts";

/** A vision transformer as CLIP has it: class token, norms before and after, linear projection. */
export interface ModalityEncoderConfig {
  /** Side of the patches in pixels. */
  readonly patchSize: number;
  /** [H, W] of the inputs in pixels; both parts into patches. */
  readonly inputSize: readonly [height: number, width: number];
  /** Width of the tokens. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** D, width of the space that is shared with language. */
  readonly outputs: number;
}

export interface EncoderBlockParams {
  readonly attentionNorm: LayerNormParams;
  readonly attention: AttentionMaps;
  readonly mlpNorm: LayerNormParams;
  readonly expand: LinearParams;
  readonly contract: LinearParams;
  /** For video: what comes before the spatial part. */
  readonly temporal?: TemporalParams;
}

export interface ModalityEncoderParams {
  /** [3 p², width], without bias */
  readonly patches: LinearParams;
  /** [width] */
  readonly classToken: NDArray;
  /** [1 + N, width] */
  readonly positions: NDArray;
  readonly preNorm: LayerNormParams;
  readonly blocks: readonly EncoderBlockParams[];
  readonly finalNorm: LayerNormParams;
  /** [width, D], without bias */
  readonly projection: LinearParams;
}

/** Rows and columns of patches. @throws RangeError when a side does not part into patches */
export function patchGrid({ inputSize, patchSize }: ModalityEncoderConfig): readonly [number, number] {
  const grid = inputSize.map((side) => side / patchSize) as [number, number];
  if (!grid.every((side) => Number.isInteger(side) && side >= 1))
    throw new RangeError(
      `modalityEncoder: inputs of ${inputSize.join(" x ")} do not part into patches of ${patchSize}`,
    );
  return grid;
}

const MLP_EXPANSION = 4;

/** An encoder with random weights. Deviations are OpenCLIP's: width^(-1/2) for tokens, positions and projection. */
export function modalityEncoderInit(key: Key, config: ModalityEncoderConfig): ModalityEncoderParams {
  const { patchSize, width, layers, outputs } = config;
  const [rows, columns] = patchGrid(config);
  const deviation = 1 / Math.sqrt(width);
  const square = (from: Key): LinearParams => linearInit(from, { inputs: width, outputs: width });
  const inner = MLP_EXPANSION * width;
  return {
    patches: linearInit(foldIn(key, 0), { inputs: 3 * patchSize * patchSize, outputs: width, bias: false }),
    classToken: normalArray(foldIn(key, 1), [width], 0, deviation),
    positions: normalArray(foldIn(key, 2), [1 + rows * columns, width], 0, deviation),
    preNorm: layerNormInit(width),
    blocks: Array.from({ length: layers }, (_, i) => {
      const [q, k, v, o, e, c] = Array.from({ length: 6 }, (_unused, j) =>
        foldIn(foldIn(key, 3), 6 * i + j),
      ) as [Key, Key, Key, Key, Key, Key];
      return {
        attentionNorm: layerNormInit(width),
        attention: { query: square(q), key: square(k), value: square(v), output: square(o) },
        mlpNorm: layerNormInit(width),
        expand: linearInit(e, { inputs: width, outputs: inner }),
        contract: linearInit(c, { inputs: inner, outputs: width }),
      };
    }),
    finalNorm: layerNormInit(width),
    projection: {
      weight: normalArray(foldIn(key, 4), [width, outputs], 0, deviation),
    },
  };
}

export interface EncodeOptions {
  readonly config: ModalityEncoderConfig;
  /** Rank and alpha of the adapters, where the parameters hold any. */
  readonly lora?: LoraLinearOptions;
  /** In training: share of the patches left out, and [B, N] noise that says which. */
  readonly dropout?: { readonly rate: number; readonly noise: Tensor };
}

const norm = (params: Traced<LayerNormParams>, x: Tensor): Tensor => layerNorm(x, params.gain, params.bias);

/** A block; the last one needs its class token alone, [B, 1, D], which spares it most of its maps. */
function blockOf(
  params: Traced<EncoderBlockParams>,
  x: Tensor,
  options: AttentionMapsOptions,
  isLast: boolean,
): Tensor {
  const timed = params.temporal ? temporalAttentionStep(params.temporal, x, options) : x;
  const kept = isLast ? narrow(timed, 1, 0, 1) : timed;
  const attention = adaptedAttention(params.attention, norm(params.attentionNorm, timed), {
    ...options,
    ...(isLast && { queries: 1 }),
  });
  const attended = add(kept, attention);
  return add(attended, linear(params.contract, gelu(linear(params.expand, norm(params.mlpNorm, attended)))));
}

/** Flattened patches of rectangular pictures, row by row: [B, 3, H, W] to [B, N, 3 p²]. */
function patchesOf(images: Tensor, patchSize: number): Tensor {
  const { B, H, W } = checkAxes("modalityEncoder", { images: [images, "B 3 H W"] });
  if (H === W) return patchify(images, patchSize);
  const [rows, columns] = [H / patchSize, W / patchSize];
  const grid = reshape(images, [B, 3, rows, patchSize, columns, patchSize]);
  return reshape(transpose(grid, [0, 2, 4, 1, 3, 5]), [B, rows * columns, 3 * patchSize * patchSize]);
}

/**
 * Encodes a modality: linear patches, class token and positions, patch dropout in training, norm, pre-norm blocks, norm
 * of the class token, for video the mean over frames, linear projection.
 *
 * @param inputs  [B, 3, H, W], or [B, T, 3, H, W] for video
 * @returns [B, D], not normalised
 * @throws ShapeError when the inputs are not of the configured size; RangeError for a rate outside [0, 1)
 * @source released code, model/process_clip.py; base_model.py:307-311
 */
export function modalityEncoder(
  params: Traced<ModalityEncoderParams>,
  inputs: Tensor,
  { config, lora, dropout }: EncodeOptions,
): Tensor {
  const [H, W] = config.inputSize;
  const isVideo = inputs.rank === 5;
  const { B, T = 1 } = isVideo
    ? checkAxes("modalityEncoder", { inputs: [inputs, `B T 3 ${H} ${W}`] })
    : { ...checkAxes("modalityEncoder", { inputs: [inputs, `B 3 ${H} ${W}`] }), T: 1 };
  const images = isVideo ? reshape(inputs, [B * T, 3, H, W]) : inputs;
  const patches = linear(params.patches, patchesOf(images, config.patchSize));
  const classTokens = broadcastTo(reshape(params.classToken, [1, 1, -1]), [B * T, 1, config.width]);
  const all = add(concat([classTokens, patches], 1), params.positions);
  const tokens = dropout ? patchDropout(all, dropout.noise, { rate: dropout.rate, frames: T }).tokens : all;
  const options = { heads: config.heads, ...(lora && { lora }) };
  const last = params.blocks.length - 1;
  const hidden = params.blocks.reduce(
    (x, block, i) => blockOf(block, x, options, i === last),
    norm(params.preNorm, tokens),
  );
  const pooled = norm(params.finalNorm, reshape(narrow(hidden, 1, 0, 1), [B, T, config.width]));
  return linear(params.projection, mean(pooled, { axes: 1 }));
}

/**
 * The encoder with attention over T frames before the spatial part of every block. Maps and norms start as copies of
 * the spatial ones, the vectors of the frames as N(0, 1/√width).
 *
 * @source released code, model/process_clip.py:561-598
 */
export function withTemporalAttention(
  key: Key,
  params: ModalityEncoderParams,
  frames: number,
): ModalityEncoderParams {
  if (!Number.isInteger(frames) || frames < 1)
    throw new RangeError(`withTemporalAttention: frames must be an integer >= 1, got ${frames}`);
  const blocks = params.blocks.map((block, i): EncoderBlockParams => {
    const width = block.attention.query.weight.shape[0] as number;
    return {
      ...block,
      temporal: {
        frames: normalArray(foldIn(key, i), [frames, width], 0, 1 / Math.sqrt(width)),
        norm: block.attentionNorm,
        attention: block.attention,
      },
    };
  });
  return { ...params, blocks };
}

/** The attention maps that a modality trains: along time where there is such attention, else within the picture. */
export function adaptedMaps(block: EncoderBlockParams): AttentionMaps {
  return block.temporal?.attention ?? block.attention;
}

/** Adapters of rank r on the query, key, value and output maps of every block, in the attention that is trained. */
export function withLoraAdapters(
  key: Key,
  params: ModalityEncoderParams,
  rank: number,
): ModalityEncoderParams {
  const blocks = params.blocks.map((block, i): EncoderBlockParams => {
    const maps = adaptedMaps(block);
    const adapted = Object.fromEntries(
      (Object.keys(maps) as (keyof AttentionMaps)[]).map((name, j) => [
        name,
        { ...maps[name], lora: loraLinearInit(foldIn(foldIn(key, i), j), maps[name], rank) },
      ]),
    ) as unknown as AttentionMaps;
    return block.temporal
      ? { ...block, temporal: { ...block.temporal, attention: adapted } }
      : { ...block, attention: adapted };
  });
  return { ...params, blocks };
}
