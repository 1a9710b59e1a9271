import { linear } from "@concord/nn";
import {
  add,
  foldIn,
  gelu,
  type Key,
  matmul,
  type NDArray,
  normalArray,
  type Tensor,
  type Traced,
  zerosArray,
} from "@concord/tensor";

/** A trained map on top of frozen features. */
export interface HeadParams {
  /** [D, E] */
  readonly weight: NDArray;
  /** [E] */
  readonly bias: NDArray;
  /** The bent part, zero at the start; absent for a linear head. */
  readonly bend?: { readonly into: NDArray; readonly intoBias: NDArray; readonly out: NDArray };
}

export interface HeadOptions {
  /** D */
  readonly inputs: number;
  /** E */
  readonly outputs: number;
  /** Width of the bent part; 0 (default) for a linear map. */
  readonly hidden?: number;
  /** Factor on the start: scale · I where inputs and outputs are as many. Default 1. */
  readonly scale?: number;
}

/**
 * A head that changes nothing at first but a scale: y = x W + b + gelu(x U + c) V with W = scale · I, b = 0 and V = 0,
 * so that training starts from the base model. Between different widths W is normal with deviation scale / √D.
 */
export function headInit(key: Key, { inputs, outputs, hidden = 0, scale = 1 }: HeadOptions): HeadParams {
  const weight =
    inputs === outputs
      ? zerosArray([inputs, outputs])
      : normalArray(foldIn(key, 0), [inputs, outputs], 0, scale / Math.sqrt(inputs));
  if (inputs === outputs) for (let i = 0; i < inputs; i++) weight.data[i * (inputs + 1)] = scale;
  const bias = zerosArray([outputs]);
  if (hidden === 0) return { weight, bias };
  const into = normalArray(foldIn(key, 1), [inputs, hidden], 0, 1 / Math.sqrt(inputs));
  return { weight, bias, bend: { into, intoBias: zerosArray([hidden]), out: zerosArray([hidden, outputs]) } };
}

/** The head's value: [B, D] to [B, E]. */
export function head(params: Traced<HeadParams>, x: Tensor): Tensor {
  const straight = linear(params, x);
  if (!params.bend) return straight;
  const bent = gelu(add(matmul(x, params.bend.into), params.bend.intoBias));
  return add(straight, matmul(bent, params.bend.out));
}
