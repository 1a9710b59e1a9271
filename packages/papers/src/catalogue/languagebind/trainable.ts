import { asTensor, type NDArray, type Traced, treeEntries, treeMap } from "@concord/tensor";
import type { ModalityEncoderParams } from "./modality-encoder.ts";

/** How an encoder is fitted to its modality: adapters in its attention, or the attention's own weights (`*_FT`). */
export type Tuning = "lora" | "full";

/** Trained beside the attention in both ways: class token, last norm, projection; for video frame vectors and norms. */
const ALWAYS = /^(classToken|finalNorm\/.*|projection\/.*|blocks\/\d+\/temporal\/(frames|norm\/.*))$/;
const ADAPTERS = /\/attention\/(query|key|value|output)\/lora\//;
const MAPS = /\/attention\/(query|key|value|output)\/(weight|bias)$/;

/**
 * Whether a weight learns. Frozen are patch embedding, norm before the blocks, positions, MLPs, spatial norms, with
 * LoRA the attention's own weights, and with temporal attention all of the spatial one.
 *
 * @param path  as of `treeEntries`, e.g. "blocks/0/attention/query/lora/up"
 * @source released code, main.py:305-345
 */
export function isTrained(path: string, tuning: Tuning, isVideo: boolean): boolean {
  if (ALWAYS.test(path)) return true;
  if (isVideo && !path.includes("/temporal/")) return false;
  return tuning === "lora" ? ADAPTERS.test(path) : MAPS.test(path);
}

/** Trained arrays by their paths in the encoder. */
export type TrainedWeights = Readonly<Record<string, NDArray>>;

/** The arrays of an encoder that learn. */
export function trainedWeights(params: ModalityEncoderParams, tuning: Tuning): TrainedWeights {
  const isVideo = params.blocks.some(({ temporal }) => temporal);
  return Object.fromEntries(
    treeEntries(params).filter(([path]) => isTrained(path, tuning, isVideo)) as [string, NDArray][],
  );
}

/** An encoder whose trained arrays come from a step's state, and all others are constants of its graph. */
export function withTraced(
  params: ModalityEncoderParams,
  trained: Traced<TrainedWeights>,
): Traced<ModalityEncoderParams> {
  return treeMap(
    params,
    (leaf, path) => trained[path] ?? asTensor(leaf as NDArray),
  ) as Traced<ModalityEncoderParams>;
}

/** An encoder with some of its arrays replaced, by path. */
export function withWeights(params: ModalityEncoderParams, weights: TrainedWeights): ModalityEncoderParams {
  return treeMap(params, (leaf, path) => weights[path] ?? leaf) as ModalityEncoderParams;
}

/**
 * Whether weight decay applies: to matrices, not to gains, biases, class token and θ.
 *
 * @source released code, main.py:352-372
 */
export function decays(path: string, array: NDArray): boolean {
  return array.shape.length > 1 && !/classToken$/.test(path);
}
