import type { TextTokenizer } from "@concord/data";
import type { BagOfWordsParams, TextTransformerParams } from "@concord/nn";
import { bagOfWords, bagOfWordsInit, embeddingInit, textTransformer, textTransformerInit } from "@concord/nn";
import { compile, evaluate, foldIn, type Key, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import type { LanguageBindConfig, TextConfig } from "./config.ts";
import { type AdaptableLinear, mergedWeight } from "./lora-linear.ts";
import {
  type EncoderBlockParams,
  type ModalityEncoderConfig,
  type ModalityEncoderParams,
  modalityEncoder,
  patchGrid,
} from "./modality-encoder.ts";
import { positionResize } from "./position-resize.ts";
import type { AttentionMaps } from "./temporal-attention.ts";

export type LanguageParams = BagOfWordsParams | TextTransformerParams;

/** A language encoder with random weights, into the width of the shared space. */
export function languageInit(
  key: Key,
  config: TextConfig,
  sizes: { readonly vocabulary: number; readonly context: number; readonly outputs: number },
): LanguageParams {
  if (config.kind === "transformer") return textTransformerInit(key, { ...config, ...sizes });
  return {
    ...bagOfWordsInit(foldIn(key, 0), { ...config, ...sizes }),
    words: embeddingInit(foldIn(key, 1), {
      vocabulary: sizes.vocabulary,
      width: config.width,
      deviation: config.wordDeviation,
    }),
  };
}

/** Texts to features [B, D], not normalised. */
export function languageEncoder(
  params: Traced<LanguageParams>,
  tokens: Tensor,
  mask: Tensor,
  config: TextConfig,
): Tensor {
  return config.kind === "transformer"
    ? textTransformer(params as Traced<TextTransformerParams>, tokens, mask, config)
    : bagOfWords(params as Traced<BagOfWordsParams>, tokens, mask);
}

/** The model after stage A: an encoder of colour pictures and the language that everything is bound to. */
export interface Start {
  readonly image: ModalityEncoderParams;
  readonly language: LanguageParams;
}

/** An encoder with its adapters added to the weights: the same function, without adapters. */
export async function mergeAdapters(
  params: ModalityEncoderParams,
  options: { readonly rank: number; readonly alpha: number },
): Promise<ModalityEncoderParams> {
  const merged = async (map: AdaptableLinear): Promise<AdaptableLinear> => {
    const { lora, ...rest } = map;
    if (!lora) return map;
    const { weight } = await evaluate({
      weight: mergedWeight(map as unknown as Traced<AdaptableLinear>, options),
    });
    return { ...rest, weight };
  };
  const mergedMaps = async (maps: AttentionMaps): Promise<AttentionMaps> => ({
    query: await merged(maps.query),
    key: await merged(maps.key),
    value: await merged(maps.value),
    output: await merged(maps.output),
  });
  const blocks = await Promise.all(
    params.blocks.map(
      async (block): Promise<EncoderBlockParams> => ({
        ...block,
        attention: await mergedMaps(block.attention),
        ...(block.temporal && {
          temporal: { ...block.temporal, attention: await mergedMaps(block.temporal.attention) },
        }),
      }),
    ),
  );
  return { ...params, blocks };
}

/** Samples embedded at a time. */
const CHUNK = 250;

/** Encoders on arrays: compiled once for each kind of input, whatever the parameters. No patches are left out. */
export interface Embedder {
  /** All samples of a sensor, [N, D]. Adapters must have been merged. */
  samples(
    params: ModalityEncoderParams,
    inputs: NDArray<"float32">,
    signal?: AbortSignal,
  ): Promise<NDArray<"float32">>;
  /** Texts, [N, D]. */
  texts(params: LanguageParams, texts: readonly string[], signal?: AbortSignal): Promise<NDArray<"float32">>;
}

/** Some rows of an array, in order. */
export function rowsOf(array: NDArray<"float32">, indices: ArrayLike<number>): NDArray<"float32"> {
  const [, ...shape] = array.shape;
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const from = (indices[i] as number) * size;
    data.set(array.data.subarray(from, from + size), i * size);
  }
  return { dtype: "float32", shape: [indices.length, ...shape], data };
}

export function createEmbedder(
  config: Pick<LanguageBindConfig, "encoder" | "text">,
  tokenizer: TextTokenizer,
  context: number,
): Embedder {
  const encodeSamples = compile(
    (params: Traced<ModalityEncoderParams>, inputs: Tensor) =>
      modalityEncoder(params, inputs, { config: sizedFor(config.encoder, inputs.shape) }),
    { name: "modality encoder" },
  );
  const encodeTexts = compile(
    (params: Traced<LanguageParams>, tokens: Tensor, mask: Tensor) =>
      languageEncoder(params, tokens, mask, config.text),
    { name: "language encoder" },
  );
  const { outputs } = config.encoder;
  const inChunks = async (
    count: number,
    signal: AbortSignal | undefined,
    embed: (indices: readonly number[]) => Promise<NDArray>,
  ): Promise<NDArray<"float32">> => {
    const data = new Float32Array(count * outputs);
    for (let start = 0; start < count; start += CHUNK) {
      signal?.throwIfAborted();
      const used = Math.min(CHUNK, count - start);
      // Filled up with the last one, so that few samples and many need one graph only.
      const indices = Array.from({ length: CHUNK }, (_, i) => start + Math.min(i, used - 1));
      const features = (await embed(indices)).data as Float32Array;
      data.set(features.subarray(0, used * outputs), start * outputs);
    }
    return { dtype: "float32", shape: [count, outputs], data };
  };
  return {
    samples: (params, inputs, signal) =>
      inChunks(inputs.shape[0] as number, signal, (indices) =>
        encodeSamples(params, rowsOf(inputs, indices)),
      ),
    texts: (params, texts, signal) =>
      inChunks(texts.length, signal, (indices) => {
        const { ids, mask } = tokenizer.encodeBatch(
          indices.map((i) => texts[i] as string),
          { length: context },
        );
        return encodeTexts(params, ids, mask);
      }),
  };
}

/** The encoder's sizes for inputs [..., H, W]. */
export function sizedFor(config: ModalityEncoderConfig, shape: readonly number[]): ModalityEncoderConfig {
  return { ...config, inputSize: shape.slice(-2) as [number, number] };
}

/** An encoder of pictures for inputs [..., H, W] of another size: its positions resized to their patches. */
export async function fittedTo(
  params: ModalityEncoderParams,
  config: ModalityEncoderConfig,
  shape: readonly number[],
): Promise<ModalityEncoderParams> {
  const [old, grid] = [patchGrid(config), patchGrid(sizedFor(config, shape))];
  if (grid.join() === old.join()) return params;
  return { ...params, positions: await positionResize(params.positions, old, grid) };
}
