import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  foldIn,
  gather,
  matmul,
  mul,
  normalArray,
  reshape,
  type Tensor,
  uniformArray,
  zerosArray,
} from "@concord/tensor";

export interface LinearParams {
  /** [D_in, D_out] */
  readonly weight: NDArray;
  /** [D_out] */
  readonly bias?: NDArray;
}

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Half width of the uniform initial weights. Default 1 / √inputs. */
  readonly bound?: number;
}

/** As `LinearParams`, while a graph is traced. */
export interface LinearWeights {
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

/** Weights and bias of an affine map, uniform in ±bound. */
export function linearInit(
  key: Key,
  { inputs, outputs, bias = true, bound = 1 / Math.sqrt(inputs) }: LinearOptions,
): LinearParams {
  const weight = uniformArray(foldIn(key, 0), [inputs, outputs], -bound, bound);
  return bias ? { weight, bias: uniformArray(foldIn(key, 1), [outputs], -bound, bound) } : { weight };
}

/**
 * y = x W + b: [..., D_in] to [..., D_out].
 *
 * @throws ShapeError when the last axis of x is not D_in
 */
export function linear(params: LinearWeights, x: Tensor): Tensor {
  checkAxes("linear", { x: [x, "... D_in"], weight: [params.weight, "D_in D_out"] });
  const product = matmul(x, params.weight);
  return params.bias ? add(product, params.bias) : product;
}

export interface EmbeddingParams {
  /** [V, D] */
  readonly table: NDArray;
}

/** A table of vectors, normal with the given deviation. */
export function embeddingInit(
  key: Key,
  options: { readonly vocabulary: number; readonly width: number; readonly deviation?: number },
): EmbeddingParams {
  return { table: normalArray(key, [options.vocabulary, options.width], 0, options.deviation ?? 0.02) };
}

/** Rows of the table at the token ids: [...] int32 to [..., D]. */
export function embedding(params: Traced<EmbeddingParams>, ids: Tensor): Tensor {
  return gather(params.table, ids);
}

export interface LayerNormParams {
  readonly gain: NDArray;
  readonly bias: NDArray;
}

/** Gain 1 and bias 0: [D] each. */
export function layerNormInit(width: number): LayerNormParams {
  const gain = zerosArray([width]);
  gain.data.fill(1);
  return { gain, bias: zerosArray([width]) };
}

/**
 * Layer norm and the linear map after it, as one linear map of the standardised x:
 *
 *   (z ∘ g + β) W + b = z (diag(g) W) + (β W + b),   z = standardize(x)
 *
 * The factors are drawn into the weights, which are smaller than x, so that fewer passes over x are needed, in the
 * gradient too.
 *
 * @returns weights of the map of z
 */
export function drawIntoLinear(norm: Traced<LayerNormParams>, linear: Traced<LinearParams>): LinearWeights {
  const { gain, bias } = norm;
  const { D } = checkAxes("drawIntoLinear", {
    weight: [linear.weight, "D E"],
    gain: [gain, "D"],
    bias: [bias, "D"],
  });
  const shift = reshape(matmul(reshape(bias, [1, D]), linear.weight), [-1]);
  return {
    weight: mul(linear.weight, reshape(gain, [D, 1])),
    bias: linear.bias ? add(linear.bias, shift) : shift,
  };
}
