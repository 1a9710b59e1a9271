import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  clampGradient,
  customGradient,
  div,
  gradientReversal,
  gradients,
  maximum,
  mul,
  ones,
  scaleGradient,
  sign,
  square,
  straightThrough,
  sum,
  tensor,
} from "../src/index.ts";
import { randomArrays, valuesOf } from "./support/arrays.ts";
import { gradientCheck, secondGradientCheck } from "./support/gradient-check.ts";
import { nodesOf } from "./support/graph-nodes.ts";

async function gradientOf(value: Tensor, x: Tensor): Promise<number[]> {
  return valuesOf(gradients(value, [x])[0] as Tensor);
}

describe("gradient control", () => {
  test("a straight-through estimate computes only what is hard", async () => {
    const nodes = await nodesOf((x) => straightThrough(sign(x), square(square(x))), randomArrays(1, [[2]]));
    expect(nodes).toEqual(["Sign"]);
  });

  test("the gradient of a straight-through choice runs through the soft path", async () => {
    const x = tensor([0.5, -2]);
    const y = mul(straightThrough(sign(x), square(x)), tensor([3, 5]));
    expect(await valuesOf(y)).toEqual([3, -5]);
    expect(await gradientOf(sum(y), x)).toEqual([3, -20]);
  });

  test("factors may be tensors that change from step to step", async () => {
    const x = tensor([1, 2]);
    const scale = tensor([0.25], { shape: [] });
    expect(await gradientOf(sum(square(gradientReversal(x, scale))), x)).toEqual([-0.5, -1]);
    expect(await gradientOf(sum(square(scaleGradient(x, scale))), x)).toEqual([0.5, 1]);
  });

  test("say what does not fit", () => {
    expect(() => straightThrough(ones([2]), ones([3]))).toThrow(
      "straightThrough: hard and soft have shapes [2] and [3]",
    );
    expect(() => straightThrough(ones([2], "int32"), ones([2], "int32"))).toThrow(
      "straightThrough: expected float32",
    );
    expect(() => scaleGradient(ones([2]), ones([2]))).toThrow(
      "scaleGradient: the factor must be a float32 scalar, got float32 [2]",
    );
    expect(() => clampGradient(ones([2]), -1)).toThrow("clampGradient: the limit must be at least 0, got -1");
  });
});

describe("customGradient", () => {
  const cube = customGradient(
    (x: Tensor) => mul(x, square(x)),
    ({ inputs: [x], cotangents: [dy] }) => [mul(dy!, mul(square(x!), 3))],
  );

  test("with the true rule it is differentiated as often as wanted", async () => {
    const inputs = randomArrays(5, [[3]]);
    await gradientCheck((x) => cube(x!), inputs, { name: "cube" });
    await secondGradientCheck((x) => cube(x!), inputs, { name: "cube", tolerance: 1e-5 });
  });

  test("follows the rule and nothing else", async () => {
    const x = tensor([2]);
    const stubborn = customGradient(
      (a: Tensor) => [square(a), add(a, x)] as const,
      ({ outputs, cotangents: [da, db] }) => [add(add(mul(da!, 100), mul(db!, 10)), outputs[0]!)],
    );
    const [first, second] = stubborn(x);
    expect([await valuesOf(first), await valuesOf(second)]).toEqual([[4], [4]]);
    expect(await gradientOf(sum(first), x)).toEqual([104]);
    expect(await gradientOf(sum(add(first, second)), x)).toEqual([114]);
  });

  test("null stands for no gradient", async () => {
    const [a, b] = [tensor([1]), tensor([2])];
    const left = customGradient(
      (x: Tensor, y: Tensor) => mul(x, y),
      ({ inputs: [, y], cotangents: [dy] }) => [mul(dy!, y!), null],
    );
    expect(await gradientOf(sum(left(a, b)), a)).toEqual([2]);
    expect(await gradientOf(sum(left(a, b)), b)).toEqual([0]);
  });

  test("says what the rule got wrong", () => {
    const x = ones([2, 3]);
    const wrong = (rule: () => readonly (Tensor | null)[]) => () =>
      gradients(sum(customGradient((a: Tensor) => div(a, maximum(a, 1)), rule)(x)), [x]);
    expect(wrong(() => [])).toThrow(
      "customGradient: backward must return one gradient, or null, for each of 1 inputs; got 0",
    );
    expect(wrong(() => [ones([3])])).toThrow(
      "customGradient: input 0 is float32 [2, 3], but backward returned float32 [3] for it",
    );
    expect(() =>
      customGradient(
        () => ones([1], "int32"),
        () => [],
      )(),
    ).toThrow("customGradient: forward must return at least one float tensor");
  });
});
