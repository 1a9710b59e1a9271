import { type LinearParams, type LoraPair, linear, loraChange, loraProduct, loraScale } from "@concord/nn";
import {
  add,
  checkAxes,
  type Key,
  stopGradient,
  type Tensor,
  type Traced,
  uniformArray,
  zerosArray,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface LoraLinearOptions {
  /** r, columns of `down` and rows of `up`. */
  readonly rank: number;
  /** The change is multiplied by alpha / rank. Default 16. */
  readonly alpha?: number;
}

/** A frozen affine map; with `lora`, the change of low rank that is trained instead of it. */
export interface AdaptableLinear extends LinearParams {
  readonly lora?: LoraPair;
}

function checkRank({ lora }: Traced<AdaptableLinear>, rank: number): void {
  if (!lora) return;
  checkAxes("loraLinear", { down: [lora.down, "D_in r"], up: [lora.up, "r D_out"] });
  if (lora.down.shape[1] !== rank)
    throw new RangeError(`loraLinear: the pair has rank ${lora.down.shape[1]}, the options say ${rank}`);
}

/**
 * A frozen affine map plus a trained change of rank r:
 *
 *   y = x W + b + (alpha / r) (x A) B
 *
 * No gradient flows to W and b. Without a pair it is the affine map, and its weights are trained.
 *
 * @param params  weight W [D_in, D_out], bias b [D_out], pair of A [D_in, r] (`down`) and B [r, D_out] (`up`)
 * @param x       [..., D_in]
 * @returns [..., D_out]
 * @throws ShapeError when axes differ; RangeError when the pair has another rank than the options say
 * @source released code, model/process_clip.py:534-549; Hu et al. 2022, section 4.1
 */
export function loraLinear(params: Traced<AdaptableLinear>, x: Tensor, options: LoraLinearOptions): Tensor {
  const { weight, bias, lora } = params;
  if (!lora) return linear(params, x);
  checkRank(params, options.rank);
  const scale = loraScale({ alpha: PAPER_DEFAULTS.alpha, ...options });
  const y = loraProduct(x, stopGradient(weight), lora, { scale });
  return bias ? add(y, stopGradient(bias)) : y;
}

/**
 * The adapters at the start: A uniform in ±1/√D_in (Kaiming's rule with slope √5, as the library does it that the paper
 * uses), B zero, so that nothing changes at first.
 *
 * @throws RangeError when the rank is no integer in [1, min(D_in, D_out)]
 */
export function loraLinearInit(key: Key, { weight }: LinearParams, rank: number): LoraPair {
  const [inputs, outputs] = weight.shape as [number, number];
  if (!Number.isInteger(rank) || rank < 1 || rank > Math.min(inputs, outputs))
    throw new RangeError(
      `loraLinearInit: the rank must be an integer from 1 to ${Math.min(inputs, outputs)} for [${inputs}, ${outputs}], got ${rank}`,
    );
  const bound = 1 / Math.sqrt(inputs);
  return { down: uniformArray(key, [inputs, rank], -bound, bound), up: zerosArray([rank, outputs]) };
}

/** W + (alpha / r) A B: the one matrix that an export needs. [D_in, D_out] */
export function mergedWeight(params: Traced<AdaptableLinear>, options: LoraLinearOptions): Tensor {
  const { weight, lora } = params;
  if (!lora) return weight;
  checkRank(params, options.rank);
  return add(weight, loraChange(lora, loraScale({ alpha: PAPER_DEFAULTS.alpha, ...options })));
}
