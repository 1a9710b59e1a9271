/** A smooth function to minimise: writes the gradient at x and returns the value. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  /** Largest absolute entry of the gradient. */
  readonly gradientNorm: number;
  readonly iterations: number;
  readonly converged: boolean;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function addScaled(target: Float64Array, factor: number, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + factor * (source[i] as number);
}

const largest = (values: Float64Array): number =>
  values.reduce((top, value) => Math.max(top, Math.abs(value)), 0);

/** Past steps that shape the next one. */
const MEMORY = 10;
/** Share of the slope's promise that a step must keep (Armijo). */
const SUFFICIENT = 1e-4;

/**
 * Minimises a convex function by L-BFGS with backtracking.
 *
 * @param scales         a guess of the inverse of the Hessian's diagonal, from which the steps start
 * @param tolerance      ends when no entry of the gradient is larger
 * @param maxIterations  ends unconverged after as many steps
 * @source Nocedal 1980; Liu, Nocedal 1989
 */
export function minimize(
  objective: Objective,
  start: Float64Array,
  {
    scales,
    tolerance,
    maxIterations,
  }: { readonly scales: Float64Array; readonly tolerance: number; readonly maxIterations: number },
): Minimum {
  let x: Float64Array = start.slice();
  let gradient: Float64Array = new Float64Array(x.length);
  let value = objective(x, gradient);
  const history: { step: Float64Array; change: Float64Array; curvature: number }[] = [];
  let iterations = 0;
  for (; iterations < maxIterations && largest(gradient) > tolerance; iterations++) {
    const direction = descent(gradient, history, scales);
    const slope = inner(direction, gradient);
    let length = 1;
    let next: { x: Float64Array; gradient: Float64Array; value: number } | undefined;
    for (let attempt = 0; attempt < 60; attempt++, length /= 2) {
      const moved = x.slice();
      addScaled(moved, length, direction);
      const slopes = new Float64Array(x.length);
      const reached = objective(moved, slopes);
      // Near the minimum differences of values drown in rounding, while the gradient is still exact.
      const flat =
        Math.abs(reached - value) <= 1e-13 * Math.abs(value) && largest(slopes) < largest(gradient);
      if (reached <= value + SUFFICIENT * length * slope || flat) {
        next = { x: moved, gradient: slopes, value: reached };
        break;
      }
    }
    if (!next) break;
    const step = next.x.slice();
    addScaled(step, -1, x);
    const change = next.gradient.slice();
    addScaled(change, -1, gradient);
    const curvature = inner(step, change);
    if (curvature > 1e-16 * inner(change, change)) history.push({ step, change, curvature });
    if (history.length > MEMORY) history.shift();
    ({ x, gradient, value } = next);
  }
  const gradientNorm = largest(gradient);
  return { x, value, gradientNorm, iterations, converged: gradientNorm <= tolerance };
}

/** Minus the inverse Hessian that the past steps suggest, times the gradient. */
function descent(
  gradient: Float64Array,
  history: readonly { step: Float64Array; change: Float64Array; curvature: number }[],
  scales: Float64Array,
): Float64Array {
  const direction = gradient.map((slope) => -slope);
  const weights: number[] = [];
  for (const { step, change, curvature } of history.toReversed()) {
    const weight = inner(step, direction) / curvature;
    weights.push(weight);
    addScaled(direction, -weight, change);
  }
  const last = history.at(-1);
  const scaled = last?.change.map((value, i) => value * (scales[i] as number));
  const factor = last && scaled ? last.curvature / inner(last.change, scaled) : 1;
  for (let i = 0; i < direction.length; i++)
    direction[i] = (direction[i] as number) * factor * (scales[i] as number);
  for (const [i, { step, change, curvature }] of history.entries()) {
    const weight = (weights[history.length - 1 - i] as number) - inner(change, direction) / curvature;
    addScaled(direction, weight, step);
  }
  return direction;
}
