import { type LinearParams, linear } from "@concord/nn";
import {
  abs,
  adamw,
  add,
  cast,
  createTrainer,
  div,
  foldIn,
  greaterOrEqual,
  type Key,
  mse,
  mul,
  narrow,
  reshape,
  resize,
  sub,
  sum,
  type Tensor,
  type Traced,
  uniform,
  valueAndGradWithAux,
  where,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, type TrainLoopReport, trainLoop } from "../../harness/train-loop.ts";
import type { ArmRecipe, Pretext } from "./arms.ts";
import type { PretrainingConfig } from "./config.ts";
import type { CropGeometry } from "./crops.ts";
import {
  type EncoderParams,
  type NetworkConfig,
  placeHeadInit,
  pooledFeatures,
  projectorInit,
  type ReconstructionParams,
  reconstruct,
  reconstructionInit,
  segmenterInit,
} from "./network.ts";
import { overlapCorrelation, type VolumeEmbeddings, vocoLoss } from "./objective.ts";
import { type VocoProjectorParams, vocoProjector } from "./projector.ts";
import type { PreparedVolume } from "./task.ts";
import { ema } from "./teacher.ts";
import { type CropBatch, volumeBatches } from "./volume-batches.ts";
import { warmupCosine } from "./warmup-cosine.ts";

/** Share of the blocks that masked reconstruction hides, and their side in voxels. */
const MASKED_SHARE = 0.6;
const MASKED_BLOCK = 4;

/** An encoder with what its pretext task puts on top. */
export interface PretrainedParams {
  readonly encoder: EncoderParams;
  readonly projector?: VocoProjectorParams;
  readonly place?: LinearParams;
  readonly reconstruction?: ReconstructionParams;
}

interface Parts {
  readonly loss: Tensor;
  readonly [part: string]: Tensor;
}

type Batch = Traced<CropBatch>;

export function pretrainedInit(
  key: Key,
  encoder: EncoderParams,
  pretext: Pretext,
  config: NetworkConfig,
): PretrainedParams {
  const top = foldIn(key, 0);
  if (pretext.kind === "voco") return { encoder, projector: projectorInit(top, config) };
  if (pretext.kind === "place") return { encoder, place: placeHeadInit(top, config) };
  return { encoder, reconstruction: reconstructionInit(top, config) };
}

/** A student's structure with random weights of its own. */
function teacherInit(key: Key, pretext: Pretext, config: NetworkConfig): PretrainedParams {
  const { encoder } = segmenterInit(foldIn(key, 1), config, 1);
  return pretrainedInit(key, encoder, pretext, config);
}

/** Embeddings of all crops of a step, standardised together, parted into those of random and of base crops. */
export function volumeEmbeddings(
  params: Traced<PretrainedParams>,
  batch: Pick<Batch, "inputs" | "labels">,
  config: NetworkConfig,
): VolumeEmbeddings {
  if (!params.projector) throw new TypeError("voco: these parameters have no projector");
  const embedded = vocoProjector(params.projector, pooledFeatures(params.encoder, batch.inputs, config));
  const [V, R, n] = batch.labels.shape as [number, number, number];
  const byVolume = reshape(embedded, [V, n + R, embedded.shape[1] as number]);
  return { bases: narrow(byVolume, 1, 0, n), crops: narrow(byVolume, 1, n, R) };
}

/** L1 of the masked voxels alone; blocks of 4³ voxels are masked at random, 60 % of them. */
export function maskedLoss(
  params: Traced<PretrainedParams>,
  batch: Pick<Batch, "inputs" | "key">,
  config: NetworkConfig,
): Parts {
  const { encoder, reconstruction } = params as Required<Traced<PretrainedParams>>;
  const { inputs, key } = batch;
  const [N, , S, , D] = inputs.shape as [number, number, number, number, number];
  const blocks = [S, S, D].map((size) => Math.ceil(size / MASKED_BLOCK));
  const drawn = uniform(key, [N, 1, ...blocks]);
  const hidden = resize(cast(greaterOrEqual(drawn, 1 - MASKED_SHARE), "float32"), {
    size: [S, S, D],
    mode: "nearest",
  });
  const shown = where(greaterOrEqual(hidden, 0.5), reconstruction.token, inputs);
  const errors = abs(sub(reconstruct(encoder, reconstruction, shown, config), inputs));
  return { loss: div(sum(mul(errors, hidden)), add(sum(hidden), 1)) };
}

/** What an arm minimises, as a function of parameters, what the teacher makes of the crops, and the batch. */
function pretextLoss(
  pretext: Pretext,
  config: NetworkConfig,
): (params: Traced<PretrainedParams>, batch: Batch, teacher: VolumeEmbeddings | null) => Parts {
  if (pretext.kind === "masked") return (params, batch) => maskedLoss(params, batch, config);
  if (pretext.kind === "place")
    return (params, batch) => {
      const { encoder, place } = params as Required<Traced<PretrainedParams>>;
      return { loss: mse(linear(place, pooledFeatures(encoder, batch.inputs, config)), batch.places) };
    };
  const { form, lambdaReg } = pretext;
  return (params, batch, teacher) => {
    const { loss, prediction, regularisation, logits } = vocoLoss(
      volumeEmbeddings(params, batch, config),
      batch.labels,
      { form, lambdaReg, ...(teacher && { teacher }) },
    );
    return { loss, prediction, regularisation, correlation: overlapCorrelation(logits, batch.labels) };
  };
}

export interface PretrainingRequest {
  readonly start: EncoderParams;
  readonly recipe: ArmRecipe;
  readonly volumes: readonly PreparedVolume[];
  readonly geometry: CropGeometry;
  readonly network: NetworkConfig;
  readonly config: PretrainingConfig;
  /** For batches, and for what is put on top of the encoder. */
  readonly key: Key;
}

const streams = { top: 0, batches: 1, teacher: 2 } as const;

/**
 * Trains a copy of the start on unlabelled volumes. Volumes and crops of a step depend on the key alone, so all arms of a
 * seed see the same. The teacher of the released form has random weights of its own and follows the student after the
 * student's forward pass and before its own.
 */
export async function pretrain(
  context: UnitContext<unknown>,
  { start, recipe, volumes, geometry, network, config, key }: PretrainingRequest,
): Promise<{ readonly params: PretrainedParams; readonly report: TrainLoopReport }> {
  const { pretext } = recipe;
  const params = pretrainedInit(foldIn(key, streams.top), start, pretext, network);
  const optimiser = adamw({
    learningRate: warmupCosine({
      peak: config.learningRate,
      warmup: Math.floor(config.warmup * config.steps),
      steps: config.steps,
    }),
    weightDecay: config.weightDecay,
  });
  const hasTeacher = pretext.kind === "voco" && pretext.teacher;
  const loss = pretextLoss(pretext, network);
  type State = {
    params: PretrainedParams;
    optimiser: ReturnType<typeof optimiser.init<PretrainedParams>>;
    teacher?: PretrainedParams;
  };
  const trainer = createTrainer({
    state: {
      params,
      optimiser: optimiser.init(params),
      ...(hasTeacher && { teacher: teacherInit(foldIn(key, streams.teacher), pretext, network) }),
    } as State,
    step: (state, batch: Batch) => {
      const teacher = state.teacher && ema(state.teacher, state.params);
      const taught = teacher ? volumeEmbeddings(teacher, batch, network) : null;
      const { aux: metrics, gradients } = valueAndGradWithAux((p: Traced<PretrainedParams>) => {
        const parts = loss(p, batch, taught);
        return { value: parts.loss, aux: parts };
      })(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return {
        state: { params: next.params, optimiser: next.state, ...(teacher && { teacher }) },
        metrics,
      };
    },
    options: { name: "pre-training" },
  });
  await using batches = volumeBatches(volumes, {
    key: foldIn(key, streams.batches),
    batchSize: config.batchSize,
    randomCrops: config.randomCrops,
    geometry,
    augmentation: recipe.augmentation,
  });
  const report = await trainLoop(context, {
    name: "pre-training",
    steps: config.steps,
    trainer: stepTrainer(trainer),
    batchAt: (step) => batches.batch(step),
    samplesPerStep: Math.min(config.batchSize, volumes.length) * (geometry.grid ** 2 + config.randomCrops),
  });
  const trained = trainer.state().params;
  await trainer.close();
  return { params: trained, report };
}
