import { normalizeRows } from "@concord/align";
import { type LinearParams, linear, linearInit, type NormParams, normInit } from "@concord/nn";
import {
  adamw,
  add,
  asTensor,
  batchStatisticsNorm,
  cast,
  concat,
  cosineSchedule,
  equal,
  foldIn,
  greaterOrEqual,
  type NDArray,
  normalArray,
  relu,
  remainder,
  reshape,
  type Schedule,
  type Tensor,
  transpose,
  where,
  zerosArray,
} from "@concord/tensor";
import type { RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";
import { type HeadParams, head, headInit } from "../../recipes/heads.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { freezeFirst } from "./freeze-first.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { emptyQueues, swappedPredictionLossWithQueue } from "./queue.ts";
import { swappedPredictionLoss } from "./swapped-prediction.ts";
import { swavViews } from "./views.ts";

const options = {
  prototypes: {
    type: "integer",
    default: 300,
    minimum: 2,
    maximum: 100_000,
    description: "Prototypes, some times as many as there are kinds of things.",
    source: "ours: the paper's 3000 belong to 1.3 million pictures; their number hardly matters there",
  },
  smallCrops: {
    type: "integer",
    default: 4,
    minimum: 0,
    maximum: 12,
    description:
      "Small crops of a picture in a step, beside the two full ones; each costs a pass through the encoder.",
    source: "released scripts (6, at a fifth of the cost of full ones)",
  },
  fullScale: {
    type: "number",
    default: PAPER_DEFAULTS.fullCrops.minScale,
    minimum: 0.01,
    maximum: 1,
    description: "Least share of a picture that a full crop covers.",
    source: "released scripts",
  },
  smallScale: {
    type: "number",
    default: PAPER_DEFAULTS.smallCrops.minScale,
    minimum: 0.01,
    maximum: 1,
    description: "Least share of a picture that a small crop covers; the most is --full-scale.",
    source: "released scripts",
  },
  keep: {
    type: "number",
    default: 0.8,
    minimum: 0.1,
    maximum: 1,
    description: "Where items are vectors: share of the numbers that a full view keeps.",
    source: "ours",
  },
  queueBatches: {
    type: "integer",
    default: 15,
    minimum: 0,
    maximum: 1000,
    description: "Batches that are remembered to balance the codes; 0 for none.",
    source: "released scripts (3840 at batch 256)",
  },
  temperature: {
    type: "number",
    default: PAPER_DEFAULTS.temperature,
    minimum: 1e-3,
    description: "Temperature of the predictions.",
    source: "released code",
  },
  eps: {
    type: "number",
    default: PAPER_DEFAULTS.eps,
    minimum: 1e-3,
    description: "Weight of the codes' entropy.",
    source: "released code",
  },
  iters: {
    type: "integer",
    default: PAPER_DEFAULTS.iters,
    minimum: 1,
    maximum: 100,
    description: "Rounds of Sinkhorn-Knopp.",
    source: "released code",
  },
} as const;

type Context = RecipeContext<typeof options>;

/** Part of the training in which prototypes stay as they were drawn. */
const FROZEN_SHARE = 0.1;
/** Before the queue is begun, as a share of the training: embeddings move too fast. */
const QUEUE_STARTS = 0.1;

interface Params {
  /** On frozen features alone: what is exported. */
  readonly map?: HeadParams;
  /** Used in training only, as are the prototypes. */
  readonly projection: {
    readonly first: LinearParams;
    readonly norm: NormParams;
    readonly second: LinearParams;
  };
  readonly prototypes: NDArray;
}

interface State {
  readonly queue?: { readonly items: NDArray; readonly used: NDArray };
}

function only({ towers }: Pick<Context, "towers">): RecipeTower {
  return towers[0] as RecipeTower;
}

/** [B, V, D] to rows crop by crop: [V·B, D]. */
function cropMajor(views: Tensor): Tensor {
  return reshape(transpose(views, [1, 0, 2]), [-1, views.shape[2] as number]);
}

export const recipe = defineRecipe<Params, State, typeof options>({
  slug: "swav",
  summary:
    "Makes the vectors of a picture independent of crop and colours, by predicting clusters, without labels.",
  needs: { towers: "one", labels: "none", train: ["head", "adapters", "whole"] },
  options,
  training: {
    head: {
      learningRate: 1e-3,
      batchSize: 64,
      epochs: 10,
      minimumSteps: 300,
      warmup: 0.05,
      source: "ours: a map on frozen features that starts at the identity",
    },
    adapters: {
      learningRate: 3e-4,
      batchSize: 64,
      epochs: 10,
      minimumSteps: 300,
      warmup: 0.05,
      rank: 8,
      source: "ours: the paper trains all weights from nothing",
    },
    whole: {
      learningRate: 1e-4,
      batchSize: 64,
      epochs: 10,
      minimumSteps: 300,
      warmup: 0.05,
      source: "ours: fine-tuning; the paper trains from nothing",
    },
  },
  deviations: [
    "All crops are scaled to the size that the encoder takes, small ones too: they cover less and cost as much.",
    "Colours change within the values that the encoder's preprocessing gives, spread over [0, 1] for every picture.",
    "AdamW takes the place of LARC around SGD; prototypes are frozen for the first tenth of the steps.",
    "The queue begins after a tenth of the steps, not after 15 epochs.",
    "With --train head a linear map on the frozen vectors is trained and exported; the paper trains the encoder.",
    "Items that are vectors get views in which some numbers are 0, which the paper does not have.",
  ],
  check({ options: { smallScale, fullScale }, batchSize }) {
    if (smallScale > fullScale)
      throw new Error(`swav: --small-scale must be at most --full-scale (${fullScale}), got ${smallScale}`);
    if (batchSize < 2) throw new Error("swav: codes are balanced over a batch, of 2 items at least");
  },
  init(key, context) {
    const { width } = only(context);
    return {
      ...(context.train === "head" && { map: headInit(foldIn(key, 0), { inputs: width, outputs: width }) }),
      projection: {
        first: linearInit(foldIn(key, 1), { inputs: width, outputs: width }),
        norm: normInit(width),
        second: linearInit(foldIn(key, 2), { inputs: width, outputs: PAPER_DEFAULTS.width }),
      },
      prototypes: normalizeRows(
        normalArray(foldIn(key, 3), [context.options.prototypes, PAPER_DEFAULTS.width]),
      ),
    };
  },
  state(_key, { batchSize, options: { queueBatches } }): State {
    if (queueBatches === 0) return {};
    const length = queueBatches * batchSize;
    return {
      queue: { items: emptyQueues({ length, batchSize, width: PAPER_DEFAULTS.width }), used: zerosArray([]) },
    };
  },
  views(item, key, { options: given }) {
    const { full, small } = swavViews(item, key, given);
    return { groups: { full, ...(small && { small }) } };
  },
  embed(params, features) {
    return params.map ? head(params.map, features) : features;
  },
  loss(params, state, batch, context) {
    const { full, small } = batch.views;
    if (!full) throw new Error("swav: needs views of the items");
    const tower = only(context);
    const rows = [full, ...(small ? [small] : [])].map(cropMajor);
    const features = rows.length === 1 ? (rows[0] as Tensor) : concat(rows);
    const embedded = this.embed(params, features, tower, context);
    const { first, norm, second } = params.projection;
    const hidden = relu(batchStatisticsNorm(linear(first, embedded), norm.gain, norm.bias));
    const projections = linear(second, hidden);
    const [batchSize = 0] = full.shape;
    const given = {
      nCrops: (features.shape[0] as number) / batchSize,
      batchSize,
      temperature: context.options.temperature,
      eps: context.options.eps,
      iters: context.options.iters,
    };
    const { queue } = state;
    if (!queue) return { loss: swappedPredictionLoss(projections, params.prototypes, given).loss };
    const epochBegins = equal(remainder(batch.step, context.stepsPerEpoch), 0);
    const result = swappedPredictionLossWithQueue(projections, params.prototypes, queue.items, {
      ...given,
      useQueue: cast(where(epochBegins, asTensor(0), queue.used), "bool"),
    });
    const starts = greaterOrEqual(batch.step, Math.floor(QUEUE_STARTS * context.steps));
    return {
      loss: result.loss,
      state: {
        queue: {
          items: where(starts, result.queue, queue.items),
          used: cast(result.useQueue, "float32"),
        },
      },
    };
  },
  update(after) {
    return { ...after, prototypes: normalizePrototypes(after.prototypes) };
  },
  optimiser({ learningRate, warmup = 0 }, { steps }) {
    const rising = Math.min(Math.floor(warmup * steps), steps - 1);
    const rate = cosineSchedule({ peak: learningRate, steps, warmup: rising });
    const frozen = Math.floor(FROZEN_SHARE * steps);
    const made = (schedule: Schedule) => adamw({ learningRate: schedule, weightDecay: 0 });
    return freezeFirst(
      made(rate),
      made((step) => rate(add(step, frozen))),
      {
        steps: frozen,
        frozen: (path) => path === "head/prototypes",
      },
    );
  },
});
