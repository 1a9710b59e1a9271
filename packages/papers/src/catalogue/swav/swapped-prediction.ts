import { swappedPrediction } from "@concord/align";
import {
  add,
  checkAxes,
  div,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  split,
  stopGradient,
  sum,
  type Tensor,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { unitRows } from "./prototypes.ts";
import { type SinkhornKnoppOptions, sinkhornKnopp } from "./sinkhorn-knopp.ts";

export interface SwappedPredictionOptions extends SinkhornKnoppOptions {
  /** V ≥ 2 crops of every image. */
  readonly nCrops: number;
  /** B, images of the batch. */
  readonly batchSize: number;
  /** Crops that provide codes. Default [0, 1], the full ones. */
  readonly cropsForAssign?: readonly number[];
  /** τ > 0 of the predictions. Default 0.1. */
  readonly temperature?: number;
}

/** The loss with everything that was computed on the way. */
export interface SwappedPrediction {
  /** Scalar, nats. */
  readonly loss: Tensor;
  /** [B, K] codes of the crops in `cropsForAssign`, in that order. */
  readonly codes: readonly Tensor[];
  /** [V·B, K] cosines of all crops with the prototypes, crop by crop. */
  readonly scores: Tensor;
  /** [V·B, D] embeddings of length 1. */
  readonly embeddings: Tensor;
}

/** Embeddings, scores and their parts by crop. */
export interface CropScores {
  readonly embeddings: Tensor;
  readonly scores: Tensor;
  /** V matrices [B, D]. */
  readonly embeddingsByCrop: readonly Tensor[];
  /** V matrices [B, K]. */
  readonly scoresByCrop: readonly Tensor[];
}

/**
 * Scores of all crops, taken apart by crop.
 *
 * @param projections  [V·B, D], rows v·B to (v + 1)·B - 1 of crop v; not normalised
 * @param prototypes   [K, D] with rows of length 1
 * @throws RangeError when V or B are no counts; ShapeError when the rows are not V·B or the widths differ
 */
export function scoreCrops(
  projections: Tensor,
  prototypes: Tensor,
  { nCrops, batchSize }: { readonly nCrops: number; readonly batchSize: number },
): CropScores {
  const operation = "swappedPredictionLoss";
  if (!Number.isInteger(nCrops) || nCrops < 2)
    throw new RangeError(`${operation}: nCrops must be an integer >= 2, got ${nCrops}`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`${operation}: batchSize must be an integer >= 1, got ${batchSize}`);
  const { R } = checkAxes(operation, { projections: [projections, "R D"], prototypes: [prototypes, "K D"] });
  if (R !== nCrops * batchSize)
    throw new RangeError(
      `${operation}: ${nCrops} crops of ${batchSize} images make ${nCrops * batchSize} rows, got ${R}`,
    );
  const embeddings = unitRows(projections);
  const scores = matmul(embeddings, prototypes, { transposeB: true });
  return {
    embeddings,
    scores,
    embeddingsByCrop: split(embeddings, nCrops, 0),
    scoresByCrop: split(scores, nCrops, 0),
  };
}

/** @throws RangeError unless the crops are different integers in [0, V), at least one */
export function checkCropsForAssign(crops: readonly number[], nCrops: number): void {
  const valid = crops.every((crop) => Number.isInteger(crop) && crop >= 0 && crop < nCrops);
  if (crops.length === 0 || !valid || new Set(crops).size !== crops.length)
    throw new RangeError(
      `swappedPredictionLoss: cropsForAssign must be different crops from 0 to ${nCrops - 1}, got [${crops.join(", ")}]`,
    );
}

/** The averaged double sum for given codes, whichever crops they are of. */
export function predictCodes(
  scoresByCrop: readonly Tensor[],
  codes: readonly Tensor[],
  cropsForAssign: readonly number[],
  temperature: number,
): Tensor {
  // `swappedPrediction` takes the crops with codes first; the sum does not depend on the order of the others.
  const others = scoresByCrop.filter((_, v) => !cropsForAssign.includes(v));
  const assigned = cropsForAssign.map((a) => scoresByCrop[a] as Tensor);
  return swappedPrediction([...assigned, ...others], codes, { temperature });
}

/**
 * What swapping is for: every crop with a code predicts that code itself.
 *
 *   L = mean_a  -mean_b Σ_k Q_a[b,k] log softmax_k(s_a[b] / τ)_k
 *
 * It falls as training goes on and teaches nothing about images; an ablation.
 *
 * @param scoresByCrop  at least as many [B, K] as codes
 * @param codes         [B, K] of the first crops; constants
 */
export function ownCodePrediction(
  scoresByCrop: readonly Tensor[],
  codes: readonly Tensor[],
  temperature: number,
): Tensor {
  const losses = codes.map((code, a) => {
    const likelihood = logSoftmax(div(scoresByCrop[a] as Tensor, temperature));
    return neg(mean(sum(mul(stopGradient(code), likelihood), { axes: 1 })));
  });
  return div(losses.reduce(add), losses.length);
}

/**
 * Swapped prediction: the code of each assigned crop is predicted from every other crop of the same image.
 *
 *   z = u / ‖u‖,   s = z Cᵀ,   Q_a = sinkhorn_knopp(s_a)
 *   L = mean_{a∈A} mean_{v≠a}  -mean_b Σ_k Q_a[b,k] log softmax_k(s_v[b] / τ)_k
 *
 * Small crops predict and never provide codes; no crop predicts its own. Codes are constants.
 *
 * @param projections  u [V·B, D], crop-major: rows v·B to (v + 1)·B - 1 are crop v; not normalised
 * @param prototypes   C [K, D] with rows of length 1 (`normalizePrototypes`)
 * @throws RangeError when counts, crops, τ, ε or rounds are out of range; ShapeError when shapes do not fit
 * @source equations 1, 2 and 6; the averages: released code
 */
export function swappedPredictionLoss(
  projections: Tensor,
  prototypes: Tensor,
  options: SwappedPredictionOptions,
): SwappedPrediction {
  const { cropsForAssign = PAPER_DEFAULTS.cropsForAssign, temperature = PAPER_DEFAULTS.temperature } =
    options;
  const { embeddings, scores, scoresByCrop } = scoreCrops(projections, prototypes, options);
  checkCropsForAssign(cropsForAssign, options.nCrops);
  const codes = cropsForAssign.map((a) => sinkhornKnopp(scoresByCrop[a] as Tensor, options));
  const loss = predictCodes(scoresByCrop, codes, cropsForAssign, temperature);
  return { loss, codes, scores, embeddings: stopGradient(embeddings) };
}
