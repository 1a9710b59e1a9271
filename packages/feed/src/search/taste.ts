/** Steps of the descent; the loss of a few hundred rows is settled by then. */
const STEPS = 60;
const RIDGE = 0.05;

/**
 * The direction in which liked papers lie: logistic regression on unit vectors, liked against unliked and, weakly,
 * against what is there otherwise.
 *
 *   min_w  ½ ρ ‖w‖² + Σ_i c_i log(1 + e^{-y_i (w·x_i + b)}),   Σ c over liked = Σ c over the others = ½
 *
 * Nesterov's method with the step 1 / L, L = ρ + ½ (rows of length 1, and the bias).
 *
 * @param rows     [n, D] row by row, unit length
 * @param labels   [n] 1 liked, -1 unliked, 0 papers of no known taste
 * @returns [D] w, by which papers are ranked
 * @source as arxiv-sanity-lite's SVM, with unliked papers and a smooth loss
 */
export function tasteDirection(rows: Float32Array, labels: Int8Array, width: number): Float32Array {
  const count = labels.length;
  const costs = costsOf(labels);
  let [w, bias] = [new Float64Array(width), 0];
  let [ahead, aheadBias] = [w.slice(), 0];
  const rate = 1 / (RIDGE + 0.5);
  for (let step = 0; step < STEPS; step++) {
    const gradient = ahead.map((value) => RIDGE * value);
    let gradientBias = 0;
    for (let i = 0; i < count; i++) {
      const sign = labels[i] === 1 ? 1 : -1;
      const row = rows.subarray(i * width, (i + 1) * width);
      let margin = aheadBias;
      for (let d = 0; d < width; d++) margin += (ahead[d] as number) * (row[d] as number);
      const slope = (-sign * (costs[i] as number)) / (1 + Math.exp(sign * margin));
      for (let d = 0; d < width; d++) gradient[d] = (gradient[d] as number) + slope * (row[d] as number);
      gradientBias += slope;
    }
    const next = ahead.map((value, d) => value - rate * (gradient[d] as number));
    const nextBias = aheadBias - rate * gradientBias;
    const momentum = step / (step + 3);
    ahead = next.map((value, d) => value + momentum * (value - (w[d] as number)));
    aheadBias = nextBias + momentum * (nextBias - bias);
    [w, bias] = [next, nextBias];
  }
  return Float32Array.from(w);
}

/** Liked papers count as much as all others together, unliked ones as much as three of no known taste. */
function costsOf(labels: Int8Array): Float64Array {
  const weightOf = (label: number) => (label === 0 ? 1 : label === -1 ? 3 : 1);
  let [liked, others] = [0, 0];
  for (const label of labels) {
    if (label === 1) liked++;
    else others += weightOf(label);
  }
  return Float64Array.from(labels, (label) => 0.5 * (label === 1 ? 1 / liked : weightOf(label) / others));
}
