import { alignmentLoss, infoNCE } from "@concord/align";
import { type CaptionedImageSet, captionedBatches, clipStatistics, type TextTokenizer } from "@concord/data";
import {
  adamw,
  add,
  cast,
  cosineSchedule,
  createTrainer,
  foldIn,
  foldInTensor,
  type Key,
  keyTensor,
  l2Normalize,
  mul,
  type NDArray,
  type Optimiser,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, trainLoop } from "../../harness/train-loop.ts";
import type { ArmRecipe } from "./arms.ts";
import type { PretrainingConfig, RefinementConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import {
  type DualEncoder,
  type DualEncoderParams,
  type PairBatch,
  separateModalities,
} from "./dual-encoder.ts";
import { clipRefineObjective } from "./objective.ts";
import { drawReferences } from "./rafa.ts";

/** Independent uses of a seed's key in training. */
const streams = {
  initialisation: 0,
  separation: 1,
  pretrainingBatches: 2,
  refinementBatches: 3,
  references: 4,
} as const;

type Params = Traced<DualEncoderParams>;

interface LossParts {
  readonly loss: Tensor;
  readonly [part: string]: Tensor;
}

/** A trainer of a dual encoder: one graph a step with forward, gradients and the optimiser's update. */
function encoderTrainer<Batch>(
  name: string,
  start: DualEncoderParams,
  optimiser: Optimiser,
  loss: (params: Params, batch: Batch, step: Tensor) => LossParts,
) {
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, batch: Batch) => {
      const { step } = state.optimiser;
      const { aux: metrics, gradients } = valueAndGradWithAux((params: Params) => {
        const parts = loss(params, batch, step);
        return { value: parts.loss, aux: parts };
      })(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics };
    },
    options: { name },
  });
  return {
    params: () => trainer.state().params,
    close: () => trainer.close(),
    loop: stepTrainer(trainer),
  };
}

export interface PretrainingRequest {
  readonly encoder: DualEncoder;
  readonly set: CaptionedImageSet;
  readonly tokenizer: TextTokenizer;
  /** Tokens per text. */
  readonly context: number;
  readonly config: PretrainingConfig;
}

/** Stage A: InfoNCE with a constant logit scale from random weights, the modalities parted at the start. */
export async function pretrain(
  context: UnitContext<unknown>,
  { encoder, set, tokenizer, context: length, config }: PretrainingRequest,
): Promise<DualEncoderParams> {
  const stream = (name: keyof typeof streams): Key => foldIn(context.key, streams[name]);
  const initial = encoder.init(stream("initialisation"));
  const start =
    config.separation > 0 ? separateModalities(initial, stream("separation"), config.separation) : initial;
  await using batches = captionedBatches(set, {
    key: stream("pretrainingBatches"),
    batchSize: Math.min(config.batchSize, set.count),
    tokenizer,
    length,
    statistics: clipStatistics,
  });
  const steps = config.epochs * batches.stepsPerEpoch;
  const optimiser = adamw({
    learningRate: cosineSchedule({
      peak: config.learningRate,
      steps,
      warmup: Math.floor(config.warmup * steps),
    }),
    weightDecay: config.weightDecay,
  });
  const trainer = encoderTrainer("pre-training", start, optimiser, (params, batch: PairBatch) => {
    const { image, text } = encoder.pairs(params, batch);
    return { loss: infoNCE(l2Normalize(image), l2Normalize(text), { logitScale: config.logitScale }) };
  });
  await trainLoop(context, {
    name: "pre-training",
    steps,
    trainer: trainer.loop,
    batchAt: async (step) => pairsOf(await batches.batch(step)),
    samplesPerStep: Math.min(config.batchSize, set.count),
  });
  const params = trainer.params();
  await trainer.close();
  return params;
}

export interface RefinementRequest {
  readonly encoder: DualEncoder;
  readonly start: DualEncoderParams;
  readonly recipe: ArmRecipe;
  readonly set: CaptionedImageSet;
  readonly tokenizer: TextTokenizer;
  /** Tokens per text. */
  readonly context: number;
  readonly config: RefinementConfig;
  readonly logitScale: number;
}

/** A batch of stage B: pairs, and the parameters of the teacher, which never change. */
interface RefinementBatch {
  readonly pairs: PairBatch;
  readonly frozen: Params;
}

/**
 * Stage B: trains a copy of the start with an arm's objective. Batches and references depend on the seed alone, so all
 * arms of a seed see the same. The teacher is the start itself; it runs in the same graph, fed with the same arrays in
 * every step, and the graph of an arm without distillation leaves it out.
 */
export async function refine(
  context: UnitContext<unknown>,
  request: RefinementRequest,
): Promise<DualEncoderParams> {
  const { encoder, start, recipe, set, config, logitScale } = request;
  await using batches = captionedBatches(set, {
    key: foldIn(context.key, streams.refinementBatches),
    batchSize: Math.min(config.batchSize, set.count),
    tokenizer: request.tokenizer,
    length: request.context,
    statistics: clipStatistics,
  });
  const optimiser = adamw({
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
    beta1: PAPER_DEFAULTS.beta1,
    beta2: PAPER_DEFAULTS.beta2,
    epsilon: PAPER_DEFAULTS.epsilon,
  });
  const loss = refinementLoss(encoder, recipe, config, logitScale, foldIn(context.key, streams.references));
  const trainer = encoderTrainer("refinement", start, optimiser, loss);
  await trainLoop(context, {
    name: "refinement",
    steps: config.epochs * batches.stepsPerEpoch,
    trainer: trainer.loop,
    batchAt: async (step) => ({ pairs: pairsOf(await batches.batch(step)), frozen: start }),
    samplesPerStep: Math.min(config.batchSize, set.count),
  });
  const params = trainer.params();
  await trainer.close();
  return params;
}

/** The objective of an arm as a function of parameters, batch and number of steps done. */
function refinementLoss(
  encoder: DualEncoder,
  recipe: ArmRecipe,
  config: RefinementConfig,
  logitScale: number,
  referenceKey: Key,
): (params: Params, batch: RefinementBatch, step: Tensor) => LossParts {
  return (params, { pairs, frozen }, step) => {
    const student = encoder.pairs(params, pairs);
    const teacher = encoder.pairs(frozen, pairs);
    const key = foldInTensor(keyTensor(referenceKey), cast(step, "int32"));
    const prior = recipe.rafa?.prior;
    const references = drawReferences(key, student.image.shape, prior ? { prior } : {});
    const parts = clipRefineObjective(student, teacher, references, {
      lambdaContrastive: recipe.contrastive ? 1 : 0,
      lambdaRafa: recipe.rafa ? config.lambdaRafa : 0,
      lambdaHycd: recipe.hycd ? PAPER_DEFAULTS.lambdaHycd : 0,
      alpha: recipe.hycd?.alpha ?? PAPER_DEFAULTS.alpha,
      temperature: PAPER_DEFAULTS.temperature,
      logits: config.logits,
      logitScale,
    });
    const used: Record<string, Tensor> = {
      ...(recipe.contrastive && { contrastive: parts.contrastive }),
      ...(recipe.rafa && { rafa: parts.rafa }),
      ...(recipe.hycd && { hycd: parts.hycd }),
    };
    if (!recipe.align) return { loss: parts.loss, ...used };
    const align = alignmentLoss(l2Normalize(student.image), l2Normalize(student.text));
    return { loss: add(parts.loss, mul(align, config.lambdaAlign)), ...used, align };
  };
}

function pairsOf({
  images,
  tokens,
  mask,
}: {
  readonly images: NDArray;
  readonly tokens: NDArray;
  readonly mask: NDArray;
}) {
  return { images, tokens, mask };
}
