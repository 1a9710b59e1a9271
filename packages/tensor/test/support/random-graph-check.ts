import type { DType, NDArray, Tensor } from "../../src/index.ts";
import { compile, isFloat, toNumbers } from "../../src/index.ts";
import { outputWeights } from "./fixtures.ts";
import type { Program } from "./random-graph.ts";
import { gradientsOf, inputArrays, outcomes, runProgram } from "./random-graph.ts";
import { trackedRuntime } from "./tracked-runtime.ts";

interface Point {
  readonly value: number;
  /** Largest size of a term of the sum, to which its rounding errors are relative. */
  readonly size: number;
}

/** Entries of an input that are moved, at most. */
const ENTRIES = 24;

/**
 * Compares the gradients of a program's objective with differences of its values, for entries of every float input.
 * At a kink (relu, a maximum, a sorted order) the gradient may be any slope between those on the two sides, so their
 * distance is allowed beside the tolerance; where a function is smooth that is step · curvature, which is next to
 * nothing.
 *
 * @throws Error that names input, index and both numbers
 */
export async function checkDerivatives(program: Program, float: DType): Promise<void> {
  const runtime = trackedRuntime();
  const double = float === "float64";
  const [step, tolerance, rounding] = double ? [1e-5, 1e-6, 2 ** -50] : [1e-2, 3e-3, 2 ** -20];
  try {
    const inputs = inputArrays(program, float);
    const names = Object.keys(inputs).filter((name) => isFloat((inputs[name] as NDArray).dtype));
    const results = outcomes(program);
    if (results.length === 0 || names.length === 0) return;
    const differentiate = compile(
      (given: Record<string, Tensor>) => gradientsOf(program, runProgram(program, given, float), names),
      { runtime },
    );
    const compute = compile(
      (given: Record<string, Tensor>) => {
        const values = runProgram(program, given, float);
        return results.map((name) => values.get(name) as Tensor);
      },
      { runtime },
    );
    const evaluateAt = async (given: Record<string, NDArray>): Promise<Point> => {
      let [value, size] = [0, 0];
      for (const [k, result] of (await compute(given)).entries()) {
        const weights = outputWeights(result.shape, k, "float64").data as Float64Array;
        toNumbers(result).forEach((y, i) => {
          value += y * (weights[i] as number);
          size = Math.max(size, Math.abs(y));
        });
      }
      return { value, size };
    };
    const analytic = await differentiate(inputs);
    const here = await evaluateAt(inputs);
    for (const name of names) {
      const input = inputs[name] as NDArray;
      for (let index = 0; index < input.data.length; index += Math.ceil(input.data.length / ENTRIES)) {
        const moved = (offset: number): Promise<Point> => {
          const data = (input.data as Float64Array).slice();
          data[index] = (data[index] as number) + offset;
          return evaluateAt({ ...inputs, [name]: { ...input, data } });
        };
        const [above, below] = [await moved(step), await moved(-step)];
        const forward = (above.value - here.value) / step;
        const backward = (here.value - below.value) / step;
        const numeric = (forward + backward) / 2;
        const found = Number(analytic[name]?.data[index]);
        const allowed =
          tolerance * (1 + Math.abs(numeric)) +
          Math.abs(forward - backward) +
          (rounding * Math.max(above.size, below.size)) / step;
        if (!(Math.abs(found - numeric) <= allowed)) {
          throw new Error(
            `gradient with respect to ${name} at index ${index} (${float}): ${found}, but differences give ` +
              `${numeric} (allowed ${allowed}) in\n${JSON.stringify(program)}`,
          );
        }
      }
    }
  } finally {
    await runtime.release();
  }
}

/** Throws unless float32 gives the values that float64 gives, within what single precision can do. */
export async function checkPrecisions(program: Program): Promise<void> {
  const runtime = trackedRuntime();
  try {
    const run = (float: DType): Promise<readonly NDArray[]> =>
      compile((given: Record<string, Tensor>) => [...runProgram(program, given, float).values()], {
        runtime,
      })(inputArrays(program, float));
    const [wanted, found] = [await run("float64"), await run("float32")];
    wanted.forEach((array, k) => {
      const single = found[k] as NDArray;
      if (String(single.shape) !== String(array.shape))
        throw new Error(`value ${k}: ${single.shape}, in float64 ${array.shape}`);
      if (!isFloat(array.dtype)) return;
      const [exact, rounded] = [toNumbers(array), toNumbers(single)];
      const scale = exact.reduce((largest, y) => Math.max(largest, Math.abs(y)), 1);
      exact.forEach((y, i) => {
        const z = rounded[i] as number;
        if (!Object.is(y, z) && !(Math.abs(y - z) <= 1e-4 * scale))
          throw new Error(
            `value ${k} at ${i}: ${z} in float32, ${y} in float64, in\n${JSON.stringify(program)}`,
          );
      });
    });
  } finally {
    await runtime.release();
  }
}
