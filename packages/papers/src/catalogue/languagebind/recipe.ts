import { add, foldIn, type NDArray, ndarray, type Tensor, type Traced } from "@concord/tensor";
import type { RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";
import type { HeadParams } from "../../recipes/heads.ts";
import { head, headInit } from "../../recipes/heads.ts";
import { MODALITY_DEFAULTS, PAPER_DEFAULTS } from "./defaults.ts";
import { clampLogScale, languageContrastiveLoss } from "./language-contrastive.ts";

const options = {
  temperature: {
    type: "number",
    default: PAPER_DEFAULTS.temperature,
    minimum: 0.01,
    maximum: 1,
    description: "Temperature of the contrast at the start; it is learned, and never falls below 0.01.",
    source: "released training scripts",
  },
  hidden: {
    type: "integer",
    default: 0,
    minimum: 0,
    maximum: 8192,
    description:
      "Width of a bent part of the trained heads; 0 for linear ones, as the paper's projection is.",
    source: "ours",
  },
} as const;

type Context = RecipeContext<typeof options>;

interface BoundTower {
  readonly head: HeadParams;
  /** θ: cosines are multiplied by e^θ. */
  readonly logLogitScale: NDArray;
}

/** One head and scale for each tower but the anchor: the paper trains each modality by itself. */
type Params = Readonly<Record<string, BoundTower>>;

function boundTowers({ towers }: Context): readonly RecipeTower[] {
  return towers.filter(({ anchor }) => !anchor);
}

function anchorOf({ towers }: Context): RecipeTower {
  return towers.find(({ anchor }) => anchor) as RecipeTower;
}

/** Released scripts: AdamW (0.9, 0.98), ε 1e-6, decay 0.2, cosine to 0. */
const fromPaper = {
  weightDecay: PAPER_DEFAULTS.weightDecay,
  beta1: PAPER_DEFAULTS.beta1,
  beta2: PAPER_DEFAULTS.beta2,
  epsilon: PAPER_DEFAULTS.epsilon,
} as const;

export const recipe = defineRecipe<Params, Record<string, never>, typeof options>({
  slug: "languagebind",
  summary:
    "Binds encoders of any kinds of data to one that stays frozen, such as a language encoder, so that all of them share its space.",
  needs: { towers: "anchored", labels: "none", train: ["head", "adapters", "whole"] },
  options,
  training: {
    head: {
      ...fromPaper,
      learningRate: 1e-3,
      batchSize: 512,
      epochs: 40,
      minimumSteps: 600,
      weightDecay: 0.01,
      warmup: 0.05,
      source: "ours: only the projection is trained; optimiser as in the released scripts",
    },
    adapters: {
      ...fromPaper,
      learningRate: MODALITY_DEFAULTS.depth.learningRate,
      batchSize: MODALITY_DEFAULTS.depth.batchSize,
      epochs: 8,
      warmup: 0.1,
      rank: MODALITY_DEFAULTS.depth.rank,
      alpha: PAPER_DEFAULTS.alpha,
      source: "released scripts, depth (rank 2; video and audio use 16)",
    },
    whole: {
      ...fromPaper,
      learningRate: MODALITY_DEFAULTS.video.learningRate,
      batchSize: MODALITY_DEFAULTS.video.batchSize,
      epochs: 8,
      warmup: 0.1,
      source: "released scripts, the variants without LoRA",
    },
  },
  deviations: [
    "No patches are dropped in training: that would need to reach into the encoder.",
    "With --train head the encoder stays as it is and only its projection learns; LoRA needs --train adapters.",
    "LoRA changes all matrix products of the encoder, not those of attention alone.",
  ],
  init(key, context) {
    const { width: outputs } = anchorOf(context);
    const towers = boundTowers(context).map((tower, i): [string, BoundTower] => [
      tower.name,
      {
        head: headInit(foldIn(key, i), { inputs: tower.width, outputs, hidden: context.options.hidden }),
        logLogitScale: ndarray([-Math.log(context.options.temperature)], { shape: [] }),
      },
    ]);
    return Object.fromEntries(towers);
  },
  embed(params, features, tower) {
    const own = params[tower.name];
    return own ? head(own.head, features) : features;
  },
  loss(params, _state, batch, context) {
    const anchor = batch.features[anchorOf(context).name] as Tensor;
    const parts = boundTowers(context).map((tower): [string, Tensor] => {
      const bound = this.embed(params, batch.features[tower.name] as Tensor, tower, context);
      const { logLogitScale } = params[tower.name] as Traced<BoundTower>;
      return [tower.name, languageContrastiveLoss(bound, anchor, logLogitScale).loss];
    });
    const total = parts.map(([, part]) => part).reduce(add);
    return { loss: total, parts: Object.fromEntries(parts) };
  },
  update(after) {
    const bounded = Object.entries(after).map(([name, tower]) => [
      name,
      { ...tower, logLogitScale: clampLogScale(tower.logLogitScale) },
    ]);
    return Object.fromEntries(bounded) as typeof after;
  },
});
