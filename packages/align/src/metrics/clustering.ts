import { linearAssignment } from "./assignment.ts";
import { checkSameLength, encodeLabels, type Labels } from "./checks.ts";

/** How often each true class and each cluster meet. */
interface Contingency {
  readonly n: number;
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns]; rows are true classes. */
  readonly counts: Float64Array;
  readonly classSizes: Float64Array;
  readonly clusterSizes: Float64Array;
}

function contingency(operation: string, truth: Labels, clusters: Labels): Contingency {
  checkSameLength(operation, ["truth", truth], ["clusters", clusters]);
  const left = encodeLabels(operation, ["truth", truth]);
  const right = encodeLabels(operation, ["clusters", clusters]);
  const [rows, columns] = [left.names.length, right.names.length];
  const counts = new Float64Array(rows * columns);
  const classSizes = new Float64Array(rows);
  const clusterSizes = new Float64Array(columns);
  left.codes[0]?.forEach((row, i) => {
    const column = right.codes[0]?.[i] as number;
    counts[row * columns + column] = (counts[row * columns + column] as number) + 1;
    classSizes[row] = (classSizes[row] as number) + 1;
    clusterSizes[column] = (clusterSizes[column] as number) + 1;
  });
  return { n: truth.length, rows, columns, counts, classSizes, clusterSizes };
}

/** -Σ (s / n) ln(s / n). */
function entropy(sizes: Float64Array, n: number): number {
  return sizes.reduce((sum, size) => (size > 0 ? sum - (size / n) * Math.log(size / n) : sum), 0);
}

function mutualInformationOf({ n, columns, counts, classSizes, clusterSizes }: Contingency): number {
  const sum = counts.reduce((total, count, i) => {
    if (count === 0) return total;
    const expected = (classSizes[Math.floor(i / columns)] as number) * (clusterSizes[i % columns] as number);
    return total + (count / n) * Math.log((count * n) / expected);
  }, 0);
  return Math.max(0, sum);
}

const bothTrivial = ({ rows, columns }: Contingency): boolean => rows === 1 && columns === 1;

/** Whether two labellings are the same but for names. */
const agree = ({ rows, columns, counts }: Contingency): boolean =>
  rows === columns && counts.reduce((cells, count) => cells + Number(count > 0), 0) === rows;

/**
 * Mutual information of two labellings in nats.
 *
 *   MI = Σ_ij (n_ij / n) ln(n n_ij / (a_i b_j))
 *
 * In [0, min(H(truth), H(clusters))]; symmetric.
 *
 * @param truth     N labels
 * @param clusters  N labels; their names mean nothing
 * @throws RangeError when lengths differ, there are no labels or one is NaN
 */
export function mutualInformation(truth: Labels, clusters: Labels): number {
  return mutualInformationOf(contingency("mutualInformation", truth, clusters));
}

/**
 * Normalised mutual information with the arithmetic mean.
 *
 *   NMI = 2 MI / (H(truth) + H(clusters))
 *
 * In [0, 1], symmetric; it equals the V-measure. 1 when both sides have a single label, 0 when one of them does. It is
 * not corrected for chance: many small clusters raise it (see `adjustedMutualInformation`). Arguments and errors as
 * `mutualInformation`.
 *
 * @source Kvalseth 1987; scikit-learn's normalized_mutual_info_score
 */
export function normalizedMutualInformation(truth: Labels, clusters: Labels): number {
  const table = contingency("normalizedMutualInformation", truth, clusters);
  if (bothTrivial(table)) return 1;
  const information = mutualInformationOf(table);
  const total = entropy(table.classSizes, table.n) + entropy(table.clusterSizes, table.n);
  return information === 0 ? 0 : Math.min(1, (2 * information) / total);
}

/** Expected mutual information of random labellings with these sizes (hypergeometric model). */
function expectedInformation({ n, classSizes, clusterSizes }: Contingency): number {
  const logFactorial = new Float64Array(n + 1);
  for (let i = 2; i <= n; i++) logFactorial[i] = (logFactorial[i - 1] as number) + Math.log(i);
  const lf = (i: number): number => logFactorial[i] as number;
  // Terms depend on the two sizes only: clusters of one size share them.
  const tally = (sizes: Float64Array): Map<number, number> => {
    const counts = new Map<number, number>();
    for (const size of sizes) counts.set(size, (counts.get(size) ?? 0) + 1);
    return counts;
  };
  const columns = tally(clusterSizes);
  let total = 0;
  for (const [a, howManyA] of tally(classSizes)) {
    for (const [b, howManyB] of columns) {
      const fixed = lf(a) + lf(b) + lf(n - a) + lf(n - b) - lf(n);
      let sum = 0;
      for (let k = Math.max(1, a + b - n); k <= Math.min(a, b); k++) {
        const chance = Math.exp(fixed - lf(k) - lf(a - k) - lf(b - k) - lf(n - a - b + k));
        sum += (k / n) * Math.log((n * k) / (a * b)) * chance;
      }
      total += sum * howManyA * howManyB;
    }
  }
  return total;
}

/**
 * Mutual information adjusted for chance.
 *
 *   AMI = (MI - E[MI]) / ((H(truth) + H(clusters)) / 2 - E[MI])
 *
 * E is over random labellings with the same sizes. At most 1 (equal up to names), 0 on average at random, possibly
 * below 0; symmetric. Labellings that are equal up to names have 1 always, also where chance gives nothing else.
 * Arguments and errors as `mutualInformation`.
 *
 * @source Vinh, Epps, Bailey 2010; arithmetic mean as in scikit-learn
 */
export function adjustedMutualInformation(truth: Labels, clusters: Labels): number {
  const table = contingency("adjustedMutualInformation", truth, clusters);
  // Where every labelling of these sizes agrees, all clusters of one item or one cluster of all, nothing is left to
  // adjust; otherwise the expectation lies below the mean of the entropies.
  if (agree(table)) return 1;
  const expected = expectedInformation(table);
  const top = (entropy(table.classSizes, table.n) + entropy(table.clusterSizes, table.n)) / 2;
  return (mutualInformationOf(table) - expected) / (top - expected);
}

const choose2 = (value: number): number => (value * (value - 1)) / 2;

/**
 * Rand index adjusted for chance.
 *
 *   ARI = (Σ_ij C(n_ij, 2) - E) / ((A + B) / 2 - E),   A = Σ_i C(a_i, 2), B = Σ_j C(b_j, 2), E = A B / C(n, 2)
 *
 * In [-0.5, 1]; 1 when the labellings are equal up to names, 0 on average at random; symmetric. Arguments and errors
 * as `mutualInformation`.
 *
 * @source Hubert, Arabie 1985
 */
export function adjustedRandIndex(truth: Labels, clusters: Labels): number {
  const { n, counts, classSizes, clusterSizes } = contingency("adjustedRandIndex", truth, clusters);
  const sum = (sizes: Float64Array): number => sizes.reduce((total, size) => total + choose2(size), 0);
  const [both, left, right] = [sum(counts), sum(classSizes), sum(clusterSizes)];
  // No pair is separated by one side only.
  if (left === both && right === both) return 1;
  const expected = (left * right) / choose2(n);
  return (both - expected) / ((left + right) / 2 - expected);
}

export interface VMeasure {
  /** 1 - H(truth | clusters) / H(truth): each cluster holds one class only. 1 when there is a single class. */
  readonly homogeneity: number;
  /** 1 - H(clusters | truth) / H(clusters): each class lies in one cluster. 1 when there is a single cluster. */
  readonly completeness: number;
  /** Harmonic mean of the two, 0 when both are 0. */
  readonly vMeasure: number;
}

/**
 * Homogeneity, completeness and their harmonic mean, all in [0, 1]. Arguments and errors as `mutualInformation`.
 *
 * @source Rosenberg, Hirschberg 2007 (β = 1)
 */
export function vMeasure(truth: Labels, clusters: Labels): VMeasure {
  const table = contingency("vMeasure", truth, clusters);
  const information = mutualInformationOf(table);
  const share = (sizes: Float64Array): number => {
    const all = entropy(sizes, table.n);
    return all > 0 ? Math.min(1, information / all) : 1;
  };
  const [homogeneity, completeness] = [share(table.classSizes), share(table.clusterSizes)];
  const sum = homogeneity + completeness;
  return { homogeneity, completeness, vMeasure: sum > 0 ? (2 * homogeneity * completeness) / sum : 0 };
}

/**
 * Purity: (1 / n) Σ_j max_i n_ij, the accuracy when each cluster takes its most frequent class. In (0, 1]; clusters of
 * one item each score 1. Not symmetric. Arguments and errors as `mutualInformation`.
 */
export function purity(truth: Labels, clusters: Labels): number {
  const { n, rows, columns, counts } = contingency("purity", truth, clusters);
  let right = 0;
  for (let column = 0; column < columns; column++) {
    let most = 0;
    for (let row = 0; row < rows; row++) most = Math.max(most, counts[row * columns + column] as number);
    right += most;
  }
  return right / n;
}

export interface ClusteringAccuracy {
  /** Share of items whose cluster is matched with their class. */
  readonly accuracy: number;
  /** Class of each cluster; clusters beyond the number of classes have none. */
  readonly classOfCluster: ReadonlyMap<number | string, number | string>;
}

/**
 * Clustering accuracy: (1 / n) max_π Σ_i [truth_i = π(cluster_i)], π one-to-one, by the Hungarian method. In (0, 1].
 * With more clusters than classes the rest stays without a class and counts as wrong, and the other way round.
 * Arguments and errors as `mutualInformation`.
 *
 * @source Yang et al. 2010, Image clustering using local discriminant models; assignment: Kuhn 1955
 */
export function clusteringAccuracy(truth: Labels, clusters: Labels): ClusteringAccuracy {
  const operation = "clusteringAccuracy";
  const { n, rows, columns, counts } = contingency(operation, truth, clusters);
  const { columnOfRow, total } = linearAssignment(counts, rows, columns, { maximize: true });
  const classes = encodeLabels(operation, ["truth", truth]).names;
  const names = encodeLabels(operation, ["clusters", clusters]).names;
  const classOfCluster = new Map<number | string, number | string>();
  columnOfRow.forEach((column, row) => {
    if (column >= 0) classOfCluster.set(names[column] as number, classes[row] as number);
  });
  return { accuracy: total / n, classOfCluster };
}
