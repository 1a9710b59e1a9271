import { afterAll, describe, expect, test } from "vitest";
import type { NDArray, RecurrentWeights, Tensor } from "../src/index.ts";
import {
  add,
  compile,
  evaluate,
  gradients,
  gru,
  lstm,
  matmul,
  mul,
  ones,
  sigmoid,
  slice,
  square,
  sub,
  sum,
  tanh,
  tensor,
  toNumbers,
  unroll,
  zeros,
} from "../src/index.ts";
import { expectClose, randomArrays, valuesOf } from "./support/arrays.ts";
import { gradientCheck } from "./support/gradient-check.ts";
import { nodesOf } from "./support/graph-nodes.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

const [STEPS, BATCH, INPUTS, HIDDEN] = [7, 5, 6, 9];

function gate(x: Tensor, k: number): Tensor {
  return slice(x, [0, k * HIDDEN], [x.shape[0] as number, (k + 1) * HIDDEN]);
}

function affine(x: Tensor, weights: Tensor, bias: Tensor): Tensor {
  return add(matmul(x, weights, { transposeB: true }), bias);
}

/** The equations of the doc comments, one step after another. */
const slow = {
  gru: (x: Tensor, [w, u, b, d]: readonly Tensor[], h: Tensor) =>
    unroll(
      (state, input) => {
        const [fromInput, fromState] = [affine(input, w!, b!), affine(state, u!, d!)];
        const r = sigmoid(add(gate(fromInput, 0), gate(fromState, 0)));
        const z = sigmoid(add(gate(fromInput, 1), gate(fromState, 1)));
        const n = tanh(add(gate(fromInput, 2), mul(r, gate(fromState, 2))));
        const next = add(mul(sub(1, z), n), mul(z, state));
        return { state: next, output: next };
      },
      h,
      x,
    ),
  lstm: (x: Tensor, [w, u, b, d]: readonly Tensor[], h: Tensor) =>
    unroll(
      ({ state, cell }, input) => {
        const sums = add(affine(input, w!, b!), affine(state, u!, d!));
        const [i, f, o] = [0, 1, 3].map((k) => sigmoid(gate(sums, k)));
        const next = add(mul(f!, cell), mul(i!, tanh(gate(sums, 2))));
        const output = mul(o!, tanh(next));
        return { state: { state: output, cell: next }, output };
      },
      { state: h, cell: zeros(h.shape) },
      x,
    ),
};

function inputsOf(gates: number): NDArray[] {
  const shapes = [
    [STEPS, BATCH, INPUTS],
    [gates * HIDDEN, INPUTS],
    [gates * HIDDEN, HIDDEN],
    [gates * HIDDEN],
    [gates * HIDDEN],
    [BATCH, HIDDEN],
  ];
  return randomArrays(9, shapes, { dtype: "float32", low: -0.5, high: 0.5 });
}

function weightsOf([, w, u, b, d]: readonly Tensor[]): RecurrentWeights {
  return { inputWeights: w!, recurrentWeights: u!, inputBias: b, recurrentBias: d };
}

describe.each([
  ["gru", gru, 3],
  ["lstm", lstm, 4],
] as const)("%s", (name, layer, gates) => {
  test("equals its equations, and so does its gradient", async () => {
    const both = (fn: (inputs: readonly Tensor[]) => Tensor) =>
      compile(
        (inputs: readonly Tensor[]) => {
          const states = fn(inputs);
          return { states, gradients: gradients(sum(square(states)), inputs) };
        },
        { runtime },
      );
    const fast = both((all) => layer(all[0]!, weightsOf(all), { initial: all[5]! }).states);
    const plain = both((all) => slow[name](all[0]!, all.slice(1, 5), all[5]!).outputs);
    const inputs = inputsOf(gates);
    const [found, wanted] = [await fast(inputs), await plain(inputs)];
    expectClose("states", toNumbers(found.states), toNumbers(wanted.states), 1e-5);
    wanted.gradients.forEach((gradient, i) =>
      expectClose(`gradient ${i}`, toNumbers(found.gradients[i]!), toNumbers(gradient), 2e-5),
    );
  });

  test("reads a sequence backwards as forwards when it is turned round", async () => {
    const [x, ...weights] = inputsOf(gates).map((array) =>
      tensor(array.data as Float32Array, { shape: array.shape }),
    );
    const turned = tensor(
      Array.from({ length: STEPS }, (_, t) =>
        Array.from((x!.node.source as unknown as { value: NDArray }).value.data as Float32Array).slice(
          (STEPS - 1 - t) * BATCH * INPUTS,
          (STEPS - t) * BATCH * INPUTS,
        ),
      ).flat(),
      { shape: x!.shape },
    );
    const own = weightsOf([x!, ...weights]);
    const { last, states } = layer(x!, [own, own]);
    const found = await evaluate({ last, states, turned: layer(turned, own).last });
    const rows = (array: NDArray, half: number): number[] =>
      toNumbers(array).filter((_, i) => Math.floor(i / HIDDEN) % 2 === half);
    expectClose("backwards", rows(found.last, 1), toNumbers(found.turned), 1e-6);
    expect(found.states.shape).toEqual([STEPS, BATCH, 2 * HIDDEN]);
  });

  test("ignores what lies beyond the length of a sequence, also in its gradient", async () => {
    const lengths = tensor([7, 1, 3, 0, 6], { dtype: "int32" });
    const run = compile(
      (inputs: readonly Tensor[]) => {
        const own = weightsOf(inputs);
        const { states, last } = layer(inputs[0]!, [own, own], { lengths });
        return {
          states,
          last,
          gradients: gradients(add(sum(square(states)), sum(last)), inputs.slice(0, 5)),
        };
      },
      { runtime },
    );
    const inputs = inputsOf(gates);
    const changed = { ...inputs[0]!, data: (inputs[0]!.data as Float32Array).slice() };
    const sizes = [7, 1, 3, 0, 6];
    for (let t = 0; t < STEPS; t++)
      for (let b = 0; b < BATCH; b++)
        if (t >= sizes[b]!) changed.data.fill(100, (t * BATCH + b) * INPUTS, (t * BATCH + b + 1) * INPUTS);
    const [first, second] = [await run(inputs), await run([changed as NDArray, ...inputs.slice(1)])];
    expect(toNumbers(second.states)).toEqual(toNumbers(first.states));
    expect(toNumbers(second.last)).toEqual(toNumbers(first.last));
    first.gradients.forEach((gradient, i) =>
      expectClose(`gradient ${i}`, toNumbers(second.gradients[i]!), toNumbers(gradient), 1e-5),
    );
    const width = 2 * HIDDEN;
    expect(toNumbers(first.last).slice(3 * width, 4 * width)).toEqual(new Array(width).fill(0));
  });

  test.each(["float32", "float64"] as const)("ends in 0 without steps, %s", async (dtype) => {
    const [x, w, u] = [ones([2, 3, 4], dtype), ones([gates * 5, 4], dtype), ones([gates * 5, 5], dtype)];
    const start = ones([3, 5], dtype);
    const options = { initial: start, initialCell: start, lengths: tensor([0, 0, 2], { dtype: "int32" }) };
    const result = layer(x, { inputWeights: w, recurrentWeights: u }, options);
    const found = await evaluate(result);
    for (const array of [found.last, ...("lastCell" in found ? [found.lastCell as NDArray] : [])]) {
      expect(toNumbers(array).slice(0, 10)).toEqual(new Array(10).fill(0));
      expect(
        toNumbers(array)
          .slice(10)
          .every((value) => value !== 0),
      ).toBe(true);
    }
  });

  test("runs in the kernel in float32", async () => {
    const nodes = await nodesOf((...inputs) => layer(inputs[0]!, weightsOf(inputs)).states, inputsOf(gates));
    expect(nodes).toContain(name.toUpperCase());
    expect(nodes).not.toContain("Sigmoid");
  });

  test("says what does not fit", () => {
    const x = ones([3, 2, 4]);
    const weights = { inputWeights: ones([gates * 5, 4]), recurrentWeights: ones([gates * 5, 5]) };
    expect(() => layer(ones([3, 2]), weights)).toThrow(
      `${name}: x has shape [3, 2], expected axes [T, B, I]`,
    );
    expect(() => layer(x, { ...weights, inputWeights: ones([gates * 5, 3]) })).toThrow(
      `${name}: inputWeights has shape [${gates * 5}, 3]: axis 1 is 3, but the operation needs 4`,
    );
    expect(() => layer(x, { ...weights, recurrentBias: ones([5]) })).toThrow(
      `${name}: recurrentBias has shape [5]: axis 0 is 5, but the operation needs ${gates * 5}`,
    );
    expect(() => layer(x, [weights, weights], { initial: ones([2, 5]) })).toThrow(
      `${name}: initial has shape [2, 5]: axis 1 is 5, but the operation needs 10`,
    );
    expect(() => layer(x, weights, { lengths: tensor([1, 2]) })).toThrow(
      `${name}: lengths must be int32, got float32`,
    );
    expect(() => layer(x, weights, { initial: zeros([2, 5], "float64") })).toThrow(
      `${name}: expected float32, got float64`,
    );
    expect(() => layer(zeros([0, 2, 4]), weights)).toThrow(
      `${name}: needs at least one step of one sequence, got [0, 2, 4]`,
    );
  });
});

describe("unroll", () => {
  test("carries a tree of states and stacks a tree of outputs", async () => {
    const { state, outputs } = unroll(
      ({ total, count }, { x, y }, t) => {
        const next = { total: add(total, mul(x, y)), count: add(count, 1) };
        return { state: next, output: { sofar: next.total, t: tensor([t]) } };
      },
      { total: tensor([0, 0]), count: tensor([0]) },
      {
        x: tensor([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
        y: tensor([
          [1, 1],
          [2, 2],
          [3, 3],
        ]),
      },
    );
    expect(await valuesOf(state.total)).toEqual([22, 28]);
    expect(await valuesOf(state.count)).toEqual([3]);
    expect(await valuesOf(outputs.sofar)).toEqual([1, 2, 7, 10, 22, 28]);
    expect(await valuesOf(outputs.t)).toEqual([0, 1, 2]);
    expect(outputs.sofar.shape).toEqual([3, 2]);
  });

  test("has the gradient of the loop", () =>
    gradientCheck(
      (x, a) => {
        const { state, outputs } = unroll(
          (h: Tensor, input: Tensor) => ({ state: tanh(add(mul(h, a!), input)), output: square(h) }),
          a!,
          x!,
        );
        return [state, outputs];
      },
      randomArrays(3, [[4, 2], [2]], { low: -1, high: 1 }),
      { name: "unroll" },
    ));

  test("says which input has another number of steps", () => {
    const step = (state: Tensor): { state: Tensor; output: Tensor } => ({ state, output: state });
    expect(() => unroll(step, ones([1]), { a: ones([3, 1]), b: ones([2, 1]) })).toThrow(
      "unroll: 'b' has shape [2, 1], but 'a' has 3 steps",
    );
    expect(() => unroll(step, ones([1]), {})).toThrow("unroll: needs an input with at least one step");
  });
});
