import { ntXentLoss } from "@concord/align";
import { div, softmax, split, stopGradient, type Tensor } from "@concord/tensor";
import type { Training } from "./arms.ts";
import type { TrainingConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { unitRows } from "./prototypes.ts";
import { swappedPredictionLossWithQueue } from "./queue.ts";
import { sinkhornKnopp } from "./sinkhorn-knopp.ts";
import { ownCodePrediction, predictCodes, scoreCrops, swappedPredictionLoss } from "./swapped-prediction.ts";

export interface CropObjective {
  /** Scalar, nats. */
  readonly loss: Tensor;
  readonly queue?: Tensor;
  readonly useQueue?: Tensor;
}

export interface CropObjectiveInput {
  /** [V·B, D], crop by crop. */
  readonly projections: Tensor;
  /** [K, D] with rows of length 1. */
  readonly prototypes: Tensor;
  readonly nCrops: number;
  readonly batchSize: number;
  readonly queue?: { readonly items: Tensor; readonly useQueue: Tensor };
}

/** What an arm minimises, of the crops of a batch. */
export function cropObjective(
  { objective, codes }: Training,
  { projections, prototypes, nCrops, batchSize, queue }: CropObjectiveInput,
  config: Pick<TrainingConfig, "temperature" | "eps" | "iters" | "contrastiveTemperature">,
): CropObjective {
  const { temperature, eps, iters } = config;
  if (objective === "contrastive") {
    const [a, b] = split(unitRows(projections), nCrops, 0) as [Tensor, Tensor];
    return { loss: ntXentLoss(a, b, { temperature: config.contrastiveTemperature }) };
  }
  if (objective === "swapped" && codes === "balanced") {
    const options = { nCrops, batchSize, temperature, eps, iters };
    if (!queue) return swappedPredictionLoss(projections, prototypes, options);
    return swappedPredictionLossWithQueue(projections, prototypes, queue.items, {
      ...options,
      useQueue: queue.useQueue,
    });
  }
  const { scoresByCrop } = scoreCrops(projections, prototypes, { nCrops, batchSize });
  const { cropsForAssign } = PAPER_DEFAULTS;
  const assigned = cropsForAssign.map((a) => {
    const scores = scoresByCrop[a] as Tensor;
    return codes === "balanced"
      ? sinkhornKnopp(scores, { eps, iters })
      : stopGradient(softmax(div(scores, eps)));
  });
  return {
    loss:
      objective === "swapped"
        ? predictCodes(scoresByCrop, assigned, cropsForAssign, temperature)
        : ownCodePrediction(scoresByCrop, assigned, temperature),
  };
}
