import { describe, expect, test } from "vitest";
import type { NDArray, Optimiser, Schedule, Tensor, Traced } from "../src/index.ts";
import {
  adamw,
  arange,
  clipByGlobalNorm,
  constant,
  cosineSchedule,
  createTrainer,
  evaluate,
  globalNorm,
  minimise,
  mul,
  ndarray,
  sgd,
  square,
  stack,
  sub,
  sum,
  tensor,
  toNumbers,
  treeMap,
} from "../src/index.ts";
import { allValuesOf, expectClose, valuesOf } from "./support/arrays.ts";
import type { StoredArray } from "./support/fixtures.ts";
import { readFixture, toArray } from "./support/fixtures.ts";

type StoredTree = Readonly<Record<string, StoredArray>>;

interface Trajectory {
  readonly optimiser: "adamw" | "sgd";
  readonly options: { readonly learningRate: number; readonly decayed?: string };
  readonly start: StoredTree;
  readonly gradients: readonly StoredTree[];
  readonly after: readonly StoredTree[];
}

interface Fixture {
  readonly optimisers: readonly Trajectory[];
  readonly schedules: readonly {
    readonly options: { readonly peak: number; readonly steps: number };
    readonly rates: readonly number[];
  }[];
  readonly clipping: readonly {
    readonly maximum: number;
    readonly gradients: StoredTree;
    readonly norm: number;
    readonly clipped: StoredTree;
  }[];
}

const fixture = readFixture<Fixture>("optim");

interface Params {
  readonly layers: readonly NDArray[];
  readonly bias: NDArray;
}

/** The stored parameters as a nested tree, so that paths of more than one part occur. */
function nested(tree: StoredTree): Params {
  return { layers: [toArray(tree["layers/0"]!)], bias: toArray(tree.bias!) };
}

function makeOptimiser({ optimiser, options }: Trajectory): Optimiser {
  const { decayed, ...rest } = options;
  if (optimiser === "sgd") return sgd(rest);
  return adamw({ ...rest, ...(decayed && { decays: (path: string) => path === decayed }) });
}

function trainerOf(optimiser: Optimiser, params: Params) {
  return createTrainer({
    state: { params, optimiser: optimiser.init(params) },
    step: (state, gradients: Traced<Params>) => {
      const { params, state: next } = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params, optimiser: next }, metrics: {} };
    },
  });
}

describe("optimisers follow PyTorch step by step", () => {
  test.each(
    fixture.optimisers.map((stored) => [stored.optimiser, JSON.stringify(stored.options), stored] as const),
  )("%s %s", async (_name, _options, stored) => {
    const trainer = trainerOf(makeOptimiser(stored), nested(stored.start));
    for (const [i, gradients] of stored.gradients.entries()) {
      await trainer.step(nested(gradients));
      const { params } = trainer.state();
      const expected = stored.after[i]!;
      expectClose(`layers/0 after step ${i}`, toNumbers(params.layers[0]!), expected["layers/0"]!.data, 3e-6);
      expectClose(`bias after step ${i}`, toNumbers(params.bias), expected.bias!.data, 3e-6);
      expect(toNumbers(trainer.state().optimiser.step)).toEqual([i + 1]);
    }
    await trainer.close();
  });

  test("a schedule is asked for the rate of every step, from the number of steps already done", async () => {
    const asked: Tensor[] = [];
    const schedule: Schedule = (step) => {
      asked.push(step);
      return constant(ndarray(0.5, { shape: [] }));
    };
    const params = { w: ndarray([1]) };
    const optimiser = sgd({ learningRate: schedule });
    const trainer = createTrainer({
      state: { params, optimiser: optimiser.init(params) },
      step: (state, _batch: Record<string, never>) => {
        const gradients = { w: tensor([1]) };
        const updated = optimiser.update(state.params, gradients, state.optimiser);
        return { state: { params: updated.params, optimiser: updated.state }, metrics: {} };
      },
    });
    await trainer.step({});
    await trainer.step({});
    expect(asked).toHaveLength(1);
    expect(toNumbers(trainer.state().params.w)).toEqual([0]);
    await trainer.close();
  });

  test("AdamW without bias correction divides the bare moments", async () => {
    const [rate, beta1, beta2, epsilon, weightDecay] = [0.1, 0.9, 0.98, 1e-6, 0.01];
    const trainer = trainerOf(
      adamw({ learningRate: rate, beta1, beta2, epsilon, weightDecay, biasCorrection: false }),
      { layers: [], bias: ndarray([0.5, -2]) },
    );
    const expected = [0.5, -2];
    const moments = expected.map(() => ({ m: 0, v: 0 }));
    for (const gradient of [
      [0.3, -1],
      [-0.2, 4],
      [0.1, 0],
    ]) {
      await trainer.step({ layers: [], bias: ndarray(gradient) });
      gradient.forEach((g, i) => {
        const { m, v } = moments[i]!;
        moments[i] = { m: beta1 * m + (1 - beta1) * g, v: beta2 * v + (1 - beta2) * g * g };
        const p = expected[i] as number;
        expected[i] = p - rate * (moments[i]!.m / (Math.sqrt(moments[i]!.v) + epsilon) + weightDecay * p);
      });
    }
    // Single precision.
    expectClose("bias", toNumbers(trainer.state().params.bias), expected, 1e-5);
    await trainer.close();
  });

  test("no steps of momentum are stored when there is none", () => {
    const params = { w: ndarray([1, 2]) };
    expect(sgd({ learningRate: 1 }).init(params).slots).toEqual({});
    expect(sgd({ learningRate: 1, momentum: 0.5 }).init(params).slots).toEqual({
      velocity: { w: ndarray([0, 0]) },
    });
    expect(Object.keys(adamw({ learningRate: 1 }).init(params).slots)).toEqual(["m", "v"]);
  });
});

describe("cosineSchedule", () => {
  test.each(fixture.schedules)("follows PyTorch: $options", async ({ options, rates }) => {
    const schedule = cosineSchedule(options);
    const steps = Array.from({ length: rates.length }, (_, step) => schedule(tensor(step)));
    expectClose("learning rates", await valuesOf(stack(steps)), rates, 1e-6);
  });

  test("works on many steps at once and stays at the floor", async () => {
    const schedule = cosineSchedule({ peak: 1, steps: 3, warmup: 1, floor: 0.25 });
    expectClose("rates", await valuesOf(schedule(arange(5))), [1, 1, 0.625, 0.25, 0.25], 1e-6);
  });

  test("refuses a warm-up that is as long as the training", () => {
    expect(() => cosineSchedule({ peak: 1, steps: 5, warmup: 5 })).toThrow(
      "cosineSchedule: warmup must lie in [0, steps), got 5 of 5",
    );
  });
});

describe("minimise", () => {
  test("steps the optimiser along the gradient of the loss and reports the loss before the step", async () => {
    const trainer = minimise({
      params: { w: ndarray([3, -1]) },
      optimiser: sgd({ learningRate: 0.25 }),
      loss: ({ w }, { target }: { readonly target: Tensor }) => sum(square(sub(w, target))),
    });
    const target = ndarray([1, 1]);
    expect(await trainer.step({ target })).toEqual({ loss: 8 });
    expect(await trainer.step({ target })).toEqual({ loss: 2 });
    expect(toNumbers(trainer.state().params.w)).toEqual([1.5, 0.5]);
    expect(toNumbers(trainer.state().optimiser.step)).toEqual([2]);
    await trainer.close();
  });
});

describe("clipByGlobalNorm", () => {
  test.each(fixture.clipping)("follows PyTorch with maximum $maximum", async (stored) => {
    const gradients = treeMap(nested(stored.gradients), (leaf) => constant(leaf as NDArray)) as {
      readonly layers: readonly Tensor[];
      readonly bias: Tensor;
    };
    const clipped = clipByGlobalNorm(gradients, stored.maximum);
    const [layer, bias, norm] = await allValuesOf([
      clipped.gradients.layers[0]!,
      clipped.gradients.bias,
      clipped.norm,
    ]);
    expectClose("layers/0", layer!, stored.clipped["layers/0"]!.data, 1e-6);
    expectClose("bias", bias!, stored.clipped.bias!.data, 1e-6);
    expectClose("norm", norm!, [stored.norm], 1e-6);
  });

  test("leaves gradients of zero at zero and bounds tiny ones", async () => {
    const clip = (gradient: number): Tensor => clipByGlobalNorm({ w: tensor([gradient]) }, 1e-6).gradients.w;
    const [zero, tiny] = await allValuesOf([clip(0), mul(clip(2e-6), 1e6)]);
    expect(zero).toEqual([0]);
    expectClose("2e-6 clipped to 1e-6, with PyTorch's epsilon of 1e-6", tiny!, [2 / 3], 1e-6);
  });

  test("globalNorm joins all leaves of a tree", async () => {
    const { norm } = await evaluate({ norm: globalNorm({ a: tensor([3]), b: [tensor([[4]]), tensor(12)] }) });
    expect(toNumbers(norm)).toEqual([13]);
    expect(() => globalNorm({})).toThrow("globalNorm: the tree has no leaves");
  });
});
