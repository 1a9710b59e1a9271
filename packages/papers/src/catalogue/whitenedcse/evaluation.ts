import {
  applyMap,
  covarianceSpectrum,
  fitWhitening,
  normalizeRows,
  similarityCorrelation,
} from "@concord/align";
import { type LinearParams, linear } from "@concord/nn";
import { constant, evaluate, type NDArray, type Tensor, tanh } from "@concord/tensor";
import type { ArmResult, Metric } from "../../harness/contract.ts";
import { alignmentUniformity, stsSpearman } from "./diagnostics.ts";
import type { Embedder } from "./embedder.ts";
import type { EncoderParams } from "./encoder.ts";
import { type PlanePoint, planeFigure, spectrumFigure, subsetsFigure } from "./figures.ts";
import { shuffledGroupWhitening, unshuffled } from "./sgw.ts";
import type { StsSet, Task } from "./task.ts";
import type { Observation, TrainingResult } from "./training.ts";

/** Spearman's ρ is printed times 100. */
const HUNDRED = 100;
/** Training sentences that mean and whitening after the training are fitted to. */
const FITTED = 2000;
/** Sentences whose uniformity is measured, which compares all with all. */
const SPREAD_SENTENCES = 4000;
/** Sentences on the embedding map. */
const MAP_POINTS = 250;

function spearmanMetric(id: string, label: string, description: string, optional = false): Metric {
  return {
    id,
    label,
    unit: "× 100",
    better: "higher",
    digits: 1,
    description,
    ...(optional && { optional }),
  };
}

export const metrics: readonly Metric[] = [
  spearmanMetric(
    "sts",
    "Similarity (Spearman)",
    "Spearman's correlation of the cosines of the encoder's features, without the head, with the gold scores of all test pairs.",
  ),
  spearmanMetric(
    "sts-centred",
    "Similarity, centred",
    "The same after subtracting one fixed mean, that of the features of training sentences.",
  ),
  spearmanMetric(
    "sts-whitened",
    "Similarity, whitened",
    "The same after whitening in full by one fixed map, fitted to the features of training sentences.",
  ),
  spearmanMetric(
    "sts-head",
    "Similarity, head",
    "The same of the head's outputs; groups are whitened by the statistics of all test sentences, so it is a look inside and no way to embed.",
    true,
  ),
  spearmanMetric(
    "sts-development",
    "Similarity, development",
    "The same as the first on the development pairs, at the checkpoint that was kept because it is best on them.",
    true,
  ),
  {
    id: "alignment",
    label: "Alignment",
    better: "lower",
    digits: 3,
    optional: true,
    description:
      "Mean squared distance, on the unit sphere, of test pairs with more than 80 % of the highest gold score.",
  },
  {
    id: "uniformity",
    label: "Uniformity",
    better: "lower",
    digits: 3,
    description:
      "Logarithm of the mean of exp(-2 d²) over all pairs of test sentences (4,000 of them at most), on the unit sphere.",
  },
  {
    id: "mean-cosine",
    label: "Mean cosine",
    better: "neither",
    digits: 3,
    description:
      "Mean cosine of all ordered pairs of test sentences: 0 without a common direction, near 1 in a narrow cone.",
  },
  {
    id: "effective-rank",
    label: "Effective rank",
    better: "neither",
    digits: 1,
    description: "exp of the entropy of the spectrum of the covariance of the test sentences' features.",
  },
  {
    id: "kept-step",
    label: "Step kept",
    better: "neither",
    digits: 0,
    optional: true,
    description:
      "Step of the checkpoint that is best on the development pairs; the last one without such pairs.",
  },
];

type Rows = NDArray<"float32">;

/** Both sides of a set, one after the other. */
function textsOf({ pairs }: StsSet): string[] {
  return [...pairs.map(({ a }) => a), ...pairs.map(({ b }) => b)];
}

function takeRows(rows: Rows, indices: readonly number[]): Rows {
  const width = rows.shape[1] as number;
  const data = new Float32Array(indices.length * width);
  indices.forEach((index, i) => {
    data.set(rows.data.subarray(index * width, (index + 1) * width), i * width);
  });
  return { dtype: "float32", shape: [indices.length, width], data };
}

const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

/** The two halves of the features of `textsOf`. */
function sides(features: Rows): { readonly a: Rows; readonly b: Rows } {
  const pairs = (features.shape[0] as number) / 2;
  return { a: takeRows(features, range(0, pairs)), b: takeRows(features, range(pairs, 2 * pairs)) };
}

/** ρ of the pairs in some rows, default all; 0 where cosines are all equal, as then nothing is known of the order. */
function spearmanOf(
  features: Rows,
  { pairs }: StsSet,
  rows: readonly number[] = range(0, pairs.length),
): number {
  const { a, b } = sides(features);
  const gold = rows.map((i) => pairs[i]?.gold as number);
  const { cosines } = similarityCorrelation(takeRows(a, rows), takeRows(b, rows), gold);
  const { all } = stsSpearman([{ similarity: cosines, gold }]);
  return Number.isNaN(all) ? 0 : all;
}

/** At most `SPREAD_SENTENCES` rows, evenly taken. */
function someRows(features: Rows): Rows {
  const count = features.shape[0] as number;
  const step = Math.ceil(count / SPREAD_SENTENCES);
  return step === 1
    ? features
    : takeRows(
        features,
        range(0, Math.floor(count / step)).map((i) => i * step),
      );
}

/** Alignment of the close pairs, and uniformity of the sentences. Alignment is NaN when no pair is close. */
async function planeOf(
  features: Rows,
  set: StsSet,
): Promise<{ readonly alignment: number; readonly uniformity: number }> {
  const close = range(0, set.pairs.length).filter((i) => (set.pairs[i]?.gold as number) > set.close);
  const { a, b } = sides(features);
  const [x, y] = close.length > 0 ? [takeRows(a, close), takeRows(b, close)] : [a, b];
  const { alignment, uniformity } = await alignmentUniformity(x, y, someRows(features));
  return { alignment: close.length > 0 ? alignment : Number.NaN, uniformity };
}

/** The pairs that are looked at in training. */
function lookedAt(task: Task): StsSet {
  return task.development ?? task.test;
}

/** A look at an encoder in training: on the development pairs, or without a score on the test pairs. */
export async function observeEncoder(
  task: Task,
  embedder: Embedder,
  params: EncoderParams,
  signal: AbortSignal,
): Promise<Observation> {
  const set = lookedAt(task);
  const features = await embedder(params, textsOf(set), signal);
  return { score: task.development ? spearmanOf(features, set) : null, ...(await planeOf(features, set)) };
}

/** Group whitening of all rows together, channels in their order: what the dense layer of an arm meets. */
async function whitenedInGroups(features: Rows, groups: number): Promise<Rows> {
  const [order] = unshuffled(1, features.shape[1] as number) as [Tensor];
  return (await evaluate(shuffledGroupWhitening(constant(features), order, { groups }))) as Rows;
}

/** tanh of the dense layer. */
async function headOutputs({ weight, bias }: LinearParams, features: Rows): Promise<Rows> {
  const dense = { weight: constant(weight), ...(bias && { bias: constant(bias) }) };
  return (await evaluate(tanh(linear(dense, constant(features))))) as Rows;
}

export interface EvaluationRequest {
  readonly task: Task;
  readonly embedder: Embedder;
  /** The untouched start, whose spectrum is shown beside. */
  readonly start: EncoderParams;
  /** Whitens the embeddings of the start by a map fitted to training sentences. */
  readonly postHoc?: boolean;
  /** Of a trained arm; without it the start is evaluated. */
  readonly trained?: TrainingResult & {
    /** Of the arm's whitening; null without one. */
    readonly groups: number | null;
    /** False for an arm that trains without the dense layer. */
    readonly hasHead: boolean;
  };
  readonly signal: AbortSignal;
}

function meanRow({ shape, data }: NDArray): Float64Array {
  const [n, width] = shape as [number, number];
  const mean = new Float64Array(width);
  data.forEach((value, at) => {
    mean[at % width] = (mean[at % width] as number) + Number(value) / n;
  });
  return mean;
}

/** Rows without the mean of others. */
function centred(rows: Rows, fitted: Rows): Rows {
  const mean = meanRow(fitted);
  return { ...rows, data: rows.data.map((value, at) => value - (mean[at % mean.length] as number)) };
}

/** Mean of a_i · a_j over all ordered pairs of unit vectors: the squared length of their mean. */
function meanCosine(features: Rows): number {
  return meanRow(normalizeRows(features)).reduce((sum, value) => sum + value * value, 0);
}

/** All metrics of an arm, its figures, and sentences for the map. */
export async function evaluateArm(request: EvaluationRequest): Promise<ArmResult> {
  const { task, embedder, start, postHoc = false, trained, signal } = request;
  const { test } = task;
  const params = trained?.params.encoder ?? start;
  const embed = (of: EncoderParams, texts: readonly string[]): Promise<Rows> => embedder(of, texts, signal);
  const fitted = await embed(params, task.sentences.slice(0, FITTED));
  const { map } = await fitWhitening(fitted);
  const whitened = async (rows: Rows): Promise<Rows> => (await applyMap(rows, map)) as Rows;

  const raw = await embed(params, textsOf(test));
  const white = await whitened(raw);
  const features = postHoc ? white : raw;
  const grouped = trained?.groups ? await whitenedInGroups(raw, trained.groups) : null;
  const head = trained?.hasHead ? await headOutputs(trained.params.dense, grouped ?? raw) : null;
  const { alignment, uniformity } = await planeOf(features, test);
  const spectrum = covarianceSpectrum(features);
  const kept = trained?.trace.find(({ step }) => step === trained.keptStep)?.score ?? null;

  const way = async (): Promise<readonly PlanePoint[]> => {
    if (trained) return trained.trace;
    const set = lookedAt(task);
    const seen = await embed(start, textsOf(set));
    return [{ step: null, ...(await planeOf(postHoc ? await whitened(seen) : seen, set)) }];
  };
  const changed = trained !== undefined || postHoc;
  const figures = [
    spectrumFigure({
      before: trained ? covarianceSpectrum(await embed(start, textsOf(test))) : covarianceSpectrum(raw),
      after: changed ? spectrum : null,
      inside: grouped && covarianceSpectrum(grouped),
    }),
    planeFigure(await way(), trained?.keptStep ?? null),
    subsetsFigure(test, (rows) => HUNDRED * spearmanOf(features, test, rows)),
  ];
  const shown = range(0, Math.min(MAP_POINTS, test.pairs.length));
  const { a, b } = sides(features);
  return {
    metrics: {
      sts: HUNDRED * spearmanOf(features, test),
      "sts-centred": HUNDRED * spearmanOf(postHoc ? white : centred(raw, fitted), test),
      "sts-whitened": HUNDRED * spearmanOf(white, test),
      ...(head && { "sts-head": HUNDRED * spearmanOf(head, test) }),
      ...(kept !== null && { "sts-development": HUNDRED * kept }),
      ...(Number.isFinite(alignment) && { alignment }),
      uniformity,
      "mean-cosine": meanCosine(features),
      "effective-rank": spectrum.effectiveRank,
      ...(trained && { "kept-step": trained.keptStep }),
    },
    figures: figures.filter((figure) => figure !== null),
    embeddings: { first: normalizeRows(takeRows(a, shown)), second: normalizeRows(takeRows(b, shown)) },
    embeddingLabels: shown.map((i) => test.pairs[i]?.a as string),
  };
}
