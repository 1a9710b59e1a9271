import { matmul, reshape, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  coralLoss,
  domainAdversarialLoss,
  kernelDiscrepancy,
  maximumMeanDiscrepancy,
  medianBandwidth,
} from "../../src/index.ts";
import { expectGradientOfDifferences, randomMatrix, toMatrix } from "../support.ts";
import { expectClose, fixtures, gradientOf, run, wide } from "./support.ts";

const f = fixtures.discrepancy;
const [x, y] = [wide(f.x), wide(f.y)];

describe("maximumMeanDiscrepancy", () => {
  it("equals scikit-learn's kernels", async () => {
    const bandwidths = f.sigmas;
    expectClose(await run((a, b) => maximumMeanDiscrepancy(a, b, { bandwidths }), x, y), [f.biased], 1e-12);
    const unbiased = (a: Tensor, b: Tensor) => maximumMeanDiscrepancy(a, b, { bandwidths, unbiased: true });
    expectClose(await run(unbiased, x, y), [f.unbiased], 1e-12);
    const linear = (a: Tensor, b: Tensor) => maximumMeanDiscrepancy(a, b, { kernel: "linear" });
    expectClose(await run(linear, x, y), [f.linear], 1e-12);
    const fair = (a: Tensor, b: Tensor) => maximumMeanDiscrepancy(a, b, { kernel: "linear", unbiased: true });
    expectClose(await run(fair, x, y), [f.linear_unbiased], 1e-12);
  });

  it("takes the median distance, of an even and of an odd number of pairs", async () => {
    expectClose(await run(medianBandwidth, x, y), [f.median], 1e-12);
    expectClose(await run(medianBandwidth, wide([[0], [1]]), wide([[10]])), [9], 1e-9);
    expectClose(await run(medianBandwidth, wide([[3], [3]]), wide([[3]])), [1], 0);
  });

  it("agrees with the metric on the host", async () => {
    const { squared, bandwidth } = await kernelDiscrepancy(x, y);
    const one = (a: Tensor, b: Tensor) =>
      maximumMeanDiscrepancy(a, b, { bandwidths: [bandwidth], unbiased: true });
    expectClose(await run(one, x, y), [squared], 1e-6);
  });

  it("is 0 for equal sets, and grows as they part", async () => {
    const loss = (a: Tensor, b: Tensor) => maximumMeanDiscrepancy(a, b);
    expectClose(await run(loss, x, x), [0], 1e-12);
    const far = (shift: number) => wide(f.x.map((row) => row.map((value) => value + shift)));
    const near = Number((await run(loss, x, far(0.2))).data[0]);
    expect(near).toBeGreaterThan(0);
    expect(Number((await run(loss, x, far(2))).data[0])).toBeGreaterThan(near);
  });

  it("has gradients for both sets", async () => {
    const loss = (a: Tensor, b: Tensor) =>
      maximumMeanDiscrepancy(a, b, { bandwidths: f.sigmas, unbiased: true });
    await expectGradientOfDifferences(loss, x, y);
    await expectGradientOfDifferences((b, a) => loss(a as Tensor, b), y, x);
    await expectGradientOfDifferences((a, b) => maximumMeanDiscrepancy(a, b as Tensor, { kernel: "linear" }), x, y); // biome-ignore format: one line
  });

  it("names wrong options", () => {
    const one = tensor([[1, 2]]);
    expect(() => maximumMeanDiscrepancy(one, one, { unbiased: true })).toThrow(
      /two rows a side, got 1 and 1/,
    );
    expect(() => maximumMeanDiscrepancy(one, one, { bandwidths: [] })).toThrow(/bandwidths/);
    expect(() => maximumMeanDiscrepancy(one, one, { bandwidths: [-1] })).toThrow(/bandwidths/);
  });
});

describe("coralLoss", () => {
  it("equals NumPy's covariances and has its gradient", async () => {
    expectClose(await run(coralLoss, x, y), [f.coral], 1e-12);
    await expectGradientOfDifferences(coralLoss as never, x, y);
    expect(() => coralLoss(tensor([[1]]), tensor([[1], [2]]))).toThrow(/two rows a side/);
  });
});

describe("domainAdversarialLoss", () => {
  const weights = wide(toMatrix(randomMatrix(3, 3, 1)));
  const domains = wide([0, 1, 1, 0, 1, 0, 1]);
  const loss = (scale: number) => (features: Tensor, w: Tensor, d: Tensor) =>
    domainAdversarialLoss(features, d, (z) => matmul(z, w), scale);

  it("turns the features' gradient round and leaves the classifier's", async () => {
    const plain = Array.from((await gradientOf(loss(-1), x, weights, domains)).data, Number);
    const reversed = await gradientOf(loss(0.5), x, weights, domains);
    expectClose(
      reversed,
      plain.map((value) => -0.5 * value),
      1e-12,
    );
    const byWeights = (w: Tensor, features: Tensor, d: Tensor) => loss(0.5)(features, w, d);
    await expectGradientOfDifferences(byWeights as never, weights, x, domains);
    const value = await run(loss(1), x, weights, domains);
    const want = f.x.map((row, i) => {
      const logit = row.reduce((s, v, k) => s + v * Number(weights.data[k]), 0);
      return Math.log1p(Math.exp(Number(domains.data[i]) === 1 ? -logit : logit));
    });
    expectClose(value, [want.reduce((a, b) => a + b, 0) / want.length], 1e-12);
  });

  it("wants one logit a row", () => {
    const features = tensor([[1, 2]]);
    expect(() => domainAdversarialLoss(features, tensor([1]), (z) => z)).toThrow(
      /one logit a row, \[1\], got \[1, 2\]/,
    );
    expect(() => domainAdversarialLoss(features, tensor([1, 0]), (z) => reshape(z, [2]))).toThrow(/N is 2/);
  });
});
