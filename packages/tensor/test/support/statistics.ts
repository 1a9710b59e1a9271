/** Summary of numbers that should be independent and uniform in [0, 1), each part with mean 0 and variance near 1. */
export interface UniformityScores {
  /** Deviation of the mean from 1/2, in standard errors. */
  readonly mean: number;
  /** Chi-square of 256 equal bins, centred and scaled by its own moments. */
  readonly bins: number;
  /** The same over the 16 x 16 bins of neighbouring pairs. */
  readonly pairs: number;
  /** Correlations with the number one and two places before, in standard errors. */
  readonly lags: readonly [number, number];
}

function chiSquareScore(counts: readonly number[], total: number): number {
  const expected = total / counts.length;
  const freedom = counts.length - 1;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chiSquare - freedom) / Math.sqrt(2 * freedom);
}

function correlationScore(a: ArrayLike<number>, b: ArrayLike<number>, lag: number): number {
  const n = a.length - lag;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += ((a[i + lag] as number) - 0.5) * ((b[i] as number) - 0.5);
  return (sum / n) * 12 * Math.sqrt(n);
}

export function uniformityScores(numbers: ArrayLike<number>): UniformityScores {
  const n = numbers.length;
  const bins = new Array<number>(256).fill(0);
  const pairs = new Array<number>(256).fill(0);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const u = numbers[i] as number;
    const bin = Math.floor(u * 256);
    bins[bin] = (bins[bin] as number) + 1;
    total += u;
    if (i % 2 === 1) {
      const pair = Math.floor(u * 16) * 16 + Math.floor((numbers[i - 1] as number) * 16);
      pairs[pair] = (pairs[pair] as number) + 1;
    }
  }
  return {
    mean: (total / n - 0.5) * Math.sqrt(12 * n),
    bins: chiSquareScore(bins, n),
    pairs: chiSquareScore(pairs, Math.floor(n / 2)),
    lags: [correlationScore(numbers, numbers, 1), correlationScore(numbers, numbers, 2)],
  };
}

/** Correlation of two sequences of uniform numbers, in standard errors. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return correlationScore(a, b, 0);
}
