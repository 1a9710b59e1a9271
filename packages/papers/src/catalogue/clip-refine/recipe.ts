import { foldIn, mul, type Tensor } from "@concord/tensor";
import type { RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";
import type { HeadParams } from "../../recipes/heads.ts";
import { head, headInit } from "../../recipes/heads.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { clipRefineObjective } from "./objective.ts";
import { drawReferences, linearDecay } from "./rafa.ts";

const options = {
  alpha: {
    type: "number",
    default: PAPER_DEFAULTS.alpha,
    minimum: 0,
    maximum: 1,
    description: "Weight of the true pairing in HyCD's targets; 0 is self-distillation, 1 is InfoNCE.",
    source: "section on HyCD, released configuration",
  },
  temperature: {
    type: "number",
    default: PAPER_DEFAULTS.temperature,
    minimum: 1e-3,
    description: "Temperature of HyCD.",
    source: "released code",
  },
  lambdaRafa: {
    type: "number",
    default: PAPER_DEFAULTS.lambdaRafa,
    minimum: 0,
    description: "Weight of RaFA, which pulls both vectors of a pair to one random vector.",
    source: "released configuration",
  },
  lambdaHycd: {
    type: "number",
    default: PAPER_DEFAULTS.lambdaHycd,
    minimum: 0,
    description: "Weight of HyCD, which keeps what the model knows.",
    source: "released configuration",
  },
  lambdaContrastive: {
    type: "number",
    default: PAPER_DEFAULTS.lambdaContrastive,
    minimum: 0,
    description: "Weight of plain InfoNCE on cosines beside them.",
    source: "released configuration",
  },
  logits: {
    type: "choice",
    choices: ["raw", "cosine"],
    default: "raw",
    description:
      "Logits of HyCD: inner products, or cosines times --logit-scale (for vectors of very uneven lengths).",
    source: "released code",
  },
  logitScale: {
    type: "number",
    default: 100,
    minimum: 1e-3,
    description: "The model's factor on cosines, 1 / temperature; 100 for CLIP.",
    source: "CLIP",
  },
  keepNorms: {
    type: "flag",
    default: false,
    description:
      "Leave the vectors' lengths as they are. Otherwise they are scaled so that inner products are cosines times --logit-scale, as CLIP's are, on which the method relies.",
    source: "ours: CLIP's vectors have lengths near 10, those of other models need not",
  },
  decay: {
    type: "flag",
    default: false,
    description: "Let the weight of RaFA fall to 0 during training.",
    source: "released code (regularization_decay)",
  },
  hidden: {
    type: "integer",
    default: 0,
    minimum: 0,
    maximum: 8192,
    description: "Width of a bent part of the trained heads; 0 for linear ones.",
    source: "ours: the paper trains the encoders themselves",
  },
} as const;

type Context = RecipeContext<typeof options>;

/** Trained heads by tower; without any where the encoders themselves are trained, as in the paper. */
type Params = Readonly<Record<string, HeadParams>>;

/** The factor that brings mean lengths to √(logit scale), so that raw products are scale · cosine. */
function scaleOf({ statistics }: RecipeTower, { options: given }: Context): number {
  return given.keepNorms ? 1 : Math.sqrt(given.logitScale) / statistics.meanNorm;
}

const fromPaper = {
  batchSize: PAPER_DEFAULTS.batchSize,
  weightDecay: PAPER_DEFAULTS.weightDecay,
  beta1: PAPER_DEFAULTS.beta1,
  beta2: PAPER_DEFAULTS.beta2,
  epsilon: PAPER_DEFAULTS.epsilon,
} as const;

export const recipe = defineRecipe<Params, Record<string, never>, typeof options>({
  slug: "clip-refine",
  summary:
    "Brings two clouds of paired vectors closer together (the modality gap) without losing what the encoders know.",
  needs: {
    towers: "two",
    sharedSpace: true,
    labels: "none",
    train: ["head", "adapters", "whole"],
    teacher: "start",
  },
  options,
  training: {
    head: {
      ...fromPaper,
      learningRate: 1e-3,
      epochs: 30,
      minimumSteps: 600,
      weightDecay: 0,
      source: "ours: a head on frozen features starts at the identity and has far fewer weights than CLIP",
    },
    adapters: {
      ...fromPaper,
      learningRate: 1e-4,
      epochs: 3,
      rank: 8,
      source: "ours: the paper trains all weights",
    },
    whole: {
      ...fromPaper,
      learningRate: PAPER_DEFAULTS.learningRate,
      epochs: PAPER_DEFAULTS.epochs,
      schedule: "constant",
      source: "released configuration",
    },
  },
  deviations: [
    "With --train head and adapters the encoders' own weights stay; the paper trains them all.",
    "Vectors are scaled to the lengths that CLIP's have (--keep-norms turns that off).",
  ],
  init(key, context) {
    if (context.train !== "head") return {};
    const heads = context.towers.map((tower, i) => {
      const { width } = tower;
      const { hidden } = context.options;
      const scale = scaleOf(tower, context);
      return [
        tower.name,
        headInit(foldIn(key, i), { inputs: width, outputs: width, hidden, scale }),
      ] as const;
    });
    return Object.fromEntries(heads);
  },
  embed(params, features, tower, context) {
    const own = params[tower.name];
    return own ? head(own, features) : mul(features, scaleOf(tower, context));
  },
  loss(params, _state, batch, context) {
    const { options: given, towers, steps } = context;
    const [first, second] = towers as readonly [RecipeTower, RecipeTower];
    const embed = (tower: RecipeTower): Tensor =>
      this.embed(params, batch.features[tower.name] as Tensor, tower, context);
    const student = { image: embed(first), text: embed(second) };
    const teacher = {
      image: batch.teacher[first.name] as Tensor,
      text: batch.teacher[second.name] as Tensor,
    };
    const references = drawReferences(batch.key, student.image.shape);
    const { loss, ...parts } = clipRefineObjective(student, teacher, references, {
      alpha: given.alpha,
      temperature: given.temperature,
      lambdaRafa: given.decay ? mul(linearDecay(batch.step, steps), given.lambdaRafa) : given.lambdaRafa,
      lambdaHycd: given.lambdaHycd,
      lambdaContrastive: given.lambdaContrastive,
      logits: given.logits,
      logitScale: given.logitScale,
    });
    return { loss, parts };
  },
});
