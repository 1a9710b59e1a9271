import fc from "fast-check";
import { test } from "vitest";

/** Number of cases when given: then with other seeds on every run. By default a few, the same on every run. */
const wider = Number(process.env.FAST_CHECK_RUNS);

/** A test that holds for `numRuns` random values of the arbitraries; the smallest counterexample is shown. */
export function property<T extends [unknown, ...unknown[]]>(
  name: string,
  numRuns: number,
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  check: (...values: T) => Promise<void>,
): void {
  const holds = fc.asyncProperty(fc.tuple(...arbitraries), (values) => check(...(values as T)));
  test(name, () => fc.assert(holds, wider > 0 ? { numRuns: wider } : { numRuns, seed: 20240229 }));
}

export const size = fc.integer({ min: 1, max: 4 });
/** Shapes of rank 0 to 4. */
export const shapes = fc.array(size, { maxLength: 4 });
export const seeds = fc.nat(1_000_000);
