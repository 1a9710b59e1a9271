import { captionedBatches, clipStatistics } from "@concord/data";
import {
  add,
  createTrainer,
  div,
  equal,
  floor,
  foldIn,
  type Key,
  keyArray,
  mul,
  type NDArray,
  ndarray,
  type Optimiser,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import { stepTrainer, trainLoop } from "../../harness/train-loop.ts";
import { bertAdam } from "./bert-adam.ts";
import { codeMemoryInit, refreshTargets } from "./code-memory.ts";
import type { HashingConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { DualEncoderParams, FrozenParams } from "./encoders.ts";
import type { Latest } from "./latest.ts";
import { type ArmModel, type ArmParams, RANDOM_USES, type TextInputs } from "./model.ts";
import { type ObjectiveInputs, objective } from "./objective.ts";
import { endsOf, missingText, type Task, takeRows, trainingSet } from "./task.ts";

/** Independent uses of a seed's key; the same in all arms of a seed. */
const streams = { batches: 12, parameters: 13, memory: 14, steps: 15 } as const;

const FLIP = 0.5;

/** What a step gets. */
interface HashBatch<T> {
  readonly frozen: Traced<FrozenParams>;
  readonly images: T;
  /** As `TextInputs`, with a prompt for each item. */
  readonly texts: { readonly [K in keyof TextInputs]: T };
  readonly labels: T;
  readonly items: T;
  readonly allLabels: T;
  /** int32 [uses, 2]: keys of the step. */
  readonly keys: T;
  /** Chance that a modality is missing. */
  readonly missing: T;
  readonly alignment: { readonly [K in keyof ObjectiveInputs["alignment"]]: T };
}

type Group = keyof HashingConfig["learningRates"];

/** The trainer of arms that are made of the same parts: numbers that tell them apart come with the batch. */
export type HashTrainer = ReturnType<typeof hashTrainer>;

function hashTrainer(
  model: ArmModel,
  state: ReturnType<typeof initialState>,
  steps: { readonly total: number; readonly perEpoch: number },
) {
  const { config } = model;
  const optimisers = optimisersOf(config, steps.total);
  return createTrainer({
    state,
    step: (current, batch: HashBatch<Tensor>) => {
      const after = add((current.optimisers.hash as { step: Tensor }).step, 1);
      const { aux, gradients } = valueAndGradWithAux((params: Traced<ArmParams>) => {
        const encoded = model.encode(params, batch.frozen, batch.images, batch.texts);
        const features = model.training(params, encoded, batch.keys, batch.missing);
        const inputs = { ...batch, memories: current.memories };
        const { loss, parts, memories } = objective(model, params, features, inputs);
        return { value: loss, aux: { metrics: { loss, ...parts }, memories } };
      })(current.params as Traced<ArmParams>);
      const epochEnds = equal(after, mul(floor(div(add(after, 0.5), steps.perEpoch)), steps.perEpoch));
      const updated = Object.entries(current.params).map(([group, part]) => {
        const gradient = gradients[group as Group] as typeof part;
        const own = current.optimisers[group] as never;
        return [group, optimisers[group as Group].update(part, gradient, own)] as const;
      });
      return {
        state: {
          params: Object.fromEntries(updated.map(([group, { params }]) => [group, params])) as never,
          optimisers: Object.fromEntries(updated.map(([group, next]) => [group, next.state])) as never,
          memories: Object.fromEntries(
            Object.entries(aux.memories).map(([bits, memory]) => [bits, refreshTargets(memory, epochEnds)]),
          ),
        },
        metrics: aux.metrics,
      };
    },
    options: { name: "hashing" },
  });
}

/** BertAdam for each group of parameters, with its own learning rate. */
function optimisersOf({ learningRates }: HashingConfig, totalSteps: number): Record<Group, Optimiser> {
  const of = (learningRate: number): Optimiser => bertAdam({ learningRate, totalSteps });
  return {
    hash: of(learningRates.hash),
    fusion: of(learningRates.fusion),
    encoder: of(learningRates.encoder),
  };
}

/** Parameters, moments and memories before the first step. */
function initialState(params: ArmParams, config: HashingConfig, items: number, key: Key) {
  // Where moments start depends on no setting.
  const optimisers = optimisersOf(config, 1);
  return {
    params,
    optimisers: Object.fromEntries(
      Object.entries(params).map(([group, part]) => [group, optimisers[group as Group].init(part)]),
    ),
    memories: Object.fromEntries(
      [...PAPER_DEFAULTS.bits, config.auxiliaryBits].map((bits) => [
        String(bits),
        codeMemoryInit(foldIn(key, bits), items, bits),
      ]),
    ),
  };
}

export interface HashingRequest {
  readonly model: ArmModel;
  readonly start: DualEncoderParams;
  readonly task: Task;
  /** The trainer of the arm before, which serves this one if their models have the same parts. */
  readonly trainers: Latest<HashTrainer>;
}

/**
 * Stage B: trains the codes of an arm from the start that all arms share. Batches, initial parts and the keys of the
 * steps depend on the seed alone. The frozen parts are inputs that no gradient reaches.
 */
export async function trainHashing(
  context: UnitContext<unknown>,
  { model, start, task, trainers }: HashingRequest,
): Promise<ArmParams> {
  const { recipe, config } = model;
  const set = trainingSet(task);
  const rows = Array.from({ length: task.training }, (_, i) => task.queries + i);
  const allLabels = takeRows(task.items.labels, rows);
  const batchSize = Math.min(config.batchSize, set.count);
  await using batches = captionedBatches(set, {
    key: foldIn(context.key, streams.batches),
    batchSize,
    tokenizer: task.tokenizer,
    length: task.context,
    statistics: clipStatistics,
    augment: { flip: FLIP, shift: config.shift },
  });
  const steps = { total: config.epochs * batches.stepsPerEpoch, perEpoch: batches.stepsPerEpoch };
  const state = initialState(
    model.init(foldIn(context.key, streams.parameters), start, task.context),
    config,
    set.count,
    foldIn(context.key, streams.memory),
  );
  const trainer = await trainers.get(model.parts.training, () => hashTrainer(model, state, steps));
  trainer.restore(state);
  const stepKey = foldIn(context.key, streams.steps);
  const scalar = (value: number): NDArray => ndarray([value], { shape: [] });
  const weightOf = (has: boolean): number => (has ? config.alignmentWeight : 0);
  const weights = {
    global: weightOf(recipe.alignment !== "none"),
    local: weightOf(recipe.alignment === "both"),
  };
  const chances = { none: 0, some: config.modalityDropout, all: 1 };
  const constants = {
    frozen: start.frozen,
    allLabels,
    missing: scalar(chances[recipe.missing]),
    alignment: { global: scalar(weights.global), local: scalar(weights.local) },
  };
  const noLabels = takeRows(task.prompt, new Array<number>(batchSize).fill(0));
  const missing = missingText(task);
  await trainLoop(context, {
    name: "hashing",
    steps: steps.total,
    trainer: {
      ...stepTrainer(trainer),
      async step(batch: Omit<HashBatch<NDArray>, keyof typeof constants>) {
        const metrics = await trainer.step({ ...batch, ...constants } as never);
        // A part that has no weight is none of the arm's.
        const shown = Object.entries(metrics).filter(([name]) => weights[name as "local"] !== 0);
        return Object.fromEntries(shown);
      },
    },
    batchAt: async (step) => {
      const { images, tokens, mask, indices } = await batches.batch(step);
      const items = Array.from(indices.data, (i) => task.queries + i);
      const prompts = recipe.prompt === "labels" ? takeRows(task.labelPrompts, items) : noLabels;
      return {
        images,
        texts: { tokens, ends: endsOf(mask), prompts, ...missing },
        labels: takeRows(task.items.labels, items),
        items: indices,
        keys: keysOf(foldIn(stepKey, step)),
      };
    },
    samplesPerStep: batchSize,
  });
  return trainer.state().params;
}

/** One key for each use of random numbers in a step, [uses, 2]. */
function keysOf(key: Key): NDArray<"int32"> {
  const data = Array.from({ length: RANDOM_USES }, (_, use) => [...keyArray(foldIn(key, use)).data]).flat();
  return { dtype: "int32", shape: [RANDOM_USES, 2], data: Int32Array.from(data) };
}
