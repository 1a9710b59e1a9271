import {
  linearProbeAccuracy,
  nearestNeighbourAccuracy,
  normalizedMutualInformation,
  normalizeRows,
} from "@concord/align";
import { type ChannelStatistics, standardise } from "@concord/data";
import { compile, matmul, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import type { Metric } from "../../harness/contract.ts";
import type { Network, SwavParams, SwavStatistics } from "./network.ts";
import { unitRows } from "./prototypes.ts";
import type { LabelledImages } from "./shapes-world.ts";

/** Images embedded at a time. */
const CHUNK = 250;
const PERCENT = 100;
const NEIGHBOURS = 20;
/**
 * Steps of fitting a probe, by the products that a step takes: pixels are many and alike and would go on for long,
 * while their accuracy hardly changes from 25 steps on (README.md, "Deviations").
 */
const MOST_ITERATIONS = 200;
const LEAST_ITERATIONS = 25;
const PROBE_PRODUCTS = 5e8;
/** C of the probe on standardised features. */
const PROBE_STRENGTH = 0.1;

/** Points of the map in all, and classes among them. */
const MAP_POINTS = 240;
const MAP_CLASSES = 12;

export const metrics: readonly Metric[] = [
  {
    id: "probe",
    label: "Linear probe",
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description:
      "Top-1 accuracy on test images of a logistic regression (C = 0.1, features standardised) on the frozen backbone's pooled output.",
  },
  {
    id: "knn",
    label: "20 nearest neighbours",
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description:
      "Accuracy on test images of a vote of the 20 labelled images nearest by cosine of the same features.",
  },
  {
    id: "prototypes-used",
    label: "Prototypes used",
    unit: "%",
    better: "higher",
    digits: 1,
    optional: true,
    description: "Share of the prototypes that are the nearest one of some test image.",
  },
  {
    id: "nmi",
    label: "Clusters and classes (NMI)",
    better: "higher",
    digits: 3,
    optional: true,
    description: "Normalised mutual information of a test image's class and its nearest prototype.",
  },
];

/** What the network makes of images that are not changed at random. */
export interface Embedded {
  /** [N, H] */
  readonly features: NDArray<"float32">;
  /** [N, K] cosines with the prototypes. */
  readonly scores: NDArray<"float32">;
}

/** The network on arrays, compiled once for all arms. */
export interface Embedder {
  embed(
    params: SwavParams,
    statistics: SwavStatistics,
    images: LabelledImages,
    signal?: AbortSignal,
  ): Promise<Embedded>;
  /** Running statistics of plain images, passed through untrained weights. */
  calibrate(
    params: SwavParams,
    statistics: SwavStatistics,
    images: LabelledImages,
    passes: number,
  ): Promise<SwavStatistics>;
  close(): Promise<void>;
}

/** Centre squares of some images as floats: [B, 3, S, S], standardised. */
function centreCrops(
  { pixels, size, count }: LabelledImages,
  start: number,
  length: number,
  side: number,
  statistics: ChannelStatistics,
): NDArray<"float32"> {
  const margin = Math.floor((size - side) / 2);
  const data = new Float32Array(length * 3 * side * side);
  let at = 0;
  for (let i = 0; i < length; i++) {
    // Filled up with images from the front, so that one graph serves all chunks.
    const image = (start + i) % count;
    for (let row = 0; row < 3 * side; row++) {
      const [channel, y] = [Math.floor(row / side), row % side];
      const begin = ((image * 3 + channel) * size + margin + y) * size + margin;
      for (let x = 0; x < side; x++, at++) data[at] = (pixels[begin + x] as number) / 255;
    }
  }
  return standardise({ dtype: "float32", shape: [length, 3, side, side], data }, statistics);
}

/**
 * @param side        of the squares that are looked at: that of full crops
 * @param statistics  as the crops of the training have
 */
export function createEmbedder(
  network: Network,
  {
    side,
    prototypes,
    statistics,
  }: {
    readonly side: number;
    readonly prototypes: number;
    readonly statistics: ChannelStatistics;
  },
): Embedder {
  const encode = compile(
    (params: Traced<SwavParams>, running: Traced<SwavStatistics>, images: Tensor) => {
      const { features, projections } = network.encode(params, running, [images], { training: false });
      const cosines = matmul(unitRows(projections), unitRows(params.prototypes), { transposeB: true });
      return { features, scores: cosines };
    },
    { name: "SwAV encoder" },
  );
  const pass = compile(
    (params: Traced<SwavParams>, running: Traced<SwavStatistics>, images: Tensor) =>
      network.encode(params, running, [images]).statistics,
    { name: "SwAV statistics" },
  );
  return {
    async embed(params, running, images, signal) {
      const { count } = images;
      const chunk = Math.min(CHUNK, count);
      const features = new Float32Array(count * network.features);
      const scores = new Float32Array(count * prototypes);
      for (let start = 0; start < count; start += chunk) {
        signal?.throwIfAborted();
        const batch = centreCrops(images, start, chunk, side, statistics);
        const rows = Math.min(chunk, count - start);
        const found = await encode(params as never, running as never, batch);
        const put = (from: NDArray, to: Float32Array, width: number): void =>
          to.set((from.data as Float32Array).subarray(0, rows * width), start * width);
        put(found.features, features, network.features);
        put(found.scores, scores, prototypes);
      }
      return {
        features: { dtype: "float32", shape: [count, network.features], data: features },
        scores: { dtype: "float32", shape: [count, prototypes], data: scores },
      };
    },
    async calibrate(params, running, images, passes) {
      const chunk = Math.min(CHUNK, images.count);
      let known = running;
      for (let i = 0; i < passes; i++) {
        const batch = centreCrops(images, (i * chunk) % images.count, chunk, side, statistics);
        known = (await pass(params as never, known as never, batch)) as unknown as SwavStatistics;
      }
      return known;
    },
    async close() {
      await Promise.all([encode.close(), pass.close()]);
    },
  };
}

/** Pixels as features: [N, 3 S S], 0 to 1. */
export function pixelFeatures({ pixels, count }: LabelledImages): NDArray<"float32"> {
  return {
    dtype: "float32",
    shape: [count, pixels.length / count],
    data: Float32Array.from(pixels, (byte) => byte / 255),
  };
}

/** Columns brought to mean 0 and deviation 1 by the first set; columns that never vary become 0. */
function standardisedBy(
  reference: NDArray<"float32">,
  sets: readonly NDArray<"float32">[],
): NDArray<"float32">[] {
  const [count, width] = reference.shape as [number, number];
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  reference.data.forEach((value, i) => {
    mean[i % width] = (mean[i % width] as number) + value / count;
  });
  reference.data.forEach((value, i) => {
    square[i % width] = (square[i % width] as number) + (value - (mean[i % width] as number)) ** 2 / count;
  });
  const factor = square.map((variance) => (variance > 1e-12 ? 1 / Math.sqrt(variance) : 0));
  return sets.map(({ shape, data }) => ({
    dtype: "float32",
    shape,
    data: data.map((value, i) => (value - (mean[i % width] as number)) * (factor[i % width] as number)),
  }));
}

/** Accuracies in % of probe and neighbours; none without labels. */
export async function accuracies(
  probe: { readonly features: NDArray<"float32">; readonly images: LabelledImages },
  test: { readonly features: NDArray<"float32">; readonly images: LabelledImages },
): Promise<Record<string, number>> {
  const [known, asked] = [probe.images.labels, test.images.labels];
  if (!known || !asked) return {};
  const [train, held] = standardisedBy(probe.features, [probe.features, test.features]) as [
    NDArray<"float32">,
    NDArray<"float32">,
  ];
  const products = train.data.length * (1 + known.reduce((top, label) => Math.max(top, label), 0));
  const iterations = Math.round(PROBE_PRODUCTS / products);
  const linear = linearProbeAccuracy(train, known, held, asked, {
    inverseRegularization: PROBE_STRENGTH,
    maxIterations: Math.min(MOST_ITERATIONS, Math.max(LEAST_ITERATIONS, iterations)),
    tolerance: 1e-3,
  });
  const k = Math.min(NEIGHBOURS, known.length);
  const neighbours = await nearestNeighbourAccuracy(probe.features, known, test.features, asked, { k });
  return { probe: PERCENT * linear.accuracy, knn: PERCENT * neighbours.expectedAccuracy };
}

/** The nearest prototype of each row of scores [N, K]. */
export function nearestPrototypes({ shape, data }: NDArray<"float32">): Int32Array {
  const [count, prototypes] = shape as [number, number];
  return Int32Array.from({ length: count }, (_, i) => {
    let best = 0;
    for (let k = 1; k < prototypes; k++)
      if ((data[i * prototypes + k] as number) > (data[i * prototypes + best] as number)) best = k;
    return best;
  });
}

/** How many rows each prototype is the nearest of. */
export function prototypeUsage(nearest: Int32Array, prototypes: number): number[] {
  const usage = Array.from({ length: prototypes }, () => 0);
  for (const k of nearest) usage[k] = (usage[k] as number) + 1;
  return usage;
}

/** Metrics of the clusters that prototypes make. */
export function clusterMetrics({ scores }: Embedded, { labels }: LabelledImages): Record<string, number> {
  const prototypes = scores.shape[1] as number;
  const nearest = nearestPrototypes(scores);
  const used = prototypeUsage(nearest, prototypes).filter((count) => count > 0).length;
  return {
    "prototypes-used": (PERCENT * used) / prototypes,
    ...(labels && { nmi: normalizedMutualInformation(labels, nearest) }),
  };
}

/** Points for the map: a set for each of the first classes, or one for all where there are no labels. */
export function mapPoints(
  { features }: Embedded,
  { labels, classes, count }: LabelledImages,
): Readonly<Record<string, NDArray<"float32">>> {
  const width = features.shape[1] as number;
  const units = normalizeRows(features);
  const pick = (rows: readonly number[]): NDArray<"float32"> => {
    const data = new Float32Array(rows.length * width);
    rows.forEach((row, i) => {
      data.set(units.data.subarray(row * width, (row + 1) * width), i * width);
    });
    return { dtype: "float32", shape: [rows.length, width], data };
  };
  const all = Array.from({ length: count }, (_, i) => i);
  const shownClasses = labels ? Math.min(MAP_CLASSES, classes.length) : 0;
  if (!labels || shownClasses === 0) return { images: pick(all.slice(0, MAP_POINTS)) };
  const each = Math.floor(MAP_POINTS / shownClasses);
  const sets: Record<string, NDArray<"float32">> = {};
  for (let c = 0; c < shownClasses; c++) {
    const rows = all.filter((i) => labels[i] === c).slice(0, each);
    const name = (classes[c] as string).replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
    if (rows.length > 0) sets[name === "" || name in sets ? `class-${c}` : name] = pick(rows);
  }
  return sets;
}
