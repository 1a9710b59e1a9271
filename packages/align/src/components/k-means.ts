import { type Key, type NDArray, RandomStream, randomKey, splitKey } from "@concord/tensor";
import { checkCount } from "../metrics/checks.ts";
import { checkRows } from "../metrics/rows.ts";
import { seedCentres } from "./k-means-seeding.ts";
import { type Chunks, nearestCentres, prepareRows } from "./nearest-centres.ts";

export interface KMeansProgress {
  /** Of `restarts`, from 0. */
  readonly restart: number;
  /** Passes done; 0 while centres are being drawn. */
  readonly iteration: number;
  /** Starting centres that are drawn. */
  readonly seeded: number;
  /** Σ of squared distances before this pass's update; undefined while centres are being drawn. */
  readonly inertia?: number;
}

export interface KMeansOptions {
  /** K ≥ 1. */
  readonly clusters: number;
  /** Rows and centres are scaled to length 1, so that cosines decide. Default false. */
  readonly spherical?: boolean;
  /** Centres to start from, [K, D]; excludes restarts. Default: drawn by k-means++. */
  readonly init?: NDArray;
  /** Runs from different starts, of which the best is kept. Default 1. */
  readonly restarts?: number;
  /** Most passes over the rows. Default 100. */
  readonly iterations?: number;
  /** Ends when the centres' squared shift is below this share of the mean variance of a dimension. Default 1e-4. */
  readonly tolerance?: number;
  /** Rows that starting centres are drawn among. Default 64 K, but from 4096 to max(16384, 8 K). */
  readonly seedRows?: number;
  /** Default randomKey(0). */
  readonly key?: Key;
  readonly onProgress?: (progress: KMeansProgress) => void;
  readonly signal?: AbortSignal;
}

export interface KMeans {
  /** [K, D]; of length 1 when spherical. */
  readonly centres: NDArray<"float32">;
  /** [N] the nearest centre of each row. */
  readonly labels: Int32Array;
  /** [K] rows of each cluster; 0 only when there are fewer different rows than clusters. */
  readonly sizes: Int32Array;
  /** Σ_i ‖x_i - c_{label(i)}‖²; when spherical Σ_i 2 (1 - cos). */
  readonly inertia: number;
  /** Passes over the rows of the run that was kept. */
  readonly iterations: number;
  /** Whether that run ended by itself. */
  readonly converged: boolean;
}

interface Run extends Omit<KMeans, "centres"> {
  readonly centres: Float64Array;
}

/** Sums and counts of the clusters, and how far each row is from its centre. */
interface Pass {
  readonly sums: Float64Array;
  readonly sizes: Int32Array;
  readonly labels: Int32Array;
  readonly distances: Float32Array;
  inertia: number;
}

async function assign(chunks: Chunks, centres: Float64Array, signal?: AbortSignal): Promise<Pass> {
  const { count, width } = chunks;
  const pass: Pass = {
    sums: new Float64Array(centres.length),
    sizes: new Int32Array(centres.length / width),
    labels: new Int32Array(count),
    distances: new Float32Array(count),
    inertia: 0,
  };
  await nearestCentres(chunks, centres, signal, (first, rows, labels) => {
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number;
      const base = label * width;
      let distance = 0;
      for (let k = 0; k < width; k++) {
        const value = rows[i * width + k] as number;
        pass.sums[base + k] = (pass.sums[base + k] as number) + value;
        const difference = value - (centres[base + k] as number);
        distance += difference * difference;
      }
      pass.labels[first + i] = label;
      pass.sizes[label] = (pass.sizes[label] as number) + 1;
      pass.distances[first + i] = distance;
      pass.inertia += distance;
    }
  });
  return pass;
}

/** Gives every empty cluster the row that is farthest from its centre, of clusters that have others. */
function fillEmpty(chunks: Chunks, { sums, sizes, labels, distances }: Pass): void {
  const { width } = chunks;
  const empty = Array.from(sizes.keys()).filter((cluster) => sizes[cluster] === 0);
  if (empty.length === 0) return;
  const farthest = Uint32Array.from(distances.keys()).sort(
    (a, b) => (distances[b] as number) - (distances[a] as number) || a - b,
  );
  let next = 0;
  for (const cluster of empty) {
    while (next < farthest.length && sizes[labels[farthest[next] as number] as number] === 1) next++;
    const row = farthest[next++];
    if (row === undefined || distances[row] === 0) return;
    const old = labels[row] as number;
    const values = chunks.row(row);
    for (let k = 0; k < width; k++) {
      sums[old * width + k] = (sums[old * width + k] as number) - (values[k] as number);
      sums[cluster * width + k] = values[k] as number;
    }
    sizes[old] = (sizes[old] as number) - 1;
    sizes[cluster] = 1;
  }
}

/** Means of the clusters; one without rows, or whose unit rows cancel, keeps its centre. */
function moveCentres(
  centres: Float64Array,
  { sums, sizes }: Pass,
  width: number,
  spherical: boolean,
): Float64Array {
  const moved = Float64Array.from(centres);
  for (const [cluster, size] of sizes.entries()) {
    if (size === 0) continue;
    const sum = sums.subarray(cluster * width, (cluster + 1) * width);
    const length = spherical ? Math.sqrt(sum.reduce((total, value) => total + value * value, 0)) : size;
    if (length < 1e-12) continue;
    for (let k = 0; k < width; k++) moved[cluster * width + k] = (sum[k] as number) / length;
  }
  return moved;
}

const sameLabels = (a: Int32Array, b: Int32Array): boolean => a.every((label, i) => label === b[i]);

async function lloyd(
  chunks: Chunks,
  start: Float64Array,
  options: {
    readonly most: number;
    readonly least: number;
    readonly spherical: boolean;
    readonly signal?: AbortSignal;
  },
  report: (iteration: number, inertia: number) => void,
): Promise<Run> {
  let centres = start;
  let before: Int32Array | undefined;
  let iteration = 0;
  let converged = false;
  while (iteration < options.most && !converged) {
    const pass = await assign(chunks, centres, options.signal);
    iteration++;
    report(iteration, pass.inertia);
    if (before && sameLabels(before, pass.labels)) {
      return { ...pass, centres, iterations: iteration, converged: true };
    }
    before = pass.labels;
    fillEmpty(chunks, pass);
    const moved = moveCentres(centres, pass, chunks.width, options.spherical);
    const shift = moved.reduce((sum, value, i) => sum + (value - (centres[i] as number)) ** 2, 0);
    centres = moved;
    converged = shift <= options.least;
  }
  // Labels of the last centres.
  const final = await assign(chunks, centres, options.signal);
  return { ...final, centres, iterations: iteration, converged };
}

/**
 * Clusters rows around K centres (Lloyd's algorithm).
 *
 *   minimises  Σ_i min_k ‖x_i - c_k‖²   to a local minimum
 *
 * Starting centres are drawn by greedy k-means++: each of a few candidates is drawn in proportion to the squared
 * distance to the centres so far, and the best is kept. A cluster that loses all its rows gets the row that is farthest
 * from its centre. The rows are read in chunks and never copied as a whole; distances are compared in float32 around
 * the mean of the rows, sums and inertia are float64. N · K · D work a pass.
 *
 * @param rows  [N, D] with N ≥ K
 * @throws RangeError when values are not finite, there are fewer rows than clusters, a row of zeros has no direction
 *   (spherical), or an option is out of range; the signal's reason when aborted
 * @source Lloyd 1982; Arthur, Vassilvitskii 2007 (k-means++); greedy, empty clusters and tolerance as in scikit-learn
 */
export async function kMeans(rows: NDArray, options: KMeansOptions): Promise<KMeans> {
  const operation = "kMeans";
  const { clusters: K, spherical = false, init, restarts = 1, iterations = 100, tolerance = 1e-4 } = options;
  const { key = randomKey(0), onProgress, signal } = options;
  const [N, D] = checkRows(operation, "rows", rows);
  checkCount(operation, "clusters", K, 1, N);
  checkCount(operation, "iterations", iterations);
  checkCount(operation, "restarts", restarts);
  if (!(tolerance >= 0)) throw new RangeError(`${operation}: tolerance must be >= 0, got ${tolerance}`);
  if (init) {
    if (restarts > 1)
      throw new RangeError(
        `${operation}: with init every run is the same; restarts must be 1, got ${restarts}`,
      );
    checkRows(operation, "init", init);
    if (init.shape[0] !== K || init.shape[1] !== D)
      throw new RangeError(`${operation}: init must have shape [${K}, ${D}], got [${init.shape.join(", ")}]`);
  }
  const chunks = prepareRows(operation, rows, spherical, K);
  const seedRows = options.seedRows ?? Math.min(Math.max(4096, 64 * K), Math.max(16384, 8 * K));
  checkCount(operation, "seedRows", seedRows, K);
  let best: Run | undefined;
  for (const [restart, runKey] of splitKey(key, restarts).entries()) {
    const start = init
      ? chunks.prepare(init)
      : await seedCentres(chunks, K, Math.min(seedRows, N), new RandomStream(runKey), (seeded) => {
          signal?.throwIfAborted();
          onProgress?.({ restart, iteration: 0, seeded });
        });
    const run = await lloyd(
      chunks,
      start,
      { most: iterations, least: tolerance * chunks.variance, spherical, ...(signal && { signal }) },
      (iteration, inertia) => onProgress?.({ restart, iteration, seeded: K, inertia }),
    );
    if (!best || run.inertia < best.inertia) best = run;
  }
  const { centres, labels, sizes, inertia, iterations: passes, converged } = best as Run;
  return {
    centres: { dtype: "float32", shape: [K, D], data: chunks.restore(centres) },
    labels,
    sizes,
    inertia,
    iterations: passes,
    converged,
  };
}

/**
 * The nearest of some centres for each row, e.g. for rows that came after `kMeans`.
 *
 * @param rows     [N, D]
 * @param centres  [K, D]
 * @param options.spherical  by cosines. Default false: by Euclidean distance
 * @returns [N] in [0, K); among equals the smaller
 * @throws RangeError when widths differ or values are not finite, or (spherical) a row is zero
 */
export async function assignToCentres(
  rows: NDArray,
  centres: NDArray,
  { spherical = false }: { readonly spherical?: boolean } = {},
): Promise<Int32Array> {
  const operation = "assignToCentres";
  const [N, D] = checkRows(operation, "rows", rows);
  const [K, width] = checkRows(operation, "centres", centres);
  if (width !== D)
    throw new RangeError(`${operation}: rows have width ${D}, but centres have width ${width}`);
  const chunks = prepareRows(operation, rows, spherical, K);
  const labels = new Int32Array(N);
  await nearestCentres(chunks, chunks.prepare(centres), undefined, (first, _rows, found) =>
    labels.set(found, first),
  );
  return labels;
}
