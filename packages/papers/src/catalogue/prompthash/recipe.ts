import { infoNCE, signCodes } from "@concord/align";
import { type LayerNormParams, type LinearParams, layerNormInit, linear, linearInit } from "@concord/nn";
import {
  add,
  arange,
  asTensor,
  cast,
  clamp,
  div,
  dropout,
  equal,
  floor,
  foldIn,
  foldInTensor,
  gather,
  gelu,
  greater,
  type Key,
  l2Normalize,
  layerNorm,
  matmul,
  maximum,
  mean,
  mul,
  type NDArray,
  normalArray,
  relu,
  reshape,
  scatterSet,
  softplus,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  type Traced,
  tanh,
  where,
} from "@concord/tensor";
import type { RecipeBatch, RecipeContext, RecipeTower } from "../../recipes/contract.ts";
import { defineRecipe } from "../../recipes/contract.ts";

/** Weight of all losses of the auxiliary code. Released code, mu. */
const AUXILIARY_WEIGHT = 20;
/** Weight of the likelihood within a modality. Released code. */
const INTRA_WEIGHT = 0.005;
/** Weight of the alignment of images and texts. Released code. */
const ALIGNMENT_WEIGHT = 5;
const MAX_PRODUCT = 64;
const MAX_ITEMS = 200_000;
const BLOCKS = 2;
const BLOCK_GROWTH = 4;
const DECODER_WIDTH = 256;

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
    default: 256,
    minimum: 8,
    maximum: 1024,
    description:
      "Length of the longer codes that are learned beside and that the codes must be able to give back.",
    source: "released code",
  },
  interWeight: {
    type: "number",
    default: 5,
    minimum: 0,
    description: "Weight of the likelihood across modalities.",
    source: "released scripts (20 for COCO)",
  },
  quantWeight: {
    type: "number",
    default: 0.1,
    minimum: 0,
    description: "Weight of the distance between relaxed codes and their targets.",
    source: "released scripts (1 for COCO)",
  },
  reconWeight: {
    type: "number",
    default: 0.001,
    minimum: 0,
    description: "Weight of giving back the longer codes.",
    source: "released scripts",
  },
  temperature: {
    type: "number",
    default: 0.07,
    minimum: 0.001,
    description: "Temperature of the alignment.",
    source: "released code",
  },
  dropout: {
    type: "number",
    default: 0.5,
    minimum: 0,
    maximum: 0.9,
    description: "Dropout in the residual blocks.",
    source: "released code",
  },
} as const;

type Context = RecipeContext<typeof options>;

interface Block {
  readonly norm: LayerNormParams;
  readonly expand: LinearParams;
  readonly contract: LinearParams;
}

interface Params {
  /** To the common width C, by tower; absent where the towers have one width. */
  readonly into?: Readonly<Record<string, LinearParams>>;
  /** ResMLP, one for all towers. */
  readonly blocks: readonly Block[];
  readonly code: LinearParams;
  readonly auxiliary: LinearParams;
  readonly decoder: readonly [LinearParams, LinearParams];
}

/** What is known of the codes of all training items: [items, bits] each. */
interface Memory {
  readonly first: NDArray;
  readonly second: NDArray;
  /** ±1, refreshed at the end of each epoch. */
  readonly targets: NDArray;
}

interface State {
  readonly code: Memory;
  readonly auxiliary: Memory;
  /** [items, labels], absent without labels. */
  readonly labels?: NDArray;
}

function commonWidth({ towers }: Context): number {
  return Math.min(512, Math.max(...towers.map(({ width }) => width)));
}

function blockInit(key: Key, width: number): Block {
  return {
    norm: layerNormInit(width),
    expand: linearInit(foldIn(key, 0), { inputs: width, outputs: BLOCK_GROWTH * width }),
    contract: linearInit(foldIn(key, 1), { inputs: BLOCK_GROWTH * width, outputs: width }),
  };
}

/** x + W₂ dropout(gelu(W₁ norm(x))) [B, C]; dropout in training only. */
function resBlock(
  block: Traced<Block>,
  x: Tensor,
  drop?: { readonly key: Tensor; readonly rate: number },
): Tensor {
  const inner = gelu(linear(block.expand, layerNorm(x, block.norm.gain, block.norm.bias)));
  const kept = drop && drop.rate > 0 ? dropout(drop.key, inner, drop.rate) : inner;
  return add(x, linear(block.contract, kept));
}

/** Base features to the features that are aligned and hashed: [B, D] to [B, C]. */
function featuresOf(
  params: Traced<Params>,
  features: Tensor,
  tower: RecipeTower,
  drop?: { readonly key: Tensor; readonly rate: number },
): Tensor {
  const into = params.into?.[tower.name];
  // The blocks standardise, so lengths matter for the residual path only.
  const start = div(features, tower.statistics.meanNorm);
  return params.blocks.reduce(
    (x, block, i) => resBlock(block, x, drop && { key: foldInTensor(drop.key, i), rate: drop.rate }),
    into ? linear(into, start) : start,
  );
}

/**
 * -log likelihood of the similarities S given the codes of all items and of a batch:
 * mean of softplus(s) - S s with s = clamp(A hᵀ, ±64) / 2.
 *
 * @param memory   [N, K]
 * @param codes    [B, K]
 * @param similar  [N, B], 1 where two items share a label
 * @param balance  gives similar and other pairs the same weight in all
 */
export function likelihood(memory: Tensor, codes: Tensor, similar: Tensor, balance: boolean): Tensor {
  const products = mul(clamp(matmul(memory, codes, { transposeB: true }), -MAX_PRODUCT, MAX_PRODUCT), 0.5);
  const losses = sub(softplus(products), mul(similar, products));
  if (!balance) return mean(losses);
  const share = (weights: Tensor): Tensor => div(sum(mul(losses, weights)), maximum(sum(weights), 1));
  return mul(add(share(similar), share(sub(1, similar))), 0.5);
}

interface HashLoss {
  readonly loss: Tensor;
  readonly memory: Traced<Memory>;
  /** [B, K] ±1 of the batch. */
  readonly targets: Tensor;
}

/** `hash_loss_group`: the batch's codes go into the memory first, then the likelihoods and the quantisation. */
export function hashLossGroup(
  memory: Traced<Memory>,
  codes: readonly [Tensor, Tensor],
  items: Tensor,
  similar: Tensor,
  options: { readonly interWeight: number; readonly quantWeight: number; readonly balance: boolean },
): HashLoss {
  const [h, g] = codes;
  const first = scatterSet(memory.first, items, stopGradient(h));
  const second = scatterSet(memory.second, items, stopGradient(g));
  const likely = (a: Tensor, b: Tensor): Tensor => likelihood(a, b, similar, options.balance);
  const intra = mul(add(likely(first, h), likely(second, g)), INTRA_WEIGHT);
  const inter = mul(add(likely(first, g), likely(second, h)), options.interWeight);
  const targets = gather(memory.targets, items);
  const away = (code: Tensor): Tensor => mean(square(sub(code, targets)));
  const quant = mul(add(away(h), away(g)), options.quantWeight);
  return { loss: add(add(intra, inter), quant), memory: { first, second, targets: memory.targets }, targets };
}

function memoryInit(key: Key, items: number, bits: number): Memory {
  const [first, second] = [0, 1].map((i) => normalArray(foldIn(key, i), [items, bits])) as [
    NDArray<"float32">,
    NDArray<"float32">,
  ];
  const targets = first.data.map((value, i) => (value + (second.data[i] as number) > 0 ? 1 : -1));
  return { first, second, targets: { dtype: "float32", shape: [items, bits], data: targets } };
}

/** Which training items share a label with which items of the batch, [N, B]; without labels each only with itself. */
function similarities(batch: RecipeBatch, state: Traced<State>, items: number): Tensor {
  if (batch.labels && state.labels)
    return cast(greater(matmul(state.labels, batch.labels, { transposeB: true }), 0), "float32");
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
    "Without labels an item is similar to itself alone, and similar pairs weigh as much as all others together.",
  ],
  check({ items, options: { bits, auxiliaryBits } }) {
    if (items > MAX_ITEMS)
      throw new Error(
        `prompthash: keeps the codes of all training items, at most ${MAX_ITEMS}; got ${items}`,
      );
    if (auxiliaryBits < bits)
      throw new Error(`prompthash: --auxiliary-bits must be at least --bits (${bits}), got ${auxiliaryBits}`);
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
      blocks: Array.from({ length: BLOCKS }, (_, i) => blockInit(foldIn(key, i), width)),
      code: make(4, width, bits),
      auxiliary: make(5, width, auxiliaryBits),
      decoder: [make(6, bits, DECODER_WIDTH), make(7, DECODER_WIDTH, auxiliaryBits)],
    };
  },
  state(key, { items, labels, options: { bits, auxiliaryBits } }) {
    return {
      code: memoryInit(foldIn(key, 0), items, bits),
      auxiliary: memoryInit(foldIn(key, 1), items, auxiliaryBits),
      ...(labels && { labels }),
    };
  },
  embed(params, features, tower) {
    return tanh(linear(params.code, featuresOf(params, features, tower)));
  },
  loss(params, state, batch, context) {
    const { options: given, items, stepsPerEpoch } = context;
    const [first, second] = context.towers.map((tower, i) => {
      const drop = { key: foldInTensor(batch.key, i), rate: given.dropout };
      return featuresOf(params, batch.features[tower.name] as Tensor, tower, drop);
    }) as [Tensor, Tensor];
    const codesOf = (layer: Traced<LinearParams>): readonly [Tensor, Tensor] => [
      tanh(linear(layer, first)),
      tanh(linear(layer, second)),
    ];
    const similar = similarities(batch, state, items);
    const weights = { ...given, balance: !batch.labels };
    const codes = codesOf(params.code);
    const short = hashLossGroup(state.code, codes, batch.items, similar, weights);
    const long = hashLossGroup(state.auxiliary, codesOf(params.auxiliary), batch.items, similar, weights);
    const givenBack = (code: Tensor): Tensor => {
      const decoded = tanh(linear(params.decoder[1], relu(linear(params.decoder[0], code))));
      return mean(sum(square(sub(decoded, long.targets)), { axes: 1 }));
    };
    const recon = mul(add(givenBack(codes[0]), givenBack(codes[1])), AUXILIARY_WEIGHT * given.reconWeight);
    const align = infoNCE(l2Normalize(first), l2Normalize(second), { temperature: given.temperature });
    const hash = add(short.loss, mul(long.loss, AUXILIARY_WEIGHT));
    const loss = add(add(hash, recon), mul(align, ALIGNMENT_WEIGHT));
    // Targets stay for an epoch: those of the next one are the signs of what the memories hold at its end.
    const done = add(batch.step, 1);
    const epochEnds = equal(done, mul(floor(div(add(done, 0.5), stepsPerEpoch)), stepsPerEpoch));
    const refresh = ({ first: a, second: b, targets }: Traced<Memory>): Traced<Memory> => ({
      first: a,
      second: b,
      targets: where(epochEnds, signCodes(add(a, b)), targets),
    });
    return {
      loss,
      parts: { hash: short.loss, auxiliary: long.loss, reconstruction: recon, alignment: align },
      state: {
        code: refresh(short.memory),
        auxiliary: refresh(long.memory),
        ...(state.labels && { labels: asTensor(state.labels) }),
      },
    };
  },
});
