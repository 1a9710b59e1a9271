/** erf for 0 ≤ x < 3: Σ 2ⁿ x^(2n+1) / (1 · 3 ⋯ (2n+1)), all terms positive. */
function errorFunction(x: number): number {
  let term = x;
  let sum = 0;
  for (let n = 1; sum + term !== sum; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** erfc for x ≥ 3 by its continued fraction, from the inside out. */
function complement(x: number): number {
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

/** Distribution function of the standard normal distribution. */
export function normalDistribution(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const tail = x < 3 ? (1 - errorFunction(x)) / 2 : complement(x) / 2;
  return z < 0 ? tail : 1 - tail;
}

/** Its inverse for 0 < p < 1, by bisection. */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  let [low, high] = [-40, 0];
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (normalDistribution(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
