import {
  abs,
  asTensor,
  checkAxes,
  div,
  eye,
  greater,
  l2Normalize,
  matmul,
  mean,
  mul,
  square,
  stopGradient,
  straightThrough,
  sub,
  sum,
  type Tensor,
  type TensorLike,
  tanh,
  where,
} from "@concord/tensor";

/**
 * Codes of relaxed ones: +1 where a value is above 0, -1 elsewhere (0 too, so a code is never 0). No gradient.
 *
 * @param x  any shape
 */
export function signCodes(x: Tensor): Tensor {
  return where(greater(stopGradient(x), 0), asTensor(1, x.dtype), -1);
}

/**
 * Relaxed codes, tanh(β x) in (-1, 1): with β rising from step to step (`linearRamp`) they approach signs.
 *
 * @param x     any shape
 * @param beta  β > 0, a number or a scalar tensor. Default 1
 * @throws RangeError when a number β is not positive
 * @source Cao et al. 2017 (HashNet), section 3.2
 */
export function relaxedCodes(x: Tensor, beta: TensorLike = 1): Tensor {
  if (typeof beta === "number" && !(beta > 0))
    throw new RangeError(`relaxedCodes: beta must be > 0, got ${beta}`);
  return tanh(mul(x, beta));
}

/**
 * Codes ±1 in the forward pass, the gradient of x in the backward one.
 *
 * @param x  any shape, e.g. relaxed codes
 * @source Bengio et al. 2013; for hashing: Su et al. 2018 (Greedy Hash)
 */
export function straightThroughCodes(x: Tensor): Tensor {
  return straightThrough(signCodes(x), x);
}

/**
 * How far relaxed codes lie from binary ones.
 *
 *   "l2": mean (h - b)²,   "l1": mean |h - b|,   "cosine": mean_i 1 - cos(h_i, b_i)
 *
 * @param codes  [N, B] relaxed codes h
 * @param options.targets   [N, B] constant codes ±1. Default: the signs of h
 * @param options.distance  default "l2"
 * @returns scalar, 0 for binary codes
 * @throws ShapeError when axes do not fit
 * @source l2: Li et al. 2016 (DPSH); l1: Zhu et al. 2016 (DHN), without smoothing; cosine: Hoe et al. 2021 (OrthoHash)
 */
export function quantizationLoss(
  codes: Tensor,
  options: { readonly targets?: Tensor; readonly distance?: "l2" | "l1" | "cosine" } = {},
): Tensor {
  const { targets, distance = "l2" } = options;
  checkAxes("quantizationLoss", {
    codes: [codes, "N B"],
    ...(targets && { targets: [targets, "N B"] as const }),
  });
  const binary = targets ? stopGradient(targets) : signCodes(codes);
  if (distance === "cosine")
    return sub(1, mean(sum(mul(l2Normalize(codes), l2Normalize(binary)), { axes: 1 })));
  const difference = sub(codes, binary);
  return mean(distance === "l2" ? square(difference) : abs(difference));
}

/**
 * Each bit should be set in half of the codes: mean over bits of (mean_i h_ib)².
 *
 * @param codes  [N, B] codes or relaxed codes in [-1, 1]
 * @returns scalar in [0, 1], 0 when all bits are balanced
 * @throws ShapeError unless there are two axes
 * @source Weiss et al. 2008 (spectral hashing), balance; as a loss: Yang et al. 2018 (SSDH)
 */
export function bitBalanceLoss(codes: Tensor): Tensor {
  checkAxes("bitBalanceLoss", { codes: [codes, "N B"] });
  return mean(square(mean(codes, { axes: 0 })));
}

/**
 * Different bits should say different things: mean over all B² pairs of the squares of HᵀH / N - I.
 *
 * @param codes  [N, B] codes or relaxed codes in [-1, 1]
 * @returns scalar, 0 when bits are uncorrelated and binary
 * @throws ShapeError unless there are two axes
 * @source Weiss et al. 2008 (spectral hashing), independence
 */
export function bitIndependenceLoss(codes: Tensor): Tensor {
  const { N, B } = checkAxes("bitIndependenceLoss", { codes: [codes, "N B"] });
  const products = div(matmul(codes, codes, { transposeA: true }), N);
  return mean(square(sub(products, eye(B, codes.dtype))));
}
