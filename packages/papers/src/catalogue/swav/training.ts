import type { PrefetchedSource } from "@concord/data";
import {
  adamw,
  add,
  asTensor,
  cast,
  cosineSchedule,
  createTrainer,
  div,
  equal,
  floor,
  foldIn,
  greaterOrEqual,
  mul,
  type NDArray,
  type Optimiser,
  type OptimiserState,
  remainder,
  reshape,
  type Schedule,
  scatterSet,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
  where,
  zerosArray,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, trainLoop } from "../../harness/train-loop.ts";
import type { Training } from "./arms.ts";
import type { SwavConfig, TrainingConfig } from "./config.ts";
import { type CropBatch, openCrops } from "./crop-source.ts";
import { freezeFirst } from "./freeze-first.ts";
import { larcSgd } from "./larc.ts";
import { lrSchedule, tableSchedule } from "./lr-schedule.ts";
import type { MultiCropOptions } from "./multi-crop.ts";
import type { Network, SwavParams, SwavStatistics } from "./network.ts";
import { cropObjective } from "./objective.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { emptyQueues } from "./queue.ts";
import type { LabelledImages } from "./shapes-world.ts";

/** Points of the curve of the loss that a training leaves. */
const CURVE_POINTS = 60;
/** Stream of a seed's key for the order of images and their crops; the same for all arms. */
const CROP_STREAM = 2;

export interface TrainingRequest {
  readonly network: Network;
  readonly start: { readonly params: SwavParams; readonly statistics: SwavStatistics };
  readonly training: Training;
  readonly images: LabelledImages;
  readonly crops: MultiCropOptions;
  readonly config: SwavConfig;
}

export interface TrainedEncoder {
  readonly params: SwavParams;
  readonly statistics: SwavStatistics;
  /** Loss of some steps, nats. */
  readonly curve: readonly (readonly [step: number, loss: number])[];
}

interface QueueState {
  /** [2, L, D] */
  readonly items: NDArray;
  /** 1 once a queue was full in this epoch, else 0. */
  readonly used: NDArray;
}

interface State {
  readonly params: SwavParams;
  readonly statistics: SwavStatistics;
  readonly optimiser: OptimiserState<SwavParams>;
  readonly curve: NDArray;
  readonly queue?: QueueState;
}

/** Steps in which prototypes wait. */
export function frozenSteps(training: Training, freeze: number, steps: number): number {
  if (training.prototypes === "fixed" || training.objective === "contrastive") return steps;
  return Math.min(steps, freeze < 1 ? Math.floor(freeze * steps) : freeze);
}

function schedule({ optimiser, epochs }: TrainingConfig, stepsPerEpoch: number): Schedule {
  if (optimiser.kind === "larc") return tableSchedule(lrSchedule({ ...optimiser, epochs, stepsPerEpoch }));
  const steps = epochs * stepsPerEpoch;
  return cosineSchedule({
    peak: optimiser.learningRate,
    steps,
    warmup: Math.floor(optimiser.warmup * steps),
  });
}

function optimiserOf(config: TrainingConfig, stepsPerEpoch: number, frozen: number): Optimiser {
  const { optimiser } = config;
  const rate = schedule(config, stepsPerEpoch);
  const made = (learningRate: Schedule): Optimiser =>
    optimiser.kind === "larc"
      ? larcSgd({ learningRate, weightDecay: optimiser.weightDecay })
      : adamw({ learningRate, weightDecay: 0 });
  // Prototypes count their steps from when they begin; their rate is that of the training all the same.
  return freezeFirst(
    made(rate),
    made((step) => rate(add(step, frozen))),
    {
      steps: frozen,
      frozen: (path) => path === "prototypes",
    },
  );
}

/** What the queue is after a step: empty before its first epoch. */
function nextQueue(
  before: Traced<QueueState>,
  after: { readonly queue: Tensor; readonly useQueue: Tensor },
  starts: Tensor,
): Traced<QueueState> {
  return {
    items: where(starts, after.queue, before.items),
    used: cast(after.useQueue, "float32"),
  };
}

function makeTrainer(
  { network, start, training, config: { training: config, network: shape } }: TrainingRequest,
  stepsPerEpoch: number,
  batchSize: number,
) {
  const steps = config.epochs * stepsPerEpoch;
  const optimiser = optimiserOf(config, stepsPerEpoch, frozenSteps(training, config.freezePrototypes, steps));
  const queued = config.queue !== null && training.objective === "swapped" && training.codes === "balanced";
  const initial: State = {
    params: start.params,
    statistics: start.statistics,
    optimiser: optimiser.init(start.params),
    curve: zerosArray([CURVE_POINTS]),
    ...(queued && {
      queue: {
        items: emptyQueues({
          // Batches of a small set may be smaller than the configured ones.
          length: Math.max(1, Math.floor(config.queue.length / batchSize)) * batchSize,
          batchSize,
          width: shape.width,
        }),
        used: zerosArray([]),
      },
    }),
  };
  return createTrainer<
    State,
    { readonly groups: readonly Tensor[] },
    { readonly loss: Tensor },
    Traced<State>
  >({
    state: initial,
    step: (state, { groups }) => {
      const { step } = state.optimiser;
      const rows = groups.reduce((total, group) => total + (group.shape[0] as number), 0);
      const epochBegins = equal(remainder(step, stepsPerEpoch), 0);
      const params = { ...state.params, prototypes: normalizePrototypes(state.params.prototypes) };
      const { aux, gradients } = valueAndGradWithAux((p: Traced<SwavParams>) => {
        const { projections, statistics } = network.encode(p, state.statistics, groups);
        const objective = cropObjective(
          training,
          {
            projections,
            prototypes: p.prototypes,
            nCrops: rows / batchSize,
            batchSize,
            ...(state.queue && {
              queue: {
                items: state.queue.items,
                useQueue: cast(where(epochBegins, asTensor(0), state.queue.used), "bool"),
              },
            }),
          },
          config,
        );
        return { value: objective.loss, aux: { statistics, objective } };
      })(params);
      const next = optimiser.update(params, gradients, state.optimiser);
      const { loss, queue, useQueue } = aux.objective;
      const place = cast(floor(div(mul(step, CURVE_POINTS), steps)), "int32");
      return {
        state: {
          params: next.params,
          statistics: aux.statistics,
          optimiser: next.state,
          curve: scatterSet(state.curve, reshape(place, [1]), reshape(loss, [1])),
          ...(state.queue &&
            queue &&
            useQueue && {
              queue: nextQueue(
                state.queue,
                { queue, useQueue },
                greaterOrEqual(step, (config.queue?.startsAtEpoch ?? 0) * stepsPerEpoch),
              ),
            }),
        },
        metrics: { loss },
      };
    },
    options: { name: "SwAV step" },
  });
}

/**
 * Trains a copy of the start with an arm's objective. Images, crops and their order depend on the seed alone. Crops are
 * made ahead in threads; one graph does the whole step.
 */
export async function trainEncoder(
  context: UnitContext<unknown>,
  request: TrainingRequest,
): Promise<TrainedEncoder> {
  const { images, crops, config, start } = request;
  const batchSize = Math.min(config.training.batchSize, images.count);
  const steps = config.training.epochs * Math.floor(images.count / batchSize);
  await using source: PrefetchedSource<CropBatch> = await openCrops(
    {
      pixels: images.pixels,
      count: images.count,
      size: images.size,
      batchSize,
      key: foldIn(context.key, CROP_STREAM),
      crops,
    },
    { workers: config.workers, until: steps },
  );
  const trainer = makeTrainer(request, source.stepsPerEpoch, batchSize);
  await trainLoop(context, {
    name: "training",
    steps,
    trainer: stepTrainer(trainer),
    batchAt: (step) => source.batch(step),
    samplesPerStep: batchSize,
  });
  const { params, statistics, curve } = trainer.state();
  await trainer.close();
  const values = Array.from(curve.data, Number);
  return {
    params: steps > 0 ? params : start.params,
    statistics,
    curve: values.flatMap((loss, i) => {
      const step = Math.ceil(((i + 1) * steps) / CURVE_POINTS) - 1;
      // Short trainings leave places empty.
      return loss === 0 && steps < CURVE_POINTS ? [] : [[step, loss] as const];
    }),
  };
}
