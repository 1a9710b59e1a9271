import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  batchNorm,
  batchStatisticsNorm,
  broadcastTo,
  DTypeError,
  globalLayerNorm,
  gradients,
  groupNorm,
  instanceNorm,
  layerNorm,
  mean,
  mul,
  ones,
  reshape,
  rmsNorm,
  rsqrt,
  ShapeError,
  standardize,
  sub,
  sum,
  tensor,
  variance,
  weightNorm,
  zeros,
} from "../src/index.ts";
import { allValuesOf, expectClose, randomArray, valuesOf } from "./support/arrays.ts";

const random = (seed: number, shape: readonly number[], dtype: "float32" | "float64" = "float64"): Tensor =>
  tensor([...(randomArray(seed, shape).data as Float64Array)], { shape, dtype });

describe("normalisations", () => {
  test("epsilon has all its digits in float64, though attributes of kernels are float32", async () => {
    const x = random(1, [3, 4, 5]);
    const [gain, bias] = [ones([4], "float64"), zeros([4], "float64")];
    const epsilon = 0.1;
    const statistics = { mean: zeros([4], "float64"), variance: ones([4], "float64") };
    const scaled = (y: Tensor, axes: number | number[]): Tensor => {
      const centred = sub(x, mean(x, { axes, keepDims: true }));
      return sub(mul(centred, rsqrt(add(variance(x, { axes, keepDims: true }), epsilon))), y);
    };
    const vector = { gain: ones([5], "float64"), bias: zeros([5], "float64") };
    const differences = await allValuesOf([
      scaled(instanceNorm(x, gain, bias, { epsilon }), 2),
      scaled(globalLayerNorm(x, gain, bias, { epsilon }), [1, 2]),
      scaled(batchStatisticsNorm(x, gain, bias, { epsilon }), [0, 2]),
      scaled(batchNorm(x, gain, bias, statistics, { epsilon }).y, [0, 2]),
      scaled(layerNorm(x, vector.gain, vector.bias, { epsilon }), 2),
      scaled(standardize(x, { epsilon }), 2),
    ]);
    for (const values of differences) expect(Math.max(...values.map(Math.abs))).toBeLessThan(2e-15);
  });

  test("group norm of one group is layer norm of the flattened example", async () => {
    const x = random(1, [3, 4, 5], "float32");
    const flat = layerNorm(reshape(x, [3, 20]), ones([20]), zeros([20]));
    const grouped = groupNorm(x, ones([4]), zeros([4]), { groups: 1 });
    const overall = globalLayerNorm(x, ones([4]), zeros([4]), { epsilon: 1e-5 });
    const [wanted, ...found] = await allValuesOf([flat, grouped, overall]);
    for (const values of found) expectClose("group norm", values, wanted!, 1e-6);
  });

  test("shift and positive scale of the input do not matter, each channel gets its gain and bias", async () => {
    const x = random(2, [2, 6, 3, 2]);
    const gain = random(3, [6]);
    const bias = random(4, [6]);
    const norm = (y: Tensor): Tensor => groupNorm(y, gain, bias, { groups: 3, epsilon: 0 });
    const [wanted, changed] = await allValuesOf([norm(x), norm(add(mul(x, 7), -3))]);
    expectClose("changed input", changed!, wanted!, 1e-12);
    const means = await valuesOf(sum(instanceNorm(x, gain, bias), { axes: [2, 3] }));
    const wantedMeans = await valuesOf(broadcastTo(mul(bias, 6), [2, 6]));
    expectClose("sums of channels", means, wantedMeans, 1e-12);
  });

  test("a large offset costs no digits of the result", async () => {
    const x = random(5, [2, 2, 50]);
    const exact = await valuesOf(groupNorm(x, ones([2], "float64"), zeros([2], "float64"), { groups: 2 }));
    const moved = tensor(
      (await valuesOf(x)).map((v) => v + 1000),
      { shape: x.shape },
    );
    const found = await valuesOf(groupNorm(moved, ones([2]), zeros([2]), { groups: 2 }));
    // float32 holds 1000 + v, its mean and its product with the scale with errors of 3e-5 to 6e-5 each.
    expectClose("moved input", found, exact, 3e-4);
  });

  test("constant channels give the bias, and gradients stay finite", async () => {
    const x = tensor([5, 5, 5, 5, 0, 0, 0, 0], { shape: [1, 2, 4] });
    const [gain, bias] = [tensor([2, 3]), tensor([-1, 4])];
    const y = instanceNorm(x, gain, bias);
    const weighted = sum(mul(y, random(6, [1, 2, 4], "float32")));
    const [values, ...slopes] = await allValuesOf([y, ...gradients(weighted, [x, gain, bias])]);
    expectClose("values", values!, [-1, -1, -1, -1, 4, 4, 4, 4], 1e-6);
    expect(slopes.flat().every(Number.isFinite)).toBe(true);
    const zero = zeros([2, 3]);
    const [of] = gradients(sum(rmsNorm(zero, ones([3]))), [zero]);
    expect((await valuesOf(of!)).every(Number.isFinite)).toBe(true);
  });

  test("statistics of the batch alone are those of batch norm in training", async () => {
    const x = random(7, [4, 3, 5]);
    const [gain, bias] = [random(8, [3]), random(9, [3])];
    const running = { mean: random(10, [3]), variance: ones([3], "float64") };
    const [wanted, found] = await allValuesOf([
      batchNorm(x, gain, bias, running).y,
      batchStatisticsNorm(x, gain, bias),
    ]);
    expectClose("batch statistics", found!, wanted!, 1e-12);
  });

  test("weights have the lengths that weight norm was given, whatever the direction's", async () => {
    const direction = random(11, [3, 2, 4]);
    const magnitude = tensor([0.5, 2, 3], { dtype: "float64" });
    const [found, same] = await allValuesOf([
      weightNorm(direction, magnitude),
      weightNorm(mul(direction, 13), magnitude),
    ]);
    expectClose("another length of the direction", same!, found!, 1e-12);
    for (const [row, length] of [0.5, 2, 3].entries())
      expect(Math.hypot(...found!.slice(row * 8, row * 8 + 8))).toBeCloseTo(length, 12);
  });
});

describe("errors", () => {
  const x = ones([2, 4, 3]);
  test("names of operation, axes and sizes", () => {
    expect(() => groupNorm(x, ones([4]), ones([4]), { groups: 3 })).toThrow(
      "groupNorm: 4 channels do not part into 3 groups; x has shape [2, 4, 3]",
    );
    expect(() => groupNorm(x, ones([4]), ones([4]), { groups: 0 })).toThrow(ShapeError);
    expect(() => instanceNorm(x, ones([4]), ones([3]))).toThrow(
      "instanceNorm: bias has shape [3]: axis C is 3, but C of x needs 4",
    );
    expect(() => globalLayerNorm(ones([4]), ones([4]), ones([4]))).toThrow(
      "globalLayerNorm: x needs the axes [B, C, ...], got [4]",
    );
    expect(() => batchStatisticsNorm(ones([4, 4], "int32"), ones([4]), ones([4]))).toThrow(DTypeError);
    expect(() => rmsNorm(x, ones([4]))).toThrow(
      "rmsNorm: gain has shape [4]: axis D is 4, but D of x needs 3",
    );
    expect(() => weightNorm(x, ones([4]))).toThrow(ShapeError);
    expect(() => weightNorm(x, ones([2]), { axis: 3 })).toThrow("axis 3 does not exist");
  });
});
