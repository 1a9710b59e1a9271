import type { Key, NDArray } from "@concord/tensor";
import { normalArray, zerosArray } from "@concord/tensor";

export interface ConvParams {
  /** [O, C, ...kernel] */
  readonly weight: NDArray;
  /** [O] */
  readonly bias?: NDArray;
}

export interface ConvInitOptions {
  /** Input channels. */
  readonly inputs: number;
  /** Output channels. */
  readonly outputs: number;
  /** Size of the kernel along each axis of space, e.g. [3, 3] for images. */
  readonly kernel: readonly number[];
  /** Groups that channels part into; each sees its own inputs only. Default 1. */
  readonly groups?: number;
  /** Default false: a normalisation usually follows, which would take it off again. */
  readonly bias?: boolean;
}

/**
 * A kernel, normal with deviation √(2 / fan-in), which keeps the variance of a signal through ReLUs.
 *
 * @throws RangeError when channels do not part into the groups
 * @source He et al. 2015, section 2.2
 */
export function convInit(
  key: Key,
  { inputs, outputs, kernel, groups = 1, bias = false }: ConvInitOptions,
): ConvParams {
  if (inputs % groups !== 0 || outputs % groups !== 0)
    throw new RangeError(`conv: ${inputs} inputs and ${outputs} outputs do not part into ${groups} groups`);
  const fanIn = kernel.reduce((product, size) => product * size, inputs / groups);
  const weight = normalArray(key, [outputs, inputs / groups, ...kernel], 0, Math.sqrt(2 / fanIn));
  return bias ? { weight, bias: zerosArray([outputs]) } : { weight };
}

/** Zeros on every side that keep the size of the input under a stride of 1, for odd kernels: (k - 1) / 2. */
export function samePadding(weight: { readonly shape: readonly number[] }): number[] {
  return weight.shape.slice(2).map((size) => Math.floor((size - 1) / 2));
}
