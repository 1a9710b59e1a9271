import {
  cast,
  cumsum,
  div,
  equal,
  expandDims,
  l2Normalize,
  max,
  maximum,
  mean,
  mul,
  narrow,
  reshape,
  sqrt,
  sub,
  sum,
  type Tensor,
} from "@concord/tensor";
import type { EncoderGraph, Pooling } from "../encoders/encoder.ts";
import { AdaptRequestError } from "./errors.ts";

/** Far below any value of a model, for maxima over tokens that are no padding. */
const NEVER = 1e30;

/** [B, T]: how much each token counts, before division. */
function tokenWeights(mask: Tensor, pooling: Exclude<Pooling, "none" | "max">): Tensor {
  const place = cumsum(mask, 1);
  if (pooling === "cls") return mul(mask, cast(equal(place, 1), "float32"));
  if (pooling === "last")
    return mul(mask, cast(equal(place, sum(mask, { axes: 1, keepDims: true })), "float32"));
  return pooling === "weighted-mean" ? mul(mask, place) : mask;
}

/**
 * The pooling of an encoder inside a graph: what `Encoder.encode` does after the model.
 *
 * @param output  [B, D], [B, T, D] of tokens or [B, D, H, W] of places
 * @param mask    [B, T], 1 for tokens and 0 for padding; undefined when all T count
 * @returns [B, D]
 * @throws AdaptRequestError when the output has other axes
 */
export function tracedPooling(
  output: Tensor,
  { pooling, normalize }: EncoderGraph,
  mask: Tensor | undefined,
): Tensor {
  const pooled = poolOnly(output, pooling, mask);
  return normalize ? l2Normalize(pooled) : pooled;
}

function poolOnly(output: Tensor, pooling: Pooling, mask: Tensor | undefined): Tensor {
  if (output.rank === 2) return output;
  if (output.rank === 4) return mean(output, { axes: [2, 3] });
  if (output.rank !== 3 || pooling === "none")
    throw new AdaptRequestError(
      `The encoder's output has ${output.rank} axes; one vector an item is needed.`,
    );
  if (!mask) {
    if (pooling === "mean") return mean(output, { axes: 1 });
    if (pooling === "max") return max(output, { axes: 1 });
    const [, tokens = 1, width = 1] = output.shape;
    if (pooling === "cls") return reshape(narrow(output, 1, 0, 1), [-1, width]);
    if (pooling === "last") return reshape(narrow(output, 1, tokens - 1, 1), [-1, width]);
    throw new AdaptRequestError(
      `Pooling '${pooling}' needs a mask of tokens, which this model does not take.`,
    );
  }
  const counts = cast(mask, "float32");
  if (pooling === "max") return max(sub(output, mul(expandDims(sub(1, counts), 2), NEVER)), { axes: 1 });
  const weights = tokenWeights(counts, pooling);
  const total = sum(mul(output, expandDims(weights, 2)), { axes: 1 });
  if (pooling === "cls" || pooling === "last") return total;
  const mass = maximum(sum(weights, { axes: 1, keepDims: true }), 1);
  return div(total, pooling === "mean-sqrt" ? sqrt(mass) : mass);
}
