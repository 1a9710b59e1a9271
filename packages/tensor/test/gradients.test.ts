import { describe, expect, test } from "vitest";
import type { DType, NDArray, Tensor } from "../src/index.ts";
import {
  abs,
  add,
  batchNorm,
  batchNormInference,
  clamp,
  concat,
  conv2d,
  exp,
  gather,
  globalAveragePool,
  layerNorm,
  logSoftmax,
  matmul,
  maxPool2d,
  mean,
  mul,
  ndarray,
  relu,
  reshape,
  softmax,
  split,
  sub,
  sum,
  tanh,
  tensor,
  transpose,
  where,
} from "../src/index.ts";
import { randomArray, randomArrays } from "./support/arrays.ts";
import {
  applications,
  FIXED_INPUTS,
  FLOAT32_ONLY,
  OTHER_GRADIENT,
  POSITIVE,
  WITHOUT_GRADIENT,
} from "./support/families.ts";
import type { OperationCase } from "./support/fixtures.ts";
import { operationCases, toArray } from "./support/fixtures.ts";
import type { Differentiable } from "./support/gradient-check.ts";
import { gradientCheck, secondGradientCheck } from "./support/gradient-check.ts";

/** Fresh inputs of the shapes of a fixture, so that no entry lies on a kink; indices and masks stay. */
function inputsOf(op: string, stored: OperationCase, seed: number, float: DType): NDArray[] {
  const range = POSITIVE.has(op) ? { low: 0.4, high: 2.4 } : { low: -2, high: 2 };
  return stored.inputs.map((input, i) =>
    input.dtype === undefined && !FIXED_INPUTS.has(op)
      ? randomArray(seed * 10 + i, input.shape, { ...range, dtype: float })
      : toArray(input, float),
  );
}

function applied(op: string, { attributes }: OperationCase): Differentiable {
  return (...inputs) => {
    const result = applications[op]!(inputs, attributes);
    // The running statistics follow x, but carry no gradient by intent.
    return op === "batchNorm" ? (result as readonly Tensor[])[0]! : result;
  };
}

const differentiable = [...operationCases()].filter(
  ([op]) => !WITHOUT_GRADIENT.has(op) && !OTHER_GRADIENT.has(op),
);

describe("gradients equal finite differences", () => {
  test.each(differentiable)("%s", async (op, cases) => {
    const float = FLOAT32_ONLY.has(op) ? "float32" : "float64";
    for (const [i, stored] of cases.entries())
      await gradientCheck(applied(op, stored), inputsOf(op, stored, i, float), { name: `${op}, case ${i}` });
  });
});

describe("second derivatives equal finite differences of the gradient", () => {
  test.each(differentiable)("%s", async (op, cases) => {
    const float = FLOAT32_ONLY.has(op) ? "float32" : "float64";
    for (const [i, stored] of cases.slice(0, 3).entries())
      await secondGradientCheck(applied(op, stored), inputsOf(op, stored, i + 50, float), {
        name: `${op}, case ${i}`,
        ...(float === "float32" ? { tolerance: 1e-2 } : { tolerance: 3e-6 }),
      });
  });
});

describe("gradients through whole models", () => {
  const attention: Differentiable = (x, query, key, value) => {
    const heads = (w: Tensor): Tensor => transpose(reshape(matmul(x!, w), [2, 3, 2, 2]), [0, 2, 1, 3]);
    const weights = softmax(matmul(heads(query!), heads(key!), { transposeB: true, scale: 0.5 }));
    return reshape(transpose(matmul(weights, heads(value!)), [0, 2, 1, 3]), [2, 3, 4]);
  };
  const contrastive: Differentiable = (images, texts, temperature) => {
    const logits = mul(matmul(images!, texts!, { transposeB: true }), exp(temperature!));
    const diagonal = tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], { shape: [3, 3], dtype: "float64" });
    return [logits, transpose(logits)].map((x) => mean(sum(mul(logSoftmax(x), diagonal), { axes: -1 })));
  };
  const gated: Differentiable = (x, w) => {
    const [left, right] = split(matmul(x!, w!), 2) as [Tensor, Tensor];
    const joined = concat([mul(left, tanh(right)), x!], 1);
    return where(tensor([true, false, true], { dtype: "bool", shape: [3, 1] }), relu(joined), abs(joined));
  };

  test("attention", () =>
    gradientCheck(
      attention,
      randomArrays(1, [
        [2, 3, 4],
        [4, 4],
        [4, 4],
        [4, 4],
      ]),
      { name: "attention" },
    ));
  test("attention, second derivatives", () =>
    secondGradientCheck(
      attention,
      randomArrays(
        2,
        [
          [2, 3, 4],
          [4, 4],
          [4, 4],
          [4, 4],
        ],
        { low: -1, high: 1 },
      ),
      {
        name: "attention",
        tolerance: 1e-5,
      },
    ));
  test("a contrastive loss in both directions with a learned temperature", async () => {
    const inputs = randomArrays(3, [[3, 4], [3, 4], []], { low: -1, high: 1 });
    await gradientCheck(contrastive, inputs, { name: "contrastive loss" });
    await secondGradientCheck(contrastive, inputs, { name: "contrastive loss", tolerance: 1e-5 });
  });
  test("a gated network with masks", () =>
    gradientCheck(
      gated,
      randomArrays(4, [
        [3, 4],
        [4, 6],
      ]),
      { name: "gated network" },
    ));
  test("an embedding whose rows are used several times", () =>
    gradientCheck(
      (table, w) => tanh(matmul(gather(table!, tensor([1, 0, 1, 1], { dtype: "int32" })), w!)),
      randomArrays(5, [
        [3, 4],
        [4, 2],
      ]),
      {
        name: "embedding",
      },
    ));
  test("a convolutional network", () =>
    gradientCheck(
      (x, w, v) =>
        globalAveragePool(
          conv2d(maxPool2d(tanh(conv2d(x!, w!, { padding: 1 })), 2), v!, { stride: 2, padding: 1 }),
        ),
      randomArrays(
        6,
        [
          [2, 1, 6, 6],
          [2, 1, 3, 3],
          [2, 2, 3, 3],
        ],
        { dtype: "float32", low: -1, high: 1 },
      ),
      { name: "convolutional network", tolerance: 1e-2, step: 5e-3 },
    ));
  test("batch norm then layer norm", () =>
    gradientCheck(
      (x, gain, bias) => {
        const running = { mean: tensor([0, 0, 0, 0]), variance: tensor([1, 1, 1, 1]) };
        const { y } = batchNorm(x!, gain!, bias!, running);
        return batchNormInference(layerNorm(y, gain!, bias!), gain!, bias!, running);
      },
      randomArrays(7, [[5, 4], [4], [4]], { dtype: "float32" }),
      { name: "norms", tolerance: 1e-2 },
    ));
});

describe("gradientCheck itself", () => {
  test("names function, input, index and both numbers when a gradient is wrong", async () => {
    const wrong: Differentiable = (a, b) => add(a!, clamp(sub(b!, b!), 0, 0));
    await gradientCheck(wrong, randomArrays(1, [[2], [2]]), { name: "right" });
    // A result that depends on x only through a stopped gradient has the gradient 0, but finite differences see it.
    const stopped: Differentiable = (x, y) => mul(x!, applications.stopGradient!([y!], {}) as Tensor);
    const inputs = [ndarray([1, 2], { dtype: "float64" }), ndarray([3, 4], { dtype: "float64" })];
    await expect(gradientCheck(stopped, inputs, { name: "stopped" })).rejects.toThrow(
      /^gradient of stopped with respect to input 1 of shape \[2\] at index 0: 0, but finite differences give \d\.\d+ \(tolerance 0\.000001\)$/,
    );
  });
});
