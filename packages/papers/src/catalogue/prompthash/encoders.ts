import {
  type Conv2dParams,
  conv2dInit,
  type EmbeddingParams,
  embedding,
  embeddingInit,
  type LayerNormParams,
  type LinearParams,
  layerNormInit,
  linear,
  linearInit,
  patchify,
  type TransformerBlocksMode,
  type TransformerLayerParams,
  transformerBlocks,
  transformerInit,
} from "@concord/nn";
import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  broadcastTo,
  concat,
  conv2d,
  expandDims,
  foldIn,
  full,
  layerNorm,
  matmul,
  normalArray,
  quickGelu,
  relu,
  reshape,
  squeeze,
  type Tensor,
  triu,
  zeros,
} from "@concord/tensor";

export type ImageEncoderConfig =
  | { readonly kind: "convolutional"; readonly filters: readonly number[] }
  | {
      readonly kind: "vision-transformer";
      readonly patchSize: number;
      readonly width: number;
      readonly layers: number;
      readonly heads: number;
    };

export interface EncoderConfig {
  /** C: width of features, and of text and prompt tokens. */
  readonly width: number;
  readonly image: ImageEncoderConfig;
  readonly text: { readonly layers: number; readonly heads: number };
  /** How many of the last blocks the hashing trains, of each encoder; 2 in the paper. */
  readonly tunedBlocks: number;
}

interface ConvolutionalParams {
  readonly stages: readonly Conv2dParams[];
}

interface VisionParams {
  readonly patches: LinearParams;
  /** [D] */
  readonly classToken: NDArray;
  /** [1 + patches, D] */
  readonly positions: NDArray;
  readonly firstNorm: LayerNormParams;
  readonly blocks: readonly TransformerLayerParams[];
}

/** What the hashing never trains. */
export interface FrozenParams {
  readonly image: ConvolutionalParams | VisionParams;
  readonly text: {
    readonly words: EmbeddingParams;
    /** [T, C] */
    readonly positions: NDArray;
    readonly blocks: readonly TransformerLayerParams[];
  };
}

/** The last blocks and what follows them. */
export interface TunedParams {
  readonly image:
    | (ConvolutionalParams & { readonly head: LinearParams })
    | {
        readonly blocks: readonly TransformerLayerParams[];
        readonly norm: LayerNormParams;
        readonly head: LinearParams;
      };
  readonly text: {
    readonly blocks: readonly TransformerLayerParams[];
    readonly norm: LayerNormParams;
    /** [C, C] */
    readonly projection: NDArray;
  };
}

export interface DualEncoderParams {
  readonly frozen: FrozenParams;
  readonly tuned: TunedParams;
}

export interface EncoderSizes {
  readonly imageSize: number;
  readonly vocabulary: number;
  /** T, tokens a text. */
  readonly context: number;
}

/** Image and text encoder with one interface for small ones and CLIP's. */
export interface DualEncoder {
  init(key: Key): DualEncoderParams;
  /** [B, 3, S, S] to [B, C], not normalised. */
  images(frozen: Traced<FrozenParams>, tuned: Traced<TunedParams>, images: Tensor): Tensor;
  /** Token and position embeddings, [B, T] to [B, T, C]. */
  embed(frozen: Traced<FrozenParams>, ids: Tensor): Tensor;
  /** Tokens after the text transformer with its causal mask, before the last norm: [B, T] to [B, T, C]. */
  tokens(frozen: Traced<FrozenParams>, tuned: Traced<TunedParams>, ids: Tensor): Tensor;
  /** Text features without a prompt: the end token after the last norm, projected. Ids [B, T], ends [B], to [B, C]. */
  plainText(frozen: Traced<FrozenParams>, tuned: Traced<TunedParams>, ids: Tensor, ends: Tensor): Tensor;
  /** Tokens [B, N, C] through blocks without a mask, as those of the prompt transformer: those at `read` [B, R]. */
  attend(blocks: Traced<readonly TransformerLayerParams[]>, tokens: Tensor, read: Tensor): Tensor;
}

const CHANNELS = 3;

function splitAt<T>(list: readonly T[], fromEnd: number): readonly [T[], T[]] {
  const place = Math.max(0, list.length - fromEnd);
  return [list.slice(0, place), list.slice(place)];
}

/**
 * Image and text encoder in CLIP's manner: class token (or the flattened map of a convolutional encoder) and end token,
 * pre-norm blocks with quick GELU, linear projections to a common width.
 *
 * @throws RangeError when sizes do not fit
 */
export function dualEncoder(config: EncoderConfig, sizes: EncoderSizes): DualEncoder {
  const { width, image, text, tunedBlocks } = config;
  if (width % text.heads !== 0)
    throw new RangeError(`prompthash: width ${width} does not part into ${text.heads} heads`);
  const run = (
    blocks: Traced<readonly TransformerLayerParams[]>,
    x: Tensor,
    mode: TransformerBlocksMode,
  ): Tensor => transformerBlocks(blocks, x, { activation: quickGelu, ...mode });
  const vision = image.kind === "vision-transformer" ? image : null;
  const embed = (frozen: Traced<FrozenParams>, ids: Tensor): Tensor =>
    add(embedding(frozen.text.words, ids), frozen.text.positions);
  const textTokens = (
    frozen: Traced<FrozenParams>,
    tuned: Traced<TunedParams>,
    ids: Tensor,
    read?: Tensor,
  ): Tensor => {
    const T = ids.shape[1] as number;
    return run([...frozen.text.blocks, ...tuned.text.blocks], embed(frozen, ids), {
      heads: text.heads,
      mask: triu(full([T, T], -1e9), 1),
      ...(read && { read }),
    });
  };
  return {
    init(key) {
      const { layers } = transformerInit(foldIn(key, 2), { width, layers: text.layers });
      const [early, late] = splitAt(layers, tunedBlocks);
      const images = imageInit(foldIn(key, 4), config, sizes.imageSize);
      return {
        frozen: {
          image: images.frozen,
          text: {
            words: embeddingInit(foldIn(key, 0), {
              vocabulary: sizes.vocabulary,
              width,
              deviation: 1 / Math.sqrt(width),
            }),
            positions: normalArray(foldIn(key, 1), [sizes.context, width], 0, 0.01),
            blocks: early,
          },
        },
        tuned: {
          image: images.tuned,
          text: {
            blocks: late,
            norm: layerNormInit(width),
            projection: normalArray(foldIn(key, 3), [width, width], 0, 1 / Math.sqrt(width)),
          },
        },
      };
    },
    images(frozen, tuned, pixels) {
      if (vision)
        return visionFeatures(
          frozen.image as never,
          tuned.image as never,
          pixels,
          vision,
          (blocks, x, read) => run(blocks, x, { heads: vision.heads, ...(read && { read }) }),
        );
      const stages = [frozen.image, tuned.image].flatMap(
        (part) => (part as Traced<ConvolutionalParams>).stages,
      );
      const map = stages.reduce(
        (x, stage) => relu(conv2d(x, stage.weight, { stride: 2, padding: 1, bias: stage.bias })),
        pixels,
      );
      return linear(tuned.image.head, reshape(map, [pixels.shape[0] as number, -1]));
    },
    embed,
    tokens: textTokens,
    plainText(frozen, tuned, ids, ends) {
      const tokens = squeeze(textTokens(frozen, tuned, ids, expandDims(ends, -1)), 1);
      const { norm, projection } = tuned.text;
      return matmul(layerNorm(tokens, norm.gain, norm.bias), projection);
    },
    attend: (blocks, tokens, read) => run(blocks, tokens, { heads: text.heads, read }),
  };
}

function imageInit(
  key: Key,
  { width, image, tunedBlocks }: EncoderConfig,
  imageSize: number,
): { readonly frozen: FrozenParams["image"]; readonly tuned: TunedParams["image"] } {
  if (image.kind === "convolutional") {
    const stages = image.filters.map((outputs, i) =>
      conv2dInit(foldIn(key, i), { inputs: image.filters[i - 1] ?? CHANNELS, outputs, kernel: 3 }),
    );
    // A stage does the work of two blocks: the last one is what the hashing trains.
    const [early, late] = splitAt(stages, Math.ceil(tunedBlocks / 2));
    const side = stages.reduce((size) => Math.ceil(size / 2), imageSize);
    const inputs = (image.filters.at(-1) as number) * side * side;
    return {
      frozen: { stages: early },
      tuned: { stages: late, head: linearInit(foldIn(key, stages.length), { inputs, outputs: width }) },
    };
  }
  const { patchSize, width: inner, layers } = image;
  const side = imageSize / patchSize;
  if (!Number.isInteger(side))
    throw new RangeError(`prompthash: image size ${imageSize} does not part into patches of ${patchSize}`);
  const [early, late] = splitAt(
    transformerInit(foldIn(key, 0), { width: inner, layers }).layers,
    tunedBlocks,
  );
  return {
    frozen: {
      patches: linearInit(foldIn(key, 1), { inputs: CHANNELS * patchSize ** 2, outputs: inner, bias: false }),
      classToken: normalArray(foldIn(key, 2), [inner], 0, 0.02),
      positions: normalArray(foldIn(key, 3), [1 + side * side, inner], 0, 0.02),
      firstNorm: layerNormInit(inner),
      blocks: early,
    },
    tuned: {
      blocks: late,
      norm: layerNormInit(inner),
      head: linearInit(foldIn(key, 4), { inputs: inner, outputs: width, bias: false }),
    },
  };
}

function visionFeatures(
  frozen: Traced<VisionParams>,
  tuned: Traced<Extract<TunedParams["image"], { norm: LayerNormParams }>>,
  pixels: Tensor,
  { patchSize, width }: { readonly patchSize: number; readonly width: number },
  run: (blocks: Traced<readonly TransformerLayerParams[]>, x: Tensor, read?: Tensor) => Tensor,
): Tensor {
  const B = pixels.shape[0] as number;
  const patches = linear(frozen.patches, patchify(pixels, patchSize));
  const classToken = broadcastTo(reshape(frozen.classToken, [1, 1, width]), [B, 1, width]);
  const tokens = add(concat([classToken, patches], 1), frozen.positions);
  const normed = layerNorm(tokens, frozen.firstNorm.gain, frozen.firstNorm.bias);
  // Of the last block the class token alone is read.
  const pooled = squeeze(run(tuned.blocks, run(frozen.blocks, normed), zeros([B, 1], "int32")), 1);
  return linear(tuned.head, layerNorm(pooled, tuned.norm.gain, tuned.norm.bias));
}
