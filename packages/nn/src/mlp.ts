import type { Key, Traced } from "@concord/tensor";
import { foldIn, gelu, type Tensor } from "@concord/tensor";
import type { LinearParams } from "./linear.ts";
import { linear, linearInit } from "./linear.ts";

export interface MlpParams {
  readonly layers: readonly LinearParams[];
}

/** Affine layers of the given widths, from input to output: [in, hidden, …, out]. */
export function mlpInit(key: Key, widths: readonly number[]): MlpParams {
  if (widths.length < 2)
    throw new RangeError(`mlp: needs at least an input and an output width, got [${widths.join(", ")}]`);
  return {
    layers: widths
      .slice(1)
      .map((outputs, i) => linearInit(foldIn(key, i), { inputs: widths[i] as number, outputs })),
  };
}

/** Affine layers with an activation between them (none after the last): [..., D_in] to [..., D_out]. */
export function mlp(params: Traced<MlpParams>, x: Tensor, activation: (x: Tensor) => Tensor = gelu): Tensor {
  return params.layers.reduce((hidden, layer, i) => linear(layer, i === 0 ? hidden : activation(hidden)), x);
}
