import { compile, matmul, type NDArray, type RandomStream, type Tensor } from "@concord/tensor";
import type { Chunks } from "./nearest-centres.ts";

const productsWithCandidates = compile(
  (rows: Tensor, candidates: Tensor) => matmul(candidates, rows, { transposeB: true }),
  { name: "k-means++" },
);

/** `many` different numbers below `count`, ascending. */
function sampleIndices(stream: RandomStream, count: number, many: number): Uint32Array {
  if (many === count) return Uint32Array.from({ length: count }, (_, i) => i);
  const chosen = new Set<number>();
  // Floyd's algorithm: memory of the sample only.
  for (let top = count - many; top < count; top++) {
    const index = stream.integer(top + 1);
    chosen.add(chosen.has(index) ? top : index);
  }
  return Uint32Array.from(chosen).sort();
}

/** First place whose running sum exceeds the target. */
function placeOf(sums: Float64Array, target: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] as number) > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Starting centres by greedy k-means++ among `many` rows drawn without replacement: [K · D].
 *
 * @param report  gets the number of centres drawn so far; may throw
 * @source Arthur, Vassilvitskii 2007; 2 + ⌊ln K⌋ candidates a centre as in scikit-learn
 */
export async function seedCentres(
  chunks: Chunks,
  clusters: number,
  many: number,
  stream: RandomStream,
  report: (drawn: number) => void,
): Promise<Float64Array> {
  const { width } = chunks;
  const data = new Float32Array(many * width);
  for (const [i, row] of sampleIndices(stream, chunks.count, many).entries())
    chunks.read(row, 1, data.subarray(i * width, (i + 1) * width));
  const sample: NDArray<"float32"> = { dtype: "float32", shape: [many, width], data };
  const squares = Float64Array.from({ length: many }, (_, i) => {
    let total = 0;
    for (let k = i * width; k < (i + 1) * width; k++) total += (data[k] as number) ** 2;
    return total;
  });
  const trials = 2 + Math.floor(Math.log(clusters));
  const rowOf = (index: number): Float32Array => data.subarray(index * width, (index + 1) * width);
  const centres = new Float64Array(clusters * width);
  const nearest = new Float64Array(many).fill(Number.POSITIVE_INFINITY);
  const sums = new Float64Array(many);
  for (let cluster = 0; cluster < clusters; cluster++) {
    report(cluster);
    let total = 0;
    if (cluster > 0) for (let i = 0; i < many; i++) sums[i] = total += nearest[i] as number;
    // The first centre, and those of a sample that is used up, are drawn evenly.
    const candidates = Array.from({ length: trials }, () =>
      total > 0 ? placeOf(sums, stream.uniform() * total) : stream.integer(many),
    );
    const block = new Float32Array(trials * width);
    candidates.forEach((index, t) => {
      block.set(rowOf(index), t * width);
    });
    const products = await productsWithCandidates(sample, {
      dtype: "float32",
      shape: [trials, width],
      data: block,
    });
    const chosen = takeBest(
      candidates.slice(0, cluster === 0 ? 1 : trials),
      squares,
      products.data as Float32Array,
      nearest,
    );
    centres.set(rowOf(chosen), cluster * width);
  }
  return centres;
}

/**
 * The candidate that leaves the smallest sum of squared distances; `nearest` becomes the distances with it.
 *
 * @param products  [T, S] products of the candidates with the rows of the sample
 */
function takeBest(
  candidates: readonly number[],
  squares: Float64Array,
  products: Float32Array,
  nearest: Float64Array,
): number {
  const many = squares.length;
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (const [t, index] of candidates.entries()) {
    const [own, base] = [squares[index] as number, t * many];
    let total = 0;
    for (let i = 0; i < many; i++) {
      const distance = own + (squares[i] as number) - 2 * (products[base + i] as number);
      const before = nearest[i] as number;
      total += distance < before ? (distance > 0 ? distance : 0) : before;
    }
    if (total < least) [best, least] = [t, total];
  }
  const chosen = candidates[best] as number;
  const own = squares[chosen] as number;
  for (let i = 0; i < many; i++) {
    const distance = own + (squares[i] as number) - 2 * (products[best * many + i] as number);
    if (distance < (nearest[i] as number)) nearest[i] = distance > 0 ? distance : 0;
  }
  // Rounding in float32 leaves something between a row and itself.
  nearest[chosen] = 0;
  return chosen;
}
