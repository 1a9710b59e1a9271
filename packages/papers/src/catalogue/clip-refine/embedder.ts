import {
  type CaptionedImageSet,
  clipStatistics,
  standardise,
  type TextTokenizer,
  toFloatImages,
} from "@concord/data";
import { compile, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import { type DualEncoder, type DualEncoderParams, scaleFeatures } from "./dual-encoder.ts";

/** Items embedded at a time. */
const CHUNK = 250;

/** The towers of a dual encoder on arrays: each is compiled once per batch size, whatever the parameters. */
export interface Embedder {
  /** All images of a set, [N, D]. */
  images(
    params: DualEncoderParams,
    set: CaptionedImageSet,
    signal?: AbortSignal,
  ): Promise<NDArray<"float32">>;
  /** Texts, [N, D]. */
  texts(
    params: DualEncoderParams,
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<NDArray<"float32">>;
}

export function createEmbedder(encoder: DualEncoder, tokenizer: TextTokenizer, context: number): Embedder {
  type Params = Traced<DualEncoderParams>;
  const encodeImages = compile((params: Params, images: Tensor) => encoder.images(params, images), {
    name: "image encoder",
  });
  const encodeTexts = compile(
    (params: Params, tokens: Tensor, mask: Tensor) => encoder.texts(params, tokens, mask),
    { name: "text encoder" },
  );
  const inChunks = async (
    count: number,
    signal: AbortSignal | undefined,
    embed: (start: number, end: number) => Promise<NDArray>,
  ): Promise<NDArray<"float32">> => {
    const data = new Float32Array(count * encoder.width);
    for (let start = 0; start < count; start += CHUNK) {
      signal?.throwIfAborted();
      const end = Math.min(count, start + CHUNK);
      const features = (await embed(start, end)).data as Float32Array;
      data.set(features.subarray(0, (end - start) * encoder.width), start * encoder.width);
    }
    return { dtype: "float32", shape: [count, encoder.width], data };
  };
  return {
    images: (params, set, signal) =>
      inChunks(set.count, signal, async (start, end) => {
        const indices = Array.from({ length: end - start }, (_, i) => start + i);
        const images = standardise(toFloatImages(await set.pixels(indices)), clipStatistics);
        return encodeImages(params, images);
      }),
    texts: (params, texts, signal) =>
      inChunks(texts.length, signal, (start, end) => {
        // Filled up, so that few prompts and many captions need one graph only.
        const chunk = Array.from(
          { length: CHUNK },
          (_, i) => (start + i < end ? texts[start + i] : "") as string,
        );
        const { ids, mask } = tokenizer.encodeBatch(chunk, { length: context });
        return encodeTexts(params, ids, mask);
      }),
  };
}

function meanNorm(features: NDArray): number {
  const [count, width] = features.shape as [number, number];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const row = (features.data as Float32Array).subarray(i * width, (i + 1) * width);
    total += Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  }
  return total / count;
}

/**
 * Scales both heads so that the features of the set have the given mean norm. All cosines stay; with norm √s raw
 * products become about s × cosine, as CLIP's are.
 */
export async function calibrateNorms(
  embedder: Embedder,
  params: DualEncoderParams,
  set: CaptionedImageSet,
  norm: number,
): Promise<DualEncoderParams> {
  const captions = set.captions.map((list) => list[0] as string);
  return scaleFeatures(params, {
    image: norm / meanNorm(await embedder.images(params, set)),
    text: norm / meanNorm(await embedder.texts(params, captions)),
  });
}
