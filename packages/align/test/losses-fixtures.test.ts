import { readFileSync } from "node:fs";
import {
  add,
  concat,
  eye,
  greater,
  l2Normalize,
  mul,
  type NDArray,
  ones,
  stack,
  type Tensor,
  tensor,
} from "@concord/tensor";
import { describe, expect, test } from "vitest";
import {
  contrastiveLoss,
  coSentLoss,
  cosineEmbeddingLoss,
  cosineScoreLoss,
  cosineSimilarity,
  distillationLoss,
  equalLabels,
  hingeRankingLoss,
  infoNCE,
  informativePairs,
  multiSimilarityLoss,
  ntXentLoss,
  otherRows,
  sigmoidLoss,
  supConLoss,
  tripletLoss,
} from "../src/index.ts";
import { expectClose, type Loss, slopesOf } from "./losses-support.ts";
import type { Matrix } from "./support.ts";

interface Fixtures {
  readonly labels: number[];
  readonly inputs: Readonly<Record<string, Matrix | number[]>>;
  readonly cases: readonly {
    readonly name: string;
    readonly inputs: readonly string[];
    readonly value: number;
    readonly gradient: number[];
  }[];
}

const fixtures: Fixtures = JSON.parse(
  readFileSync(new URL("./fixtures/losses.json", import.meta.url), "utf8"),
);
const labels = (): Tensor => tensor(fixtures.labels, { dtype: "int32" });
const N = fixtures.labels.length;
const unit = l2Normalize;
const triplets =
  (options: object): Loss =>
  (x) =>
    tripletLoss(unit(x as Tensor), { labels: labels(), margin: 0.05, ...options });

/** Our call with the same value as a class of another library; docs/choosing-a-loss.md lists them. */
const OURS: Readonly<Record<string, (x: Tensor, y: Tensor, third: Tensor) => Tensor>> = {
  "pytorch-metric-learning NTXentLoss": (x) =>
    supConLoss(unit(x), { labels: labels(), temperature: 0.07, denominator: "own", average: "pairs" }),
  "pytorch-metric-learning SelfSupervisedLoss(NTXentLoss)": (x, y) =>
    ntXentLoss(unit(x), unit(y), { temperature: 0.07 }),
  "pytorch-metric-learning SupConLoss": (x) => supConLoss(unit(x), { labels: labels() }),
  "pytorch-metric-learning TripletMarginLoss": triplets({}),
  "pytorch-metric-learning TripletMarginLoss(0.2) after TripletMarginMiner(semihard)": triplets({
    mining: "semi-hard",
    margin: 0.2,
  }),
  "pytorch-metric-learning TripletMarginLoss after TripletMarginMiner(semihard)": triplets({
    mining: "semi-hard",
  }),
  "pytorch-metric-learning TripletMarginLoss after BatchHardMiner": triplets({ mining: "hard" }),
  "pytorch-metric-learning ContrastiveLoss": (x) =>
    contrastiveLoss(unit(x), { labels: labels(), power: 1, average: "active" }),
  "pytorch-metric-learning MultiSimilarityLoss": (x) => multiSimilarityLoss(unit(x), { labels: labels() }),
  "pytorch-metric-learning MultiSimilarityLoss after MultiSimilarityMiner": (x) => {
    const mask = informativePairs(cosineSimilarity(x, x), equalLabels(labels()), { mask: otherRows(N) });
    return multiSimilarityLoss(unit(x), { labels: labels(), mask });
  },
  "lightly NTXentLoss": (x, y) => ntXentLoss(unit(x), unit(y)),
  "lightly NTXentLoss with a memory bank": (x, y, queue) => {
    const mask = concat([eye(N, x.dtype), ones([N, queue.shape[0] as number], x.dtype)], 1);
    return infoNCE(unit(x), unit(concat([y, queue])), { temperature: 0.5, symmetric: false, mask });
  },
  MoCo: (x, y, queue) => infoNCE(unit(x), unit(concat([y, queue])), { symmetric: false }),
  "lightly DCLLoss": (x, y) => {
    const options = { temperature: 0.1, denominator: "negatives", symmetric: false } as const;
    const [a, b] = [unit(x), unit(y)];
    const parts = [
      infoNCE(a, b, options),
      infoNCE(b, a, options),
      infoNCE(a, a, options),
      infoNCE(b, b, options),
    ];
    return add(mul(parts.reduce(add), 0.5), 1 / options.temperature);
  },
  "SupContrast SupConLoss": (x, y) =>
    supConLoss(stack([unit(x), unit(y)], 1), { labels: labels(), temperature: 0.07 }),
  "open_clip ClipLoss": (x, y) => infoNCE(unit(x), unit(y), { logitScale: 12.5 }),
  "open_clip SigLipLoss": (x, y) => sigmoidLoss(unit(x), unit(y)),
  "VSE++ ContrastiveLoss(max_violation)": (x, y) => mul(hingeRankingLoss(unit(x), unit(y)), N),
  "VSE++ ContrastiveLoss": (x, y) => mul(hingeRankingLoss(unit(x), unit(y), { negatives: "all" }), N),
  "sentence-transformers MultipleNegativesRankingLoss": (x, y, negatives) =>
    infoNCE(unit(x), unit(concat([y, negatives])), { logitScale: 20, symmetric: false }),
  "sentence-transformers CoSENTLoss": (x, y, scores) => coSentLoss(x, y, scores),
  "sentence-transformers CosineSimilarityLoss": (x, y, scores) => cosineScoreLoss(x, y, scores),
  "torch CosineEmbeddingLoss": (x, y, scores) =>
    cosineEmbeddingLoss(x, y, greater(scores, 0.4), { margin: 0.1 }),
  "torch KLDivLoss": (x, y) =>
    distillationLoss({ a: x, b: x }, { a: y, b: y }, { temperature: 3, symmetric: false }),
};

function given(name: string): NDArray {
  const values = fixtures.inputs[name] as Matrix;
  const shape = Array.isArray(values[0]) ? [values.length, values[0].length] : [values.length];
  return { dtype: "float64", shape, data: Float64Array.from(values.flat()) };
}

describe("losses of other libraries, by our options", () => {
  test("there is one of ours for each of theirs", () => {
    expect(Object.keys(OURS)).toEqual(fixtures.cases.map(({ name }) => name));
  });

  for (const { name, inputs, value, gradient } of fixtures.cases)
    test(name, async () => {
      const loss = OURS[name] as Loss;
      const found = await slopesOf(loss, inputs.map(given), 1);
      // Both sides are float64; distances of theirs come from differences, ours from products, which cancel.
      expectClose([found.value], [value], 1e-10, "value");
      expectClose(found.gradients[0] as number[], gradient, 1e-10, "gradient");
    });
});
