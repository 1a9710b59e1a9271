import {
  compile,
  inverseSquareRoot,
  type Key,
  matmul,
  type NDArray,
  orthogonalize,
  splitKey,
  type Tensor,
} from "@concord/tensor";
import { bootstrapDifference } from "../metrics/bootstrap.ts";
import { nearestNeighbourAccuracy } from "../metrics/knn.ts";
import { kLargest } from "../metrics/neighbours.ts";
import { forEachBlockOfProducts } from "../metrics/rows.ts";
import type { RemedyResult } from "./finding.ts";
import { meanEstimate, RESAMPLES } from "./resample.ts";
import { hitsWithin, queryRanks } from "./retrieval.ts";
import {
  centroidOf,
  choose,
  type PairedPlaces,
  restrictPairs,
  scaledToUnit,
  shifted,
  takeRows,
  type UnitRows,
} from "./sample.ts";

type RemedyId = RemedyResult["id"];

/** A map of each set, fitted on other rows than it is measured on. */
export interface Mend {
  readonly a: (rows: UnitRows) => Promise<UnitRows>;
  readonly b: (rows: UnitRows) => Promise<UnitRows>;
}

const LABELS: Readonly<Record<RemedyId, string>> = {
  "mean-shift": "subtract from each set its own mean",
  whitening: "subtract the mean and give every direction the same spread (whitening)",
  procrustes: "subtract the means and rotate one set onto the other (Procrustes)",
  "local-scaling": "rank by cosine minus half of each item's closeness to everybody (CSLS)",
};

/** A rotation or a whitening matrix needs products of this width; above it the closed forms are left out. */
export const MAX_MEND_WIDTH = 2048;
/** Added to the covariance as a share of its mean eigenvalue: with few rows the small eigenvalues are noise. */
const WHITENING_RIDGE = 0.1;
/** Rows on which a map is fitted. */
const FIT_ROWS = 20_000;

const crossOf = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeA: true }), {
  name: "crossProducts",
});
const rotationOf = compile((cross: Tensor) => orthogonalize(cross, { iterations: 30 }), {
  name: "procrustes",
});
const whiteningOf = compile(
  (covariance: Tensor) =>
    inverseSquareRoot(covariance, { iterations: 20, ridge: WHITENING_RIDGE }).inverseRoot,
  { name: "whitening" },
);
const turn = compile((rows: Tensor, matrix: Tensor) => matmul(rows, matrix), { name: "turn" });

/** Rows of one product with a matrix, so that one graph serves every number of rows. */
const CHUNK = 1024;

async function inChunks(
  rows: UnitRows,
  each: (chunk: UnitRows, first: number) => Promise<void>,
): Promise<void> {
  const [n, width] = rows.shape as [number, number];
  for (let first = 0; first < n; first += CHUNK) {
    const data = new Float32Array(CHUNK * width);
    data.set(rows.data.subarray(first * width, (first + CHUNK) * width));
    await each({ dtype: "float32", shape: [CHUNK, width], data }, first);
  }
}

/** aᵀ b over rows: [D, D]. */
async function crossProducts(a: UnitRows, b: UnitRows): Promise<NDArray<"float32">> {
  const width = a.shape[1] as number;
  const total = new Float64Array(width * width);
  const others: UnitRows[] = [];
  await inChunks(b, async (chunk) => {
    others.push(chunk);
  });
  await inChunks(a, async (chunk, first) => {
    const product = await crossOf(chunk, others[first / CHUNK] as UnitRows);
    (product.data as Float32Array).forEach((value, i) => {
      total[i] = (total[i] as number) + value;
    });
  });
  return { dtype: "float32", shape: [width, width], data: Float32Array.from(total) };
}

async function turned(rows: UnitRows, matrix: NDArray<"float32">): Promise<UnitRows> {
  const [n, width] = rows.shape as [number, number];
  const data = new Float32Array(n * width);
  await inChunks(rows, async (chunk, first) => {
    const part = (await turn(chunk, matrix)).data as Float32Array;
    data.set(part.subarray(0, Math.min(CHUNK, n - first) * width), first * width);
  });
  return scaledToUnit({ dtype: "float32", shape: [n, width], data });
}

/** Rows minus a vector, not scaled. */
function moved(rows: UnitRows, shift: Float64Array): UnitRows {
  const width = rows.shape[1] as number;
  return {
    dtype: "float32",
    shape: rows.shape,
    data: rows.data.map((value, i) => value - (shift[i % width] as number)),
  };
}

function fitShift(rows: UnitRows): (other: UnitRows) => Promise<UnitRows> {
  const centroid = centroidOf(rows);
  return async (other) => shifted(other, centroid);
}

async function fitWhitening(rows: UnitRows): Promise<(other: UnitRows) => Promise<UnitRows>> {
  const centroid = centroidOf(rows);
  const centred = moved(rows, centroid);
  const covariance = await crossProducts(centred, centred);
  const n = rows.shape[0] as number;
  covariance.data.forEach((value, i) => {
    covariance.data[i] = value / n;
  });
  const matrix = (await whiteningOf(covariance)) as NDArray<"float32">;
  if (!matrix.data.every(Number.isFinite)) return async (other) => shifted(other, centroid);
  return (other) => turned(moved(other, centroid), matrix);
}

/** The orthogonal R that minimises Σ ‖(a_i - μ_a) R - (b_i - μ_b)‖², applied to a. */
async function fitRotation(a: UnitRows, b: UnitRows, pairs: PairedPlaces): Promise<Mend> {
  const [centreA, centreB] = [centroidOf(a), centroidOf(b)];
  const [left, right] = [takeRows(moved(a, centreA), pairs.a), takeRows(moved(b, centreB), pairs.b)];
  const rotation = (await rotationOf(await crossProducts(left, right))) as NDArray<"float32">;
  const usable = rotation.data.every(Number.isFinite);
  return {
    a: async (rows) => (usable ? turned(moved(rows, centreA), rotation) : shifted(rows, centreA)),
    b: async (rows) => shifted(rows, centreB),
  };
}

/** Neighbours, and rows to find them among, that say how near an item is to everybody. */
const LOCAL_NEIGHBOURS = 10;
const LOCAL_ROWS = 4000;

/** Half of each item's mean cosine with its nearest rows of the side that asks (Conneau et al. 2018, CSLS). */
async function nearnessOf(items: UnitRows, asking: UnitRows, key: Key): Promise<Float64Array> {
  const sample = takeRows(asking, choose(asking.shape[0] as number, LOCAL_ROWS, key));
  const n = sample.shape[0] as number;
  const nearness = new Float64Array(items.shape[0] as number);
  await forEachBlockOfProducts(items, sample, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const scores = products.subarray(row * n, (row + 1) * n);
      const nearest = kLargest(scores, Math.min(LOCAL_NEIGHBOURS, n));
      nearness[first + row] =
        nearest.reduce((sum, i) => sum + (scores[i] as number), 0) / (2 * nearest.length);
    }
  });
  return nearness;
}

export interface RemedyOptions {
  readonly key: Key;
  readonly queries: number;
}

/** Halves of the numbers 0 .. count - 1, drawn at random: to fit on, and to measure on. */
function halves(count: number, key: Key): readonly [fit: Uint32Array, test: Uint32Array] {
  const fit = choose(count, count >> 1, key);
  const inFit = new Set(fit);
  return [fit, Uint32Array.from({ length: count }, (_, i) => i).filter((i) => !inFit.has(i))];
}

/**
 * What shifting, whitening, rotating and local scaling would change, measured: fitted on one half of the pairs, then both directions
 * of retrieval on the other half before and after. Closed forms; fitting is not training.
 */
export async function pairRemedies(
  a: UnitRows,
  b: UnitRows,
  pairs: PairedPlaces,
  { key, queries }: RemedyOptions,
): Promise<RemedyResult[]> {
  const width = a.shape[1] as number;
  const [halfKey, fitKey, queryKey, resampleKey] = splitKey(key, 4) as [Key, Key, Key, Key];
  // Pairs that share a row stay on one side of the split, or the test half would know rows of the other.
  const owner = new Set(pairs.a).size <= new Set(pairs.b).size ? pairs.a : pairs.b;
  const groups = [...new Set(owner)];
  const place = new Map(groups.map((row, i) => [row, i]));
  const [fitGroups] = halves(groups.length, halfKey);
  const inFit = new Set(fitGroups);
  const every = Uint32Array.from({ length: pairs.a.length }, (_, i) => i);
  const isFit = (i: number): boolean => inFit.has(place.get(owner[i] as number) as number);
  const fitPairs = every.filter(isFit);
  const fit = restrictPairs(
    a,
    b,
    pairs,
    choose(fitPairs.length, FIT_ROWS, fitKey).map((i) => fitPairs[i] as number),
  );
  const test = restrictPairs(
    a,
    b,
    pairs,
    every.filter((i) => !isFit(i)),
  );
  const hitsOf = async (
    left: UnitRows,
    right: UnitRows,
    shifts?: { readonly left: Float64Array; readonly right: Float64Array },
  ): Promise<Float64Array> => {
    const options = { key: queryKey, queries };
    const there = await queryRanks(left, right, test.pairs, "a", {
      ...options,
      ...(shifts ? { itemShift: shifts.right } : {}),
    });
    const back = await queryRanks(right, left, test.pairs, "b", {
      ...options,
      ...(shifts ? { itemShift: shifts.left } : {}),
    });
    return Float64Array.from([...hitsWithin(there, 1), ...hitsWithin(back, 1)]);
  };
  const before = await hitsOf(test.a, test.b);
  const mends: (readonly [RemedyId, () => Promise<Mend>])[] = [
    ["mean-shift", async () => ({ a: fitShift(fit.a), b: fitShift(fit.b) })],
  ];
  if (width <= MAX_MEND_WIDTH) {
    mends.push(
      ["whitening", async () => ({ a: await fitWhitening(fit.a), b: await fitWhitening(fit.b) })],
      ["procrustes", () => fitRotation(fit.a, fit.b, fit.pairs)],
    );
  }
  const results: RemedyResult[] = [];
  const add = (id: RemedyId, after: Float64Array): void => {
    const gallery = test.b.shape[0] as number;
    results.push({ ...changeOf(id, before, after, resampleKey), metric: "recall@1", gallery });
  };
  for (const [id, make] of mends) {
    const mend = await make();
    add(id, await hitsOf(await mend.a(test.a), await mend.b(test.b)));
  }
  const shifts = {
    left: await nearnessOf(test.a, fit.b, fitKey),
    right: await nearnessOf(test.b, fit.a, fitKey),
  };
  add("local-scaling", await hitsOf(test.a, test.b, shifts));
  return results;
}

function changeOf(
  id: RemedyId,
  before: Float64Array,
  after: Float64Array,
  key: Key,
): Pick<RemedyResult, "id" | "label" | "before" | "after" | "change" | "queries"> {
  const { estimate, low, high } = bootstrapDifference(after, before, { key, resamples: RESAMPLES });
  return {
    id,
    label: LABELS[id],
    before: meanEstimate(before, key),
    after: meanEstimate(after, key),
    change: { value: estimate, low, high },
    queries: before.length,
  };
}

/** Whether each test row gets its label from its nearest training rows. */
export async function neighbourHits(
  train: UnitRows,
  trainLabels: Int32Array,
  test: UnitRows,
  testLabels: Int32Array,
  k: number,
): Promise<Float64Array> {
  const { predictions } = await nearestNeighbourAccuracy(train, trainLabels, test, testLabels, {
    k: Math.min(k, train.shape[0] as number),
    weighting: "cosine",
  });
  return Float64Array.from(predictions, (guess, i) => Number(guess === testLabels[i]));
}

/** What shifting and whitening would change for labels by nearest neighbours, measured on the half not fitted on. */
export async function labelRemedies(
  rows: UnitRows,
  labels: Int32Array,
  k: number,
  key: Key,
): Promise<RemedyResult[]> {
  const [halfKey, resampleKey] = splitKey(key, 2) as [Key, Key];
  const [fit, test] = halves(rows.shape[0] as number, halfKey);
  const [train, held] = [takeRows(rows, fit), takeRows(rows, test)];
  const known = new Set(Array.from(fit, (i) => labels[i] as number));
  const tested = Array.from(test.keys()).filter((i) => known.has(labels[test[i] as number] as number));
  if (tested.length < 2) return [];
  const codes = (places: ArrayLike<number>): Int32Array =>
    Int32Array.from({ length: places.length }, (_, i) => labels[places[i] as number] as number);
  const asked = tested.map((i) => test[i] as number);
  const hitsOf = async (map: (x: UnitRows) => Promise<UnitRows>): Promise<Float64Array> =>
    neighbourHits(await map(train), codes(fit), takeRows(await map(held), tested), codes(asked), k);
  const before = await hitsOf(async (x) => x);
  const mends: (readonly [RemedyId, (x: UnitRows) => Promise<UnitRows>])[] = [
    ["mean-shift", fitShift(train)],
  ];
  if ((rows.shape[1] as number) <= MAX_MEND_WIDTH) mends.push(["whitening", await fitWhitening(train)]);
  const results: RemedyResult[] = [];
  for (const [id, mend] of mends) {
    results.push({
      ...changeOf(id, before, await hitsOf(mend), resampleKey),
      metric: "knn-accuracy",
      gallery: train.shape[0] as number,
    });
  }
  return results;
}
