import { type Key, splitKey } from "@concord/tensor";
import { fitLinearProbe, predictLinearProbe } from "../metrics/linear-probe.ts";
import type { Estimate } from "./finding.ts";
import { meanEstimate } from "./resample.ts";
import { choose, stack, takeRows, type UnitRows } from "./sample.ts";

/** Rows of each set for the classifier: half to fit, half to test. */
const ROWS = 1000;

/** Rows around 0 with a mean square of 1 in each component, so that the penalty means the same for every set. */
function standardized(rows: UnitRows): UnitRows {
  const [n, width] = rows.shape as [number, number];
  const data = new Float32Array(rows.data.length);
  const centre = new Float64Array(width);
  for (let i = 0; i < n * width; i++)
    centre[i % width] = (centre[i % width] as number) + (rows.data[i] as number) / n;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    data[i] = (rows.data[i] as number) - (centre[i % width] as number);
    squares += (data[i] as number) ** 2;
  }
  const scale = squares > 0 ? Math.sqrt(data.length / squares) : 0;
  for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) * scale;
  return { dtype: "float32", shape: [n, width], data };
}

/**
 * How often a linear classifier, fitted on half of the rows, tells from which of two sets a row of the other half is:
 * 0.5 when the sets are one cloud, 1 when a plane divides them.
 *
 * @param places  rows of the two samples; place i of both lists goes to the same half, so that the partner of a test row
 *   is not trained on
 */
export function separability(
  a: UnitRows,
  b: UnitRows,
  places: { readonly a: ArrayLike<number>; readonly b: ArrayLike<number> },
  key: Key,
): Estimate {
  const [pickKey, halfKey, meanKey] = splitKey(key, 3) as [Key, Key, Key];
  const shared = Math.min(places.a.length, places.b.length);
  const chosen = choose(shared, ROWS, pickKey);
  const n = chosen.length;
  const rows = standardized(
    stack(
      takeRows(
        a,
        Array.from(chosen, (i) => places.a[i] as number),
      ),
      takeRows(
        b,
        Array.from(chosen, (i) => places.b[i] as number),
      ),
    ),
  );
  const fit = choose(n, n >> 1, halfKey);
  const inFit = new Set(fit);
  const test = Array.from({ length: n }, (_, i) => i).filter((i) => !inFit.has(i));
  const both = (half: Iterable<number>): number[] => [...half].flatMap((i) => [i, n + i]);
  const [fitRows, testRows] = [both(fit), both(test)];
  const probe = fitLinearProbe(
    takeRows(rows, fitRows),
    fitRows.map((i) => Number(i >= n)),
    2,
    { tolerance: 1e-2, maxIterations: 60, inverseRegularization: 0.1 },
  );
  const guesses = predictLinearProbe(probe, takeRows(rows, testRows));
  // One value a pair of rows: the two are resampled together.
  const right = test.map((_, i) => {
    const hit = (place: number) => Number(guesses[place] === Number((testRows[place] as number) >= n));
    return (hit(2 * i) + hit(2 * i + 1)) / 2;
  });
  return meanEstimate(right, meanKey);
}
