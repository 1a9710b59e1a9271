import { infoNCE } from "@concord/align";
import { type LinearParams, linear, linearInit } from "@concord/nn";
import {
  add,
  arange,
  asTensor,
  cast,
  div,
  equal,
  floor,
  foldIn,
  foldInTensor,
  l2Normalize,
  mul,
  type NDArray,
  reshape,
  type Tensor,
  type Traced,
} from "@concord/tensor";
import type { RecipeBatch, RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";
import { type CodeMemory, codeMemoryInit, codesAndTargets, refreshTargets } from "./code-memory.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { Drop } from "./dropouts.ts";
import { type DecoderParams, hashDecoder, hashDecoderInit, hashHead, hashHeadInit } from "./hash-heads.ts";
import { hashLossGroup, reconstructionLoss, sharedLabels } from "./hash-loss.ts";
import { type ResBlockParams, resMlp, resMlpInit } from "./res-mlp.ts";

const MAX_ITEMS = 200_000;
const MAX_WIDTH = 512;

const options = {
  bits: {
    type: "integer",
    default: 64,
    minimum: 8,
    maximum: 256,
    description: "Length of the codes; the paper reports 16, 32 and 64.",
    source: "section on hashing",
  },
  auxiliaryBits: {
    type: "integer",
    default: PAPER_DEFAULTS.auxiliaryBits,
    minimum: 8,
    maximum: 1024,
    description:
      "Length of the longer codes that are learned beside and that the codes must be able to give back.",
    source: "released code",
  },
  interWeight: {
    type: "number",
    default: PAPER_DEFAULTS.interWeight,
    minimum: 0,
    description: "Weight of the likelihood across modalities.",
    source: "released scripts (20 for COCO)",
  },
  quantWeight: {
    type: "number",
    default: PAPER_DEFAULTS.quantWeight,
    minimum: 0,
    description: "Weight of the distance between relaxed codes and their targets.",
    source: "released scripts (1 for COCO)",
  },
  reconWeight: {
    type: "number",
    default: PAPER_DEFAULTS.reconWeight,
    minimum: 0,
    description: "Weight of giving back the longer codes.",
    source: "released scripts",
  },
  temperature: {
    type: "number",
    default: PAPER_DEFAULTS.globalTemperature,
    minimum: 0.001,
    description: "Temperature of the alignment.",
    source: "released code",
  },
  dropout: {
    type: "number",
    default: PAPER_DEFAULTS.residualDropout,
    minimum: 0,
    maximum: 0.9,
    description: "Dropout in the residual blocks.",
    source: "released code",
  },
} as const;

type Context = RecipeContext<typeof options>;

interface Params {
  /** To the common width C, by tower; absent where the towers have one width. */
  readonly into?: Readonly<Record<string, LinearParams>>;
  /** ResMLP, one for all towers. */
  readonly blocks: readonly ResBlockParams[];
  readonly code: LinearParams;
  readonly auxiliary: LinearParams;
  readonly decoder: DecoderParams;
}

interface State {
  readonly code: CodeMemory;
  readonly auxiliary: CodeMemory;
  /** [items, labels], absent without labels. */
  readonly labels?: NDArray;
}

function commonWidth({ towers }: Context): number {
  return Math.min(MAX_WIDTH, Math.max(...towers.map(({ width }) => width)));
}

/** Base features to the features that are aligned and hashed: [B, D] to [B, C]. */
function featuresOf(params: Traced<Params>, features: Tensor, tower: RecipeTower, drop?: Drop): Tensor {
  const into = params.into?.[tower.name];
  // The blocks standardise, so lengths matter for the residual path only.
  const start = div(features, tower.statistics.meanNorm);
  return resMlp(params.blocks, into ? linear(into, start) : start, drop);
}

/** Which training items share a label with which items of the batch, [N, B]; without labels each only with itself. */
function similarities(batch: RecipeBatch, state: Traced<State>, items: number): Tensor {
  if (batch.labels && state.labels) return sharedLabels(state.labels, batch.labels);
  return cast(equal(reshape(arange(items, "int32"), [items, 1]), reshape(batch.items, [1, -1])), "float32");
}

export const recipe = defineRecipe<Params, State, typeof options>({
  slug: "prompthash",
  summary:
    "Turns paired vectors into short binary codes, so that search in millions of items is counting bits.",
  needs: { towers: "two", labels: "optional", train: ["head", "adapters", "whole"] },
  options,
  training: {
    head: {
      learningRate: 1e-3,
      batchSize: 128,
      epochs: 100,
      weightDecay: 0.01,
      warmup: 0.05,
      beta1: 0.9,
      beta2: 0.98,
      epsilon: 1e-6,
      source: "released scripts",
    },
    adapters: {
      learningRate: 1e-4,
      batchSize: 128,
      epochs: 20,
      weightDecay: 0.01,
      warmup: 0.05,
      beta2: 0.98,
      epsilon: 1e-6,
      rank: 8,
      source: "released scripts, with adapters for the last two blocks",
    },
    whole: {
      learningRate: 1e-5,
      batchSize: 128,
      epochs: 20,
      weightDecay: 0.01,
      warmup: 0.05,
      beta2: 0.98,
      epsilon: 1e-6,
      source: "released scripts, which train the last two blocks",
    },
  },
  deviations: [
    "Each item is hashed by itself: the paper's fusion of an image with its own text, and prompts made of labels, are left out, as a query has neither.",
    "AdamW takes the place of BertAdam.",
    "Similar pairs weigh as much as all others together: where few items share a label, the paper's mean over pairs is nearly all about dissimilar ones.",
    "Without labels an item is similar to itself alone.",
  ],
  check({ items, labels, options: { bits, auxiliaryBits } }) {
    if (items > MAX_ITEMS)
      throw new Error(
        `prompthash: keeps the codes of all training items, at most ${MAX_ITEMS}; got ${items}`,
      );
    if (auxiliaryBits < bits)
      throw new Error(`prompthash: --auxiliary-bits must be at least --bits (${bits}), got ${auxiliaryBits}`);
    const [rows = 0, width = 0] = labels?.shape ?? [];
    const common = Array.from({ length: width }, (_, c) => c).find((c) =>
      Array.from({ length: rows }, (_, i) => Number(labels?.data[i * width + c])).every((held) => held > 0),
    );
    if (rows > 0 && common !== undefined)
      throw new Error(
        `prompthash: all ${rows} training items share label ${common + 1} of ${width}, so that all would be similar; leave it out`,
      );
  },
  output: ({ options: { bits } }) => ({ kind: "binary", bits }),
  init(key, context) {
    const width = commonWidth(context);
    const { bits, auxiliaryBits } = context.options;
    const make = (stream: number, inputs: number, outputs: number): LinearParams =>
      linearInit(foldIn(key, stream), { inputs, outputs });
    const same = context.towers.every((tower) => tower.width === width);
    return {
      ...(!same && {
        into: Object.fromEntries(
          context.towers.map((tower, i) => [tower.name, make(10 + i, tower.width, width)]),
        ),
      }),
      blocks: resMlpInit(foldIn(key, 0), width),
      code: hashHeadInit(foldIn(key, 4), { width, bits }),
      auxiliary: hashHeadInit(foldIn(key, 5), { width, bits: auxiliaryBits }),
      decoder: hashDecoderInit(foldIn(key, 6), { bits, auxiliaryBits }),
    };
  },
  state(key, { items, labels, options: { bits, auxiliaryBits } }) {
    return {
      code: codeMemoryInit(foldIn(key, 0), items, bits),
      auxiliary: codeMemoryInit(foldIn(key, 1), items, auxiliaryBits),
      ...(labels && { labels }),
    };
  },
  embed(params, features, tower) {
    return hashHead(params.code, featuresOf(params, features, tower));
  },
  loss(params, state, batch, context) {
    const { options: given, items, stepsPerEpoch } = context;
    const [first, second] = context.towers.map((tower, i) => {
      const drop = { key: foldInTensor(batch.key, i), rate: given.dropout };
      return featuresOf(params, batch.features[tower.name] as Tensor, tower, drop);
    }) as [Tensor, Tensor];
    const similarity = similarities(batch, state, items);
    const group = (memory: Traced<CodeMemory>, head: Traced<LinearParams>, groupWeight: number) => {
      const codes = { image: hashHead(head, first), text: hashHead(head, second) };
      const { memory: written, targets } = codesAndTargets(memory, batch.items, codes);
      const { loss } = hashLossGroup(
        {
          imageCodes: codes.image,
          textCodes: codes.text,
          imageBuffer: written.image,
          textBuffer: written.text,
          similarity,
          binaryTargets: targets,
        },
        { ...given, groupWeight, balance: true },
      );
      return { codes, written, targets, loss };
    };
    const short = group(state.code, params.code, 1);
    const long = group(state.auxiliary, params.auxiliary, PAPER_DEFAULTS.auxiliaryWeight);
    const givenBack = (code: Tensor): Tensor =>
      reconstructionLoss(hashDecoder(params.decoder, code), long.targets);
    const recon = mul(
      add(givenBack(short.codes.image), givenBack(short.codes.text)),
      PAPER_DEFAULTS.auxiliaryWeight * given.reconWeight,
    );
    const align = infoNCE(l2Normalize(first), l2Normalize(second), { temperature: given.temperature });
    const hash = add(short.loss, long.loss);
    const loss = add(add(hash, recon), mul(align, PAPER_DEFAULTS.globalWeight));
    // Targets stay for an epoch: those of the next one are the signs of what the memories hold at its end.
    const done = add(batch.step, 1);
    const epochEnds = equal(done, mul(floor(div(add(done, 0.5), stepsPerEpoch)), stepsPerEpoch));
    return {
      loss,
      parts: { hash: short.loss, auxiliary: long.loss, reconstruction: recon, alignment: align },
      state: {
        code: refreshTargets(short.written, epochEnds),
        auxiliary: refreshTargets(long.written, epochEnds),
        ...(state.labels && { labels: asTensor(state.labels) }),
      },
    };
  },
});
