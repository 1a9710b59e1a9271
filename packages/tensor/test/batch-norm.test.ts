import { expect, test } from "vitest";
import type { DType, NDArray, Tensor } from "../src/index.ts";
import {
  batchNorm,
  compile,
  gradients,
  mul,
  ndarray,
  reshape,
  sum,
  toNumbers,
  transpose,
} from "../src/index.ts";
import { expectClose, randomArrays } from "./support/arrays.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

/** y and the gradients of Σ weights · y for x [B, C, P]. */
async function normalised(arrays: readonly NDArray[]): Promise<NDArray[]> {
  const runtime = trackedRuntime();
  const run = compile(
    (x: Tensor, weights: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) => {
      const { y, running } = batchNorm(x, gain, bias, { mean, variance });
      return [y, running.mean, running.variance, ...gradients(sum(mul(y, weights)), [x, gain, bias])];
    },
    { runtime },
  );
  const results = (await run(...(arrays as Parameters<typeof run>))) as unknown as NDArray[];
  await runtime.release();
  return results;
}

test.each<[DType, number]>([
  ["float32", 1e-4],
  ["float64", 1e-11],
])("batchNorm does not care how positions are parted among examples, %s", async (dtype, tolerance) => {
  const [examples, channels, length, parts] = [2, 3, 256, 8];
  const whole = [examples, channels, length];
  const arrays = randomArrays(7, [whole, whole, [channels], [channels], [channels], [channels]], {
    dtype,
    low: 0.5,
    high: 3,
  });
  // Long rows, then the same numbers as rows of an eighth of the length.
  const parted = await compile((...values: Tensor[]) =>
    values.map((x) =>
      reshape(transpose(reshape(x, [examples, channels, parts, length / parts]), [0, 2, 1, 3]), [
        -1,
        channels,
        length / parts,
      ]),
    ),
  )(...arrays.slice(0, 2));
  const long = await normalised(arrays);
  const short = await normalised([...parted, ...arrays.slice(2)]);
  const back = async (x: NDArray): Promise<NDArray> =>
    (await compile((value: Tensor) =>
      reshape(transpose(reshape(value, [examples, parts, channels, length / parts]), [0, 2, 1, 3]), whole),
    )(x)) as NDArray;
  for (const [i, result] of short.entries()) {
    const same =
      result.shape.length === 3
        ? await back(result)
        : ndarray(result.data as never, { shape: result.shape, dtype });
    expect(same.shape).toEqual(long[i]!.shape);
    expectClose(`result ${i}`, toNumbers(long[i]!), toNumbers(same), tolerance);
  }
});
