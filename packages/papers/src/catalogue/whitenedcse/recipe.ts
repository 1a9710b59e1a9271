import { type LinearParams, linearInit } from "@concord/nn";
import {
  dropout,
  evaluate,
  foldIn,
  foldInTensor,
  inverseSquareRoot,
  matmul,
  mean,
  neg,
  reshape,
  sub,
  type Tensor,
} from "@concord/tensor";
import type { RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";
import { type HeadParams, head, headInit } from "../../recipes/heads.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { whitenedcseLoss } from "./objective.ts";
import { drawPermutations, unshuffled } from "./sgw.ts";

/** Share of the mean variance that is added in the closed form, so that flat directions stay bounded. */
const FIT_RIDGE = 1e-3;

const options = {
  temperature: {
    type: "number",
    default: PAPER_DEFAULTS.temperature,
    minimum: 1e-3,
    description: "Temperature of the contrast between copies of an item.",
    source: "released code",
  },
  copies: {
    type: "integer",
    default: PAPER_DEFAULTS.copies,
    minimum: 2,
    maximum: 8,
    description: "Copies of each item in a step, the anchor included; each has its own dropout and shuffle.",
    source: "released training script (num_pos 3)",
  },
  dropout: {
    type: "number",
    default: PAPER_DEFAULTS.dropout,
    minimum: 0.01,
    maximum: 0.5,
    description: "Share of the channels that each copy drops.",
    source: "BERT's own rate, on which the paper relies",
  },
  groupSize: {
    type: "integer",
    default: 6,
    minimum: 2,
    maximum: 64,
    description: "Channels that are whitened together; the divisor of the width nearest to it is taken.",
    source: "released code: 128 groups of 768 channels",
  },
  shuffle: {
    type: "flag",
    default: true,
    description: "Group other channels in every copy and step.",
    source: "abstract",
  },
  whitening: {
    type: "choice",
    choices: ["none", "full"],
    default: "none",
    description:
      "Start of the trained map: the vectors as they are, or whitened in full by the training items, in closed form.",
    source: "ours: on frozen encoders it is the quicker cure; the paper has nothing like it",
  },
} as const;

type Context = RecipeContext<typeof options>;

interface Params {
  /** On frozen features alone: what is exported. */
  readonly map?: HeadParams;
  /** Used in training only. */
  readonly dense: LinearParams;
}

function only({ towers }: Pick<Context, "towers">): RecipeTower {
  return towers[0] as RecipeTower;
}

/** Groups of about `size` channels; of two divisors equally near the smaller one. */
export function groupsOf(width: number, size: number): number {
  const divisors = Array.from({ length: width }, (_, i) => i + 1).filter((d) => d > 1 && width % d === 0);
  const nearest = divisors.reduce(
    (best, d) => (Math.abs(d - size) < Math.abs(best - size) ? d : best),
    width,
  );
  return width / nearest;
}

const fromPaper = {
  batchSize: PAPER_DEFAULTS.batchSize,
  learningRate: PAPER_DEFAULTS.learningRate,
  epochs: PAPER_DEFAULTS.epochs,
  schedule: "cosine",
  source: "released training script, whose rate falls linearly",
} as const;

export const recipe = defineRecipe<Params, Record<string, never>, typeof options>({
  slug: "whitenedcse",
  summary:
    "Spreads the vectors of one encoder that crowd into a narrow cone, from plain items without labels.",
  needs: { towers: "one", labels: "none", train: ["head", "adapters", "whole"], copies: 3 },
  options,
  training: {
    head: {
      ...fromPaper,
      learningRate: 1e-3,
      epochs: 10,
      minimumSteps: 300,
      source: "ours: a map on frozen features that starts at the identity",
    },
    adapters: {
      ...fromPaper,
      learningRate: 1e-4,
      rank: 8,
      dropout: 0.1,
      source: "ours: the paper trains all weights",
    },
    whole: fromPaper,
  },
  deviations: [
    "The dropout that makes copies differ acts on the encoder's output (and on adapters), as ONNX files of encoders have theirs removed.",
    "With --train head a linear map on the frozen vectors is trained and exported; the paper trains the encoder.",
  ],
  check({ options: { groupSize }, batchSize, towers }) {
    const { width } = towers[0] as RecipeTower;
    const group = width / groupsOf(width, groupSize);
    if (batchSize > 2 * group) return;
    const smallest = width / groupsOf(width, 2);
    const also =
      smallest < group ? " or a smaller --group-size" : `: a width of ${width} has no smaller groups`;
    throw new Error(
      `whitenedcse: groups of ${group} channels need batches of more than ${2 * group} items, got ${batchSize}; choose a larger --batch${also}`,
    );
  },
  init(key, context) {
    const { width } = only(context);
    const dense = linearInit(foldIn(key, 1), { inputs: width, outputs: width });
    if (context.train !== "head") return { dense };
    return { map: headInit(foldIn(key, 0), { inputs: width, outputs: width }), dense };
  },
  async fit(start, features, context) {
    if (context.options.whitening === "none") return start;
    if (!start.map)
      throw new Error("whitenedcse: --whitening full needs --train head, whose map it starts from");
    const x = features[only(context).name];
    if (!x) throw new Error("whitenedcse: there are no features to fit");
    const [count, width] = x.shape as [number, number];
    const centre = mean(x, { axes: 0 });
    const centred = sub(x, centre);
    const covariance = matmul(centred, centred, { transposeA: true, scale: 1 / count });
    const { inverseRoot } = inverseSquareRoot(covariance, { ridge: FIT_RIDGE, iterations: 30 });
    const bias = neg(reshape(matmul(reshape(centre, [1, width]), inverseRoot), [width]));
    return { ...start, map: await evaluate({ weight: inverseRoot, bias }) };
  },
  embed(params, features) {
    return params.map ? head(params.map, features) : features;
  },
  loss(params, _state, batch, context) {
    const { options: given } = context;
    const tower = only(context);
    const groups = groupsOf(tower.width, given.groupSize);
    const passes = batch.copies[tower.name] as readonly Tensor[];
    const views = Array.from({ length: given.copies }, (_, m): Tensor => {
      const pass = (passes[m] ?? passes[0]) as Tensor;
      const dropped = dropout(foldInTensor(batch.key, m), pass, given.dropout);
      return this.embed(params, dropped, tower, context);
    });
    const permutations = given.shuffle
      ? drawPermutations(foldInTensor(batch.key, given.copies), given.copies, tower.width)
      : unshuffled(given.copies, tower.width);
    const { temperature } = given;
    const { loss } = whitenedcseLoss(params.dense, views, permutations, { groups, temperature });
    return { loss };
  },
});
