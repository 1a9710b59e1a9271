import type { TextTokenizer } from "@concord/data";
import { compile, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import { type EncoderConfig, type EncoderParams, encode } from "./encoder.ts";

/** Sentences embedded at a time. */
const CHUNK = 250;

/**
 * The encoder on texts, without dropout and head: N texts to [N, D], not normalised. Compiled once, whatever the
 * parameters.
 */
export type Embedder = (
  params: EncoderParams,
  texts: readonly string[],
  signal?: AbortSignal,
) => Promise<NDArray<"float32">>;

export function createEmbedder(config: EncoderConfig, tokenizer: TextTokenizer, context: number): Embedder {
  const forward = compile(
    (params: Traced<EncoderParams>, ids: Tensor, mask: Tensor) => encode(params, ids, mask, config),
    { name: "sentence encoder" },
  );
  return async (params, texts, signal) => {
    const { width } = config;
    const data = new Float32Array(texts.length * width);
    for (let start = 0; start < texts.length; start += CHUNK) {
      signal?.throwIfAborted();
      // The last chunk is filled up, so that one graph does for all.
      const chunk = Array.from({ length: CHUNK }, (_, i) => texts[start + i] ?? "");
      const { ids, mask } = tokenizer.encodeBatch(chunk, { length: context });
      const features = (await forward(params, ids, mask)).data as Float32Array;
      data.set(features.subarray(0, Math.min(CHUNK, texts.length - start) * width), start * width);
    }
    return { dtype: "float32", shape: [texts.length, width], data };
  };
}
