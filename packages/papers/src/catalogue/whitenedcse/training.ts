import { alignmentLoss } from "@concord/align";
import { batchPlan } from "@concord/data";
import { type LinearParams, linear } from "@concord/nn";
import {
  adamw,
  add,
  cast,
  createTrainer,
  foldIn,
  foldInTensor,
  keyTensor,
  l2Normalize,
  maximum,
  mul,
  type NDArray,
  split,
  sub,
  type Tensor,
  type Traced,
  tanh,
  tile,
  valueAndGrad,
} from "@concord/tensor";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { type StepTrainer, trainLoop } from "../../harness/train-loop.ts";
import type { TrainedRecipe, WhiteningRecipe } from "./arms.ts";
import type { TrainingConfig } from "./config.ts";
import { type EncoderConfig, type EncoderParams, encode } from "./encoder.ts";
import { multiPositiveInfoNCE } from "./multi-positive.ts";
import { whitenedcseLoss } from "./objective.ts";
import { drawPermutations, type SgwViewsOptions, sgwViews, unshuffled } from "./sgw.ts";
import type { Task } from "./task.ts";
import type { TokenRows } from "./word-vectors.ts";

/** Independent uses of a seed's key. */
export const streams = { start: 1, defects: 2, batches: 3, dropout: 4, shuffles: 5 } as const;

export interface ModelParams {
  readonly encoder: EncoderParams;
  /** Dense layer of the head, used in training only. */
  readonly dense: LinearParams;
}

/** What is looked at from time to time in a training. */
export interface Observation {
  /** Spearman's ρ on the development pairs, by which the best checkpoint is chosen; null without such pairs. */
  readonly score: number | null;
  readonly alignment: number;
  readonly uniformity: number;
}

export interface TracePoint extends Observation {
  readonly step: number;
}

export interface TrainingRequest {
  readonly task: Task;
  readonly encoder: EncoderConfig;
  readonly config: TrainingConfig;
  readonly recipe: TrainedRecipe;
  /** Of the first step; falls linearly to 0. */
  readonly learningRate: number;
  readonly start: ModelParams;
  readonly observe: (params: EncoderParams) => Promise<Observation>;
}

export interface TrainingResult {
  /** Those of the best look, else the last ones. */
  readonly params: ModelParams;
  readonly keptStep: number;
  /** The start and every look. */
  readonly trace: readonly TracePoint[];
}

/** Options of the whitening that a recipe asks for. */
export function whiteningOptions(
  whitening: WhiteningRecipe,
  width: number,
  config: Pick<TrainingConfig, "groupSize">,
): SgwViewsOptions {
  const { groupSize = config.groupSize, layout, stopGradient } = whitening;
  if (width % groupSize !== 0)
    throw new RangeError(`groups of ${groupSize} channels do not divide an encoder of width ${width}`);
  return {
    groups: width / groupSize,
    ...(layout && { layout }),
    ...(stopGradient !== undefined && { stopGradient }),
  };
}

function permutationsOf({ shuffle }: WhiteningRecipe, key: Tensor, views: number, width: number): Tensor[] {
  if (shuffle === "none") return unshuffled(views, width);
  if (shuffle === "each") return drawPermutations(key, views, width);
  const [order] = drawPermutations(key, 1, width) as [Tensor];
  return Array.from({ length: views }, () => order);
}

/** The objective of an arm, of the pooled features of its copies. */
function objective(
  { whitening, loss }: TrainedRecipe,
  config: TrainingConfig,
  dense: Traced<LinearParams>,
  views: readonly Tensor[],
  key: Tensor,
): Tensor {
  const { temperature } = config;
  const width = (views[0] as Tensor).shape[1] as number;
  const contrast = { temperature, mode: loss === "weighted" ? "weighted" : "sum" } as const;
  if (!whitening)
    return multiPositiveInfoNCE(
      views.map((view) => tanh(linear(dense, view))),
      contrast,
    );
  const permutations = permutationsOf(whitening, key, views.length, width);
  const options = whiteningOptions(whitening, width, config);
  if (loss !== "alignment")
    return whitenedcseLoss(dense, views, permutations, { ...options, ...contrast }).loss;
  const [anchor, ...positives] = sgwViews(views, permutations, options).map((view) => l2Normalize(view)) as [
    Tensor,
    ...Tensor[],
  ];
  return positives.map((view) => alignmentLoss(anchor, view)).reduce(add);
}

/** One graph a step: P copies in one pass with dropout masks of their own, objective, gradients, AdamW. */
function armTrainer(context: UnitContext<unknown>, request: TrainingRequest, steps: number) {
  const { encoder, config, recipe, learningRate, start } = request;
  const optimiser = adamw({
    learningRate: (step) => mul(maximum(sub(1, mul(step, 1 / steps)), 0), learningRate),
    weightDecay: config.weightDecay,
  });
  const dropoutKey = keyTensor(foldIn(context.key, streams.dropout));
  const shuffleKey = keyTensor(foldIn(context.key, streams.shuffles));
  return createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, { ids, mask }: { readonly ids: Tensor; readonly mask: Tensor }) => {
      const step = cast(state.optimiser.step, "int32");
      const copies = [recipe.copies, 1];
      const { value: loss, gradients } = valueAndGrad((params: Traced<ModelParams>) => {
        const features = encode(
          params.encoder,
          tile(ids, copies),
          tile(mask, copies),
          encoder,
          foldInTensor(dropoutKey, step),
        );
        const views = split(features, recipe.copies, 0);
        return objective(recipe, config, params.dense, views, foldInTensor(shuffleKey, step));
      })(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: { loss } };
    },
    options: { name: "WhitenedCSE step" },
  });
}

/** Rows of a token batch. */
function takeTokens({ ids, mask }: TokenRows, indices: Uint32Array): TokenRows {
  const length = ids.shape[1] as number;
  const shape = [indices.length, length];
  const taken = {
    ids: { dtype: "int32", shape, data: new Int32Array(indices.length * length) },
    mask: { dtype: "float32", shape, data: new Float32Array(indices.length * length) },
  } as const;
  indices.forEach((index, i) => {
    taken.ids.data.set(ids.data.subarray(index * length, (index + 1) * length), i * length);
    taken.mask.data.set(mask.data.subarray(index * length, (index + 1) * length), i * length);
  });
  return taken;
}

/** Of a look in a checkpoint: step, score (NaN for none), alignment, uniformity. */
const COLUMNS = 4;

function packTrace(trace: readonly TracePoint[]): NDArray<"float64"> {
  const rows = trace.flatMap(({ step, score, alignment, uniformity }) => [
    step,
    score ?? Number.NaN,
    alignment,
    uniformity,
  ]);
  return { dtype: "float64", shape: [trace.length, COLUMNS], data: Float64Array.from(rows) };
}

function unpackTrace({ shape, data }: NDArray): TracePoint[] {
  return Array.from({ length: shape[0] as number }, (_, i) => {
    const [step, score, alignment, uniformity] = Array.from({ length: COLUMNS }, (_, c) =>
      Number(data[i * COLUMNS + c]),
    ) as [number, number, number, number];
    return { step, score: Number.isNaN(score) ? null : score, alignment, uniformity };
  });
}

/** The look whose parameters are kept: the best score, the last of equals and where there are no scores. */
function keptLook(looks: readonly TracePoint[]): TracePoint {
  return looks.reduce((best, look) => ((look.score ?? 0) >= (best.score ?? 0) ? look : best));
}

/**
 * Trains an arm from the start of its seed, looks at it every `validateEvery` steps and keeps the parameters of the best
 * look, as the released code does. Batches, dropout and shuffles depend on the seed alone: all arms of a seed see the
 * same sentences in the same order. What was seen so far is part of every checkpoint.
 */
export async function trainArm(
  context: UnitContext<unknown>,
  request: TrainingRequest,
): Promise<TrainingResult> {
  const { task, config, start, observe } = request;
  const count = task.sentences.length;
  const batchSize = Math.min(config.batchSize, count);
  const plan = batchPlan({ key: foldIn(context.key, streams.batches), count, batchSize });
  const steps = config.steps ?? config.epochs * plan.stepsPerEpoch;
  const trainer = armTrainer(context, request, steps);
  type Inner = ReturnType<typeof trainer.state>;
  let trace: TracePoint[] = [{ step: 0, ...(await observe(start.encoder)) }];
  let kept = start;
  let done = 0;

  const look = async (): Promise<void> => {
    const params = trainer.state().params as ModelParams;
    const point = { step: done, ...(await observe(params.encoder)) };
    trace.push(point);
    const { score, alignment, uniformity } = point;
    context.log("development", done, { ...(score !== null && { score }), alignment, uniformity });
    if (keptLook(trace.slice(1)) === point) kept = params;
  };
  const loop: StepTrainer<TokenRows> = {
    async step(batch) {
      const metrics = await trainer.step(batch);
      done++;
      if (done % config.validateEvery === 0 || done === steps) await look();
      return metrics;
    },
    state: () => ({
      trainer: trainer.state() as unknown as ArrayTree,
      kept: kept as unknown as ArrayTree,
      trace: packTrace(trace),
    }),
    restore(state) {
      const saved = state as unknown as { trainer: Inner; kept: ModelParams; trace: NDArray };
      trainer.restore(saved.trainer);
      kept = saved.kept;
      trace = unpackTrace(saved.trace);
      done = Number((saved.trainer.optimiser as { readonly step: NDArray }).step.data[0]);
    },
  };
  await trainLoop(context, {
    name: "training",
    steps,
    trainer: loop,
    batchAt: (step) => takeTokens(task.tokens, plan.at(step).indices),
    samplesPerStep: batchSize,
  });
  await trainer.close();
  return { params: kept, keptStep: keptLook(trace.slice(1)).step, trace };
}
