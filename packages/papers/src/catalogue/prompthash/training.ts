import { infoNCE } from "@concord/align";
import { captionedBatches, clipStatistics } from "@concord/data";
import {
  adamw,
  add,
  cast,
  cosineSchedule,
  createTrainer,
  div,
  equal,
  floor,
  foldIn,
  foldInTensor,
  keyTensor,
  l2Normalize,
  mul,
  type NDArray,
  type Optimiser,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
} from "@concord/tensor";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { trainLoop } from "../../harness/train-loop.ts";
import type { ArmRecipe } from "./arms.ts";
import { bertAdam } from "./bert-adam.ts";
import { type CodeMemory, codeMemoryInit, codesAndTargets, refreshTargets } from "./code-memory.ts";
import type { HashingConfig, PretrainingConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import {
  type DualEncoder,
  type DualEncoderParams,
  type FrozenParams,
  plainTextFeatures,
} from "./encoders.ts";
import { hashDecoder } from "./hash-heads.ts";
import { hashLossGroup, reconstructionLoss, sharedLabels } from "./hash-loss.ts";
import type { ArmModel, ArmParams, TextInputs } from "./model.ts";
import { promptAffinityAlignment } from "./prompt-affinity-alignment.ts";
import { endsOf, missingText, type Task, takeRows, trainingSet } from "./task.ts";

/** Independent uses of a seed's key in training; the same in all arms of a seed. */
const streams = {
  initialisation: 10,
  pretrainingBatches: 11,
  batches: 12,
  parameters: 13,
  memory: 14,
  steps: 15,
} as const;

const PRETRAINING_WARMUP = 0.1;
const PRETRAINING_DECAY = 0.01;
const FLIP = 0.5;

/** Stage A: InfoNCE of images and plain texts, all parameters, from random weights. */
export async function pretrain(
  context: UnitContext<unknown>,
  request: { readonly dual: DualEncoder; readonly task: Task; readonly config: PretrainingConfig },
): Promise<DualEncoderParams> {
  const { dual, task, config } = request;
  const set = task.pretraining;
  await using batches = captionedBatches(set, {
    key: foldIn(context.key, streams.pretrainingBatches),
    batchSize: Math.min(config.batchSize, set.count),
    tokenizer: task.tokenizer,
    length: task.context,
    statistics: clipStatistics,
  });
  const steps = config.epochs * batches.stepsPerEpoch;
  const optimiser = adamw({
    learningRate: cosineSchedule({
      peak: config.learningRate,
      steps,
      warmup: Math.floor(PRETRAINING_WARMUP * steps),
    }),
    weightDecay: PRETRAINING_DECAY,
  });
  const start = dual.init(foldIn(context.key, streams.initialisation));
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, batch: { readonly images: Tensor; readonly tokens: Tensor; readonly ends: Tensor }) => {
      const { aux, gradients } = valueAndGradWithAux(({ frozen, tuned }: typeof state.params) => {
        const image = dual.images(frozen, tuned, batch.images);
        const text = plainTextFeatures(tuned, dual.tokens(frozen, tuned, batch.tokens), batch.ends);
        const loss = infoNCE(l2Normalize(image), l2Normalize(text), { temperature: config.temperature });
        return { value: loss, aux: { loss } };
      })(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: aux };
    },
    options: { name: "pre-training" },
  });
  type State = ReturnType<typeof trainer.state>;
  await trainLoop(context, {
    name: "pre-training",
    steps,
    trainer: {
      step: (batch: { images: NDArray; tokens: NDArray; ends: NDArray }) => trainer.step(batch),
      state: () => trainer.state() as unknown as ArrayTree,
      restore: (state) => trainer.restore(state as unknown as State),
    },
    batchAt: async (step) => {
      const { images, tokens, mask } = await batches.batch(step);
      return { images, tokens, ends: endsOf(mask) };
    },
    samplesPerStep: Math.min(config.batchSize, set.count),
  });
  const { params } = trainer.state();
  await trainer.close();
  return params;
}

/** What a step of the hashing gets. */
interface HashBatch<T> {
  readonly images: T;
  /** As `TextInputs`. */
  readonly texts: { readonly [K in keyof TextInputs]: T };
  /** [B, C'] labels of the batch, and int32 [B] places of its items in the memory. */
  readonly labels: T;
  readonly items: T;
  /** [N, C'] */
  readonly allLabels: T;
}

export interface HashingRequest {
  readonly model: ArmModel;
  readonly start: DualEncoderParams;
  readonly recipe: ArmRecipe;
  readonly task: Task;
  readonly config: HashingConfig;
}

/**
 * Stage B: trains the codes of an arm from the start that all arms share. Batches, initial parts and the keys of the
 * steps depend on the seed alone. The frozen parts are inputs that no gradient reaches.
 */
export async function trainHashing(
  context: UnitContext<unknown>,
  request: HashingRequest,
): Promise<ArmParams> {
  const { model, start, recipe, task, config } = request;
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
  const { stepsPerEpoch } = batches;
  const steps = config.epochs * stepsPerEpoch;
  const params = model.init(foldIn(context.key, streams.parameters), start, task.context);
  const missing = missingText(task);
  const optimisers = optimisersOf(config, steps);
  const memoryKey = foldIn(context.key, streams.memory);
  const stepKey = keyTensor(foldIn(context.key, streams.steps));
  const trainer = createTrainer({
    state: {
      params,
      optimisers: Object.fromEntries(
        Object.entries(params).map(([group, part]) => [group, optimisers[group as Group].init(part)]),
      ),
      memories: Object.fromEntries(
        [...PAPER_DEFAULTS.bits, config.auxiliaryBits].map((bits) => [
          String(bits),
          codeMemoryInit(foldIn(memoryKey, bits), set.count, bits),
        ]),
      ),
    },
    step: (state, { frozen, ...batch }: HashBatch<Tensor> & { readonly frozen: Traced<FrozenParams> }) => {
      const done = (state.optimisers.hash as { step: Tensor }).step;
      const key = foldInTensor(stepKey, cast(done, "int32"));
      const { aux, gradients } = valueAndGradWithAux((current: Traced<ArmParams>) => {
        const encoded = model.encode(current, frozen, batch.images, batch.texts);
        const features = model.training(current, encoded, key);
        const { loss, parts, memories } = objective(
          model,
          current,
          features,
          batch,
          state.memories,
          config,
          recipe,
        );
        return { value: loss, aux: { metrics: { loss, ...parts }, memories } };
      })(state.params as Traced<ArmParams>);
      const after = add(done, 1);
      const epochEnds = equal(after, mul(floor(div(add(after, 0.5), stepsPerEpoch)), stepsPerEpoch));
      const updated = Object.entries(state.params).map(([group, part]) => {
        const gradient = gradients[group as Group] as typeof part;
        const own = state.optimisers[group] as never;
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
  type State = ReturnType<typeof trainer.state>;
  await trainLoop(context, {
    name: "hashing",
    steps,
    trainer: {
      step: (batch: HashBatch<NDArray>) => trainer.step({ ...batch, frozen: start.frozen } as never),
      state: () => trainer.state() as unknown as ArrayTree,
      restore: (state) => trainer.restore(state as unknown as State),
    },
    batchAt: async (step) => {
      const { images, tokens, mask, indices } = await batches.batch(step);
      const items = Array.from(indices.data, (i) => task.queries + i);
      const prompts = recipe.prompt === "labels" ? takeRows(task.labelPrompts, items) : task.prompt;
      return {
        images,
        texts: { tokens, ends: endsOf(mask), prompts, ...missing },
        labels: takeRows(task.items.labels, items),
        items: indices,
        allLabels,
      };
    },
    samplesPerStep: batchSize,
  });
  const trained = trainer.state().params;
  await trainer.close();
  return trained;
}

type Group = keyof HashingConfig["learningRates"];

/** BertAdam for each group of parameters, with its own learning rate. */
function optimisersOf({ learningRates }: HashingConfig, totalSteps: number): Record<Group, Optimiser> {
  const of = (learningRate: number): Optimiser => bertAdam({ learningRate, totalSteps });
  return {
    hash: of(learningRates.hash),
    fusion: of(learningRates.fusion),
    encoder: of(learningRates.encoder),
  };
}

/** Hashing losses of all lengths, reconstruction of the auxiliary code, alignment where the arm has it. */
function objective(
  model: ArmModel,
  params: Traced<ArmParams>,
  features: ReturnType<ArmModel["paired"]>,
  batch: HashBatch<Tensor>,
  memories: Readonly<Record<string, Traced<CodeMemory>>>,
  config: HashingConfig,
  recipe: ArmRecipe,
) {
  const similarity = sharedLabels(batch.allLabels, batch.labels);
  const images = model.codes(params, features.image);
  const texts = model.codes(params, features.text);
  const auxiliary = String(config.auxiliaryBits);
  const groups = Object.keys(images).map((bits) => {
    const codes = { image: images[bits] as Tensor, text: texts[bits] as Tensor };
    const { memory, targets } = codesAndTargets(memories[bits] as Traced<CodeMemory>, batch.items, codes);
    const { loss } = hashLossGroup(
      {
        imageCodes: codes.image,
        textCodes: codes.text,
        imageBuffer: memory.image,
        textBuffer: memory.text,
        similarity,
        binaryTargets: targets,
      },
      {
        interWeight: config.interWeight,
        quantWeight: config.quantWeight,
        groupWeight: bits === auxiliary ? PAPER_DEFAULTS.auxiliaryWeight : 1,
      },
    );
    return { bits, codes, memory, targets, loss };
  });
  const long = groups.find(({ bits }) => bits === auxiliary) as (typeof groups)[number];
  const short = groups.filter((group) => group !== long);
  const reconstruction = mul(
    short
      .flatMap(({ bits, codes }) => {
        const decoder = params.hash.decoders[bits] as Traced<ArmParams["hash"]["decoders"][string]>;
        return [codes.image, codes.text].map((code) =>
          reconstructionLoss(hashDecoder(decoder, code), long.targets),
        );
      })
      .reduce(add),
    PAPER_DEFAULTS.auxiliaryWeight * config.reconWeight,
  );
  const hashing = short.map(({ loss }) => loss).reduce(add);
  const { prompt } = features;
  const alignment =
    recipe.alignment === "none"
      ? null
      : promptAffinityAlignment(
          // Without a prompt the local part has weight 0, whatever stands in its place.
          { image: features.image, text: features.text, prompt: prompt ?? features.text },
          {
            globalWeight: config.alignmentWeight,
            localWeight: recipe.alignment === "both" ? config.alignmentWeight : 0,
          },
        );
  const total = add(add(hashing, long.loss), reconstruction);
  return {
    loss: alignment ? add(total, alignment.loss) : total,
    parts: {
      hashing,
      auxiliary: long.loss,
      reconstruction,
      ...(alignment && { global: alignment.global }),
      ...(alignment && recipe.alignment === "both" && { local: alignment.local }),
    },
    memories: Object.fromEntries(groups.map(({ bits, memory }) => [bits, memory])),
  };
}
