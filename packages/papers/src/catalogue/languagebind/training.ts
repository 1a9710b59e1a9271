import { batchPlan, type TextTokenizer, type TokenBatch } from "@concord/data";
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
  mul,
  type NDArray,
  ndarray,
  sub,
  type Tensor,
  type Traced,
  treeEntries,
  treeMap,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, trainLoop } from "../../harness/train-loop.ts";
import type { BindingConfig, LanguageBindConfig, SensorConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { languageEncoder, languageInit, mergeAdapters, rowsOf, type Start, sizedFor } from "./embedder.ts";
import { clampLogScale, INITIAL_LOG_SCALE, languageContrastiveLoss } from "./language-contrastive.ts";
import {
  type ModalityEncoderParams,
  modalityEncoder,
  modalityEncoderInit,
  patchGrid,
} from "./modality-encoder.ts";
import { patchNoise } from "./patch-dropout.ts";
import type { Task } from "./task.ts";
import {
  decays,
  type TrainedWeights,
  type Tuning,
  trainedWeights,
  withTraced,
  withWeights,
} from "./trainable.ts";

/** Independent uses of a seed's key in training. */
const streams = { image: 0, language: 1, pretrainingBatches: 2, bindingBatches: 3, masks: 4 } as const;

const initialLogScale = (): NDArray => ndarray([INITIAL_LOG_SCALE], { shape: [] });

interface Learner {
  /** θ and what learns besides. */
  readonly logScale: NDArray;
}

interface ContrastiveTraining<P extends Learner, Batch> {
  readonly name: string;
  readonly start: P;
  readonly steps: number;
  readonly learningRate: number;
  readonly warmup: number;
  readonly weightDecay: number;
  /** Factor on the change that a step makes to some parameters, by path. Default 1 everywhere. */
  readonly rateFactor?: (path: string) => number;
  readonly batchAt: (step: number) => Promise<Batch> | Batch;
  readonly samplesPerStep: number;
  /** `step` counts the steps done. */
  readonly loss: (params: Traced<P>, batch: Traced<Batch>, step: Tensor) => { readonly loss: Tensor };
}

/** Trains with AdamW and a cosine schedule, θ kept in its range after every step. One graph, compiled once. */
async function trainContrastive<P extends Learner, Batch>(
  context: UnitContext<unknown>,
  training: ContrastiveTraining<P, Batch>,
): Promise<P> {
  const { start, steps, rateFactor = () => 1 } = training;
  const arrays = new Map(treeEntries(start) as [string, NDArray][]);
  const optimiser = adamw({
    learningRate: cosineSchedule({
      peak: training.learningRate,
      steps,
      warmup: Math.min(training.warmup, Math.floor(steps / 10)),
    }),
    beta1: PAPER_DEFAULTS.beta1,
    beta2: PAPER_DEFAULTS.beta2,
    epsilon: PAPER_DEFAULTS.epsilon,
    weightDecay: training.weightDecay,
    decays: (path) => decays(path, arrays.get(path) as NDArray),
  });
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, batch: Traced<Batch>) => {
      const params = state.params as Traced<P>;
      const { aux: metrics, gradients } = valueAndGradWithAux((p: Traced<P>) => {
        const parts = training.loss(p, batch, state.optimiser.step);
        return { value: parts.loss, aux: parts };
      })(params);
      const next = optimiser.update(params, gradients, state.optimiser as never);
      const before = new Map(treeEntries(params) as [string, Tensor][]);
      const after = treeMap(next.params, (leaf, path) => {
        const factor = rateFactor(path);
        const old = before.get(path) as Tensor;
        const moved = factor === 1 ? (leaf as Tensor) : add(old, mul(sub(leaf as Tensor, old), factor));
        return path === "logScale" ? clampLogScale(moved) : moved;
      });
      return { state: { params: after, optimiser: next.state } as never, metrics };
    },
    options: { name: training.name },
  });
  await trainLoop(context, {
    name: training.name,
    steps,
    trainer: {
      ...stepTrainer(trainer),
      step: (batch: Batch) => trainer.step(batch as never),
    },
    batchAt: training.batchAt,
    samplesPerStep: training.samplesPerStep,
  });
  const { params } = trainer.state();
  await trainer.close();
  return params as P;
}

/** Captions of a batch as tokens and mask, [B, L] each. A caption is encoded at its first visit only. */
function captionReader(
  captions: readonly string[],
  tokenizer: TextTokenizer,
  length: number,
): (indices: ArrayLike<number>) => { readonly tokens: NDArray; readonly mask: NDArray } {
  const known = new Map<number, TokenBatch>();
  return (indices) => {
    const shape = [indices.length, length];
    const tokens = new Int32Array(indices.length * length);
    const mask = new Float32Array(indices.length * length);
    for (let row = 0; row < indices.length; row++) {
      const i = indices[row] as number;
      const encoded = known.get(i) ?? tokenizer.encodeBatch([captions[i] as string], { length });
      known.set(i, encoded);
      tokens.set(encoded.ids.data, row * length);
      mask.set(encoded.mask.data, row * length);
    }
    return {
      tokens: { dtype: "int32", shape, data: tokens },
      mask: { dtype: "float32", shape, data: mask },
    };
  };
}

/** Stage A: pictures and texts from random weights, all of them trained. */
export async function pretrain(
  context: UnitContext<unknown>,
  task: Task,
  config: LanguageBindConfig,
): Promise<Start> {
  const { pictures, tokenizer } = task;
  const { epochs, batchSize, learningRate, warmup, weightDecay } = config.pretraining;
  const count = pictures.captions.length;
  const size = Math.min(batchSize, count);
  const plan = batchPlan({ key: foldIn(context.key, streams.pretrainingBatches), count, batchSize: size });
  const steps = epochs * plan.stepsPerEpoch;
  const encoder = sizedFor(config.encoder, pictures.inputs.shape);
  const read = captionReader(pictures.captions, tokenizer, task.context);
  const start = {
    image: modalityEncoderInit(foldIn(context.key, streams.image), encoder),
    language: languageInit(foldIn(context.key, streams.language), config.text, {
      vocabulary: tokenizer.vocabularySize,
      context: task.context,
      outputs: encoder.outputs,
    }),
    logScale: initialLogScale(),
  };
  const { image, language } = await trainContrastive(context, {
    name: "pre-training",
    start,
    steps,
    learningRate,
    warmup: Math.floor(warmup * steps),
    weightDecay,
    batchAt: (step) => {
      const { indices } = plan.at(step);
      return { inputs: rowsOf(pictures.inputs, indices), ...read(indices) };
    },
    samplesPerStep: size,
    loss: (params, batch) => {
      const x = modalityEncoder(params.image, batch.inputs, { config: encoder });
      const y = languageEncoder(params.language, batch.tokens, batch.mask, config.text);
      return { loss: languageContrastiveLoss(x, y, params.logScale).loss };
    },
  });
  return { image, language };
}

/** A sensor to be bound: its samples, and the frozen features that each is bound to. */
export interface Bound {
  readonly name: string;
  /** [n, 3, H, W] or [n, T, 3, H, W] */
  readonly inputs: NDArray<"float32">;
  /** [n, D]; computed once, nothing is trained behind them */
  readonly targets: NDArray<"float32">;
  /** Share of patches left out. */
  readonly patchDropout: number;
}

export interface BindingRequest {
  /** Names the curve and the checkpoint. */
  readonly name: string;
  /** The adapted copy at its start. */
  readonly encoder: ModalityEncoderParams;
  readonly tuning: Tuning;
  /** One sensor; several share the encoder, and the loss is the mean over them. All have the same number of samples. */
  readonly bound: readonly Bound[];
  readonly settings: SensorConfig;
  readonly binding: BindingConfig;
  readonly config: LanguageBindConfig["encoder"];
}

/** Key of a step's masks, another one for each of the sensors that share an encoder. */
export function maskKey(key: Key, step: Tensor, sensor: number): Tensor {
  return foldInTensor(foldInTensor(keyTensor(foldIn(key, streams.masks)), cast(step, "int32")), sensor);
}

/**
 * Stage B for one encoder: contrast of each sensor with its frozen targets. What is frozen are constants of the graph.
 * Batches and masks depend on the seed alone, so all arms of a seed see the same.
 *
 * @returns the bound encoder, adapters merged
 */
export async function bindEncoder(
  context: UnitContext<unknown>,
  request: BindingRequest,
): Promise<ModalityEncoderParams> {
  const { encoder, tuning, bound, settings, binding } = request;
  const count = bound[0]?.inputs.shape[0] as number;
  const batchSize = Math.min(settings.batchSize, count);
  const plan = batchPlan({ key: foldIn(context.key, streams.bindingBatches), count, batchSize });
  const steps = settings.epochs * plan.stepsPerEpoch;
  const start: { readonly trained: TrainedWeights; readonly logScale: NDArray } = {
    trained: trainedWeights(encoder, tuning),
    logScale: initialLogScale(),
  };
  const lora = { rank: settings.rank, alpha: binding.alpha };
  const { trained } = await trainContrastive(context, {
    name: request.name,
    start,
    steps,
    learningRate: settings.learningRate,
    warmup: settings.warmup,
    weightDecay: binding.weightDecay,
    rateFactor: (path) => (path.includes("lora") ? 1 : binding.otherRateFactor),
    batchAt: (step) => {
      const { indices } = plan.at(step);
      return bound.map(({ inputs, targets }) => ({
        inputs: rowsOf(inputs, indices),
        targets: rowsOf(targets, indices),
      }));
    },
    samplesPerStep: batchSize * bound.length,
    loss: (params, batch, step) => {
      const weights = withTraced(encoder, params.trained);
      const losses = bound.map(({ inputs, patchDropout: rate }, i) => {
        const own = batch[i] as { readonly inputs: Tensor; readonly targets: Tensor };
        const config = sizedFor(request.config, inputs.shape);
        const [rows, columns] = patchGrid(config);
        const noise = patchNoise(maskKey(context.key, step, i), batchSize, rows * columns);
        const x = modalityEncoder(weights, own.inputs, {
          config,
          lora,
          ...(rate > 0 && { dropout: { rate, noise } }),
        });
        return languageContrastiveLoss(x, own.targets, params.logScale).loss;
      });
      return { loss: mul(losses.reduce(add), 1 / losses.length) };
    },
  });
  return mergeAdapters(withWeights(encoder, trained), lora);
}
