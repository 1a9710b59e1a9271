import { signCodes } from "@concord/align";
import type { Key, NDArray, Tensor, Traced } from "@concord/tensor";
import { add, foldIn, gather, normalArray, scatterSet, stopGradient, where } from "@concord/tensor";

/** What is known of the codes of all N training items, K bits each. */
export interface CodeMemory {
  /** [N, K] relaxed codes of the images, or of the first tower. */
  readonly image: NDArray;
  /** [N, K] */
  readonly text: NDArray;
  /** [N, K] ±1: the signs of the sum of both, refreshed at the end of an epoch only. */
  readonly targets: NDArray;
}

/** Buffers of standard normal numbers, and their targets. */
export function codeMemoryInit(key: Key, items: number, bits: number): CodeMemory {
  const image = normalArray(foldIn(key, 0), [items, bits]);
  const text = normalArray(foldIn(key, 1), [items, bits]);
  const targets = image.data.map((value, i) => (value + (text.data[i] as number) > 0 ? 1 : -1));
  return { image, text, targets: { dtype: "float32", shape: [items, bits], data: targets } };
}

/**
 * The memory with the codes of a batch in their places, without gradient, and the targets of the batch, [n, K]. Comes
 * before the loss, which reads both; targets stay as they are.
 *
 * @param items  [n] int32, each at most once
 * @source released code (train_epoch)
 */
export function codesAndTargets(
  memory: Traced<CodeMemory>,
  items: Tensor,
  codes: { readonly image: Tensor; readonly text: Tensor },
): { readonly memory: Traced<CodeMemory>; readonly targets: Tensor } {
  const written = {
    image: scatterSet(memory.image, items, stopGradient(codes.image)),
    text: scatterSet(memory.text, items, stopGradient(codes.text)),
    targets: memory.targets,
  };
  return { memory: written, targets: gather(memory.targets, items) };
}

/**
 * New targets sign(H_I + H_T) where an epoch ends, else the old ones.
 *
 * @param epochEnds  boolean scalar
 */
export function refreshTargets(memory: Traced<CodeMemory>, epochEnds: Tensor): Traced<CodeMemory> {
  const { image, text, targets } = memory;
  return { image, text, targets: where(epochEnds, signCodes(add(image, text)), targets) };
}
