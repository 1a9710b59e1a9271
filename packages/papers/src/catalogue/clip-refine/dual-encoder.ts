import {
  type BagOfWordsParams,
  bagOfWords,
  bagOfWordsInit,
  type ConvEncoderParams,
  convEncoder,
  convEncoderInit,
  embeddingInit,
  type LinearParams,
  type TextTransformerParams,
  textTransformer,
  textTransformerInit,
  type VisionTransformerParams,
  visionTransformer,
  visionTransformerInit,
} from "@concord/nn";
import { foldIn, type Key, type NDArray, normalArray, type Tensor, type Traced } from "@concord/tensor";
import type { PairFeatures } from "./hycd.ts";

export type ImageTowerConfig =
  | { readonly kind: "convolutional"; readonly filters: readonly number[] }
  | {
      readonly kind: "vision-transformer";
      readonly patchSize: number;
      readonly width: number;
      readonly layers: number;
      readonly heads: number;
    };

export type TextTowerConfig =
  | {
      readonly kind: "bag-of-words";
      readonly width: number;
      /** Standard deviation of the initial word vectors. */
      readonly wordDeviation: number;
      readonly hidden: readonly number[];
    }
  | { readonly kind: "transformer"; readonly width: number; readonly layers: number; readonly heads: number };

/** Two towers with a common output width D. */
export interface DualEncoderConfig {
  readonly width: number;
  readonly image: ImageTowerConfig;
  readonly text: TextTowerConfig;
}

export interface DualEncoderParams {
  readonly image: ConvEncoderParams | VisionTransformerParams;
  readonly text: BagOfWordsParams | TextTransformerParams;
}

/** Images and captions as the towers take them. */
export interface PairBatch {
  /** [B, 3, S, S], standardised per channel */
  readonly images: Tensor;
  /** [B, T] int32 */
  readonly tokens: Tensor;
  /** [B, T] float32: 1 for tokens, 0 for padding */
  readonly mask: Tensor;
}

export interface DualEncoderOptions {
  readonly config: DualEncoderConfig;
  readonly imageSize: number;
  readonly vocabulary: number;
  /** T: every text is padded to this many tokens. */
  readonly context: number;
}

/** A dual encoder as pure functions of its parameters. Features are not normalised. */
export interface DualEncoder {
  readonly width: number;
  init(key: Key): DualEncoderParams;
  images(params: Traced<DualEncoderParams>, images: Tensor): Tensor;
  texts(params: Traced<DualEncoderParams>, tokens: Tensor, mask: Tensor): Tensor;
  pairs(params: Traced<DualEncoderParams>, batch: PairBatch): PairFeatures;
}

export function dualEncoder({ config, imageSize, vocabulary, context }: DualEncoderOptions): DualEncoder {
  const { width, image, text } = config;
  const encoder: DualEncoder = {
    width,
    init: (key) => ({
      image:
        image.kind === "convolutional"
          ? convEncoderInit(foldIn(key, 0), { imageSize, filters: image.filters, outputs: width })
          : visionTransformerInit(foldIn(key, 0), { ...image, imageSize, outputs: width }),
      text:
        text.kind === "bag-of-words"
          ? {
              ...bagOfWordsInit(foldIn(key, 1), { ...text, vocabulary, outputs: width }),
              words: embeddingInit(foldIn(key, 2), {
                vocabulary,
                width: text.width,
                deviation: text.wordDeviation,
              }),
            }
          : textTransformerInit(foldIn(key, 1), { ...text, vocabulary, context, outputs: width }),
    }),
    images(params, images) {
      if (image.kind === "convolutional")
        return convEncoder(params.image as Traced<ConvEncoderParams>, images);
      return visionTransformer(params.image as Traced<VisionTransformerParams>, images, image);
    },
    texts(params, tokens, mask) {
      if (text.kind === "bag-of-words")
        return bagOfWords(params.text as Traced<BagOfWordsParams>, tokens, mask);
      return textTransformer(params.text as Traced<TextTransformerParams>, tokens, mask, text);
    },
    pairs: (params, { images, tokens, mask }) => ({
      image: encoder.images(params, images),
      text: encoder.texts(params, tokens, mask),
    }),
  };
  return encoder;
}

/** The parameters with another last affine layer of a tower. */
function withHeads(
  params: DualEncoderParams,
  change: (head: LinearParams, tower: "image" | "text") => LinearParams,
): DualEncoderParams {
  const { image, text } = params;
  const changedText =
    "words" in text && "layers" in text.head
      ? {
          ...text,
          head: {
            layers: text.head.layers.map((layer, i, all) =>
              i === all.length - 1 ? change(layer, "text") : layer,
            ),
          },
        }
      : { ...text, head: change(text.head as LinearParams, "text") };
  return {
    image: { ...image, head: change(image.head, "image") },
    text: changedText as DualEncoderParams["text"],
  };
}

/**
 * Adds orthogonal vectors of the given length to the biases of the two heads, so that images and texts start in two
 * clouds, as those of a large pre-trained model lie.
 *
 * @throws RangeError when a head has no bias
 */
export function separateModalities(params: DualEncoderParams, key: Key, length: number): DualEncoderParams {
  const directions = orthogonalPair(key, params.image.head.weight.shape[1] as number);
  return withHeads(params, (head, tower) => {
    if (!head.bias) throw new RangeError(`separateModalities: the ${tower} tower has a head without bias`);
    const direction = directions[tower];
    const data = Float32Array.from(
      head.bias.data as Float32Array,
      (value, k) => value + length * (direction[k] as number),
    );
    return { ...head, bias: { dtype: "float32", shape: head.bias.shape, data } };
  });
}

/** Two random unit vectors at a right angle. */
function orthogonalPair(
  key: Key,
  width: number,
): { readonly image: Float64Array; readonly text: Float64Array } {
  const dot = (x: Float64Array, y: Float64Array): number =>
    x.reduce((sum, v, k) => sum + v * (y[k] as number), 0);
  const unit = (x: Float64Array): Float64Array => {
    const length = Math.sqrt(dot(x, x));
    return x.map((v) => v / length);
  };
  const [first, second] = [0, 1].map((i) => Float64Array.from(normalArray(foldIn(key, i), [width]).data));
  const image = unit(first as Float64Array);
  const along = dot(image, second as Float64Array);
  return { image, text: unit((second as Float64Array).map((v, k) => v - along * (image[k] as number))) };
}

/** Multiplies the outputs of each tower by a factor, which leaves all cosines as they are. */
export function scaleFeatures(
  params: DualEncoderParams,
  factors: { readonly image: number; readonly text: number },
): DualEncoderParams {
  const times = (array: NDArray, factor: number): NDArray<"float32"> => ({
    dtype: "float32",
    shape: array.shape,
    data: Float32Array.from(array.data as Float32Array, (value) => value * factor),
  });
  return withHeads(params, (head, tower) => ({
    weight: times(head.weight, factors[tower]),
    ...(head.bias && { bias: times(head.bias, factors[tower]) }),
  }));
}
