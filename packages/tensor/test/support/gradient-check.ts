import type { NDArray, Tensor } from "../../src/index.ts";
import { add, compile, foldIn, gradients, isFloat, mul, randomKey, sum, toNumbers } from "../../src/index.ts";
import { randomArray } from "./arrays.ts";
import { trackedRuntime } from "./tracked-runtime.ts";

/** What is checked: one result or several, of which those with a float dtype are differentiated. */
export type Differentiable = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

export interface GradientCheckOptions {
  /** Shown in failures. */
  readonly name?: string;
  /** Allowed difference, relative to 1 + |gradient|. Default 1e-6 in float64, 3e-3 in float32. */
  readonly tolerance?: number;
  /** Half the distance of the two points. Default 1e-5 in float64, 1e-2 in float32. */
  readonly step?: number;
}

const SEED = randomKey(71);

function asList(results: Tensor | readonly Tensor[]): readonly Tensor[] {
  return "node" in results ? [results] : results;
}

/** Fixed random weights of the entries of the k-th result, which make one scalar of all results. */
function weightsOf(result: Tensor, k: number): NDArray {
  return randomArray(foldIn(SEED, k), result.shape, { low: 0.5, high: 1.5, dtype: result.dtype });
}

function weightedSum(results: readonly Tensor[]): Tensor {
  const terms = results.flatMap((result, k) =>
    isFloat(result.dtype) ? [sum(mul(result, weightsOf(result, k)))] : [],
  );
  return terms.slice(1).reduce(add, terms[0] as Tensor);
}

/**
 * Compares the engine's gradients of Σ weights · fn(inputs) with central differences
 * (f(x + h) - f(x - h)) / 2h, entry by entry of every float input. The weighted sum of the differences is formed
 * in float64 on the host, so that float32 results lose no more digits than their own.
 *
 * @throws Error that names operation, input, index and both numbers
 */
export async function gradientCheck(
  fn: Differentiable,
  inputs: readonly NDArray[],
  options: GradientCheckOptions = {},
): Promise<void> {
  const double = inputs.every(({ dtype }) => dtype !== "float32");
  const { name = "function", tolerance = double ? 1e-6 : 3e-3, step = double ? 1e-5 : 1e-2 } = options;
  const runtime = trackedRuntime();
  try {
    const differentiated = inputs.flatMap((input, i) => (isFloat(input.dtype) ? [i] : []));
    const gradientsOf = compile(
      (...tensors: Tensor[]) =>
        gradients(
          weightedSum(asList(fn(...tensors))),
          differentiated.map((i) => tensors[i] as Tensor),
        ),
      { runtime },
    );
    const weights: number[][] = [];
    const resultsOf = compile(
      (...tensors: Tensor[]) => {
        const results = asList(fn(...tensors));
        weights.push(
          ...results.map((result, k) => (isFloat(result.dtype) ? toNumbers(weightsOf(result, k)) : [])),
        );
        return results;
      },
      { runtime },
    );
    const analytic = await gradientsOf(...inputs);
    const evaluateAt = (changed: number, value: NDArray): Promise<readonly NDArray[]> =>
      resultsOf(...inputs.map((input, i) => (i === changed ? value : input)));
    for (const [position, i] of differentiated.entries()) {
      const input = inputs[i] as NDArray;
      for (let index = 0; index < input.data.length; index++) {
        const [above, below] = [step, -step].map((offset) => {
          const data = (input.data as Float64Array).slice();
          data[index] = (data[index] as number) + offset;
          return { ...input, data };
        }) as [NDArray, NDArray];
        const [high, low] = [await evaluateAt(i, above), await evaluateAt(i, below)];
        const distance = Number(above.data[index]) - Number(below.data[index]);
        let difference = 0;
        for (const [k, list] of weights.entries()) {
          for (const [j, weight] of list.entries())
            difference += weight * (Number(high[k]?.data[j]) - Number(low[k]?.data[j]));
        }
        const numeric = difference / distance;
        const found = Number(analytic[position]?.data[index]);
        if (!(Math.abs(found - numeric) <= tolerance * (1 + Math.abs(numeric)))) {
          throw new Error(
            `gradient of ${name} with respect to input ${i} of shape [${input.shape.join(", ")}] at index ${index}: ` +
              `${found}, but finite differences give ${numeric} (tolerance ${tolerance})`,
          );
        }
      }
    }
  } finally {
    await runtime.release();
  }
}

/** As `gradientCheck`, of the gradient itself: derivatives of Σ weights · ∂f/∂x. */
export async function secondGradientCheck(
  fn: Differentiable,
  inputs: readonly NDArray[],
  options: GradientCheckOptions = {},
): Promise<void> {
  const gradientOf: Differentiable = (...tensors) =>
    gradients(
      weightedSum(asList(fn(...tensors))),
      tensors.filter(({ dtype }) => isFloat(dtype)),
    );
  await gradientCheck(gradientOf, inputs, {
    ...options,
    name: `the gradient of ${options.name ?? "function"}`,
  });
}
