import {
  adamw,
  asTensor,
  compile,
  createTrainer,
  evaluate,
  mul,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  square,
  sum,
  type Tensor,
  tensor,
  toNumbers,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { freezeFirst } from "./freeze-first.ts";
import { larcSgd, larcSgdStep } from "./larc.ts";
import { lrSchedule, tableSchedule } from "./lr-schedule.ts";
import { normalizePrototypes, unitRows } from "./prototypes.ts";

describe("prototypes", () => {
  it("are normalised outside of the graph of gradients", async () => {
    const raw = mul(normalArray(randomKey(1), [3, 4]), 1);
    const gradient = valueAndGrad((c: Tensor) => sum(square(normalizePrototypes(c))))(raw).gradients;
    const found = await evaluate({ unit: normalizePrototypes(raw), gradient });
    const unit = toNumbers(found.unit);
    for (let k = 0; k < 3; k++) expect(Math.hypot(...unit.slice(4 * k, 4 * k + 4))).toBeCloseTo(1, 6);
    expect(toNumbers(found.gradient).every((g) => g === 0)).toBe(true);
  });

  it("and embeddings have length 1 however short they were; rows of zeros stay", async () => {
    const rows = normalArray(randomKey(2), [1, 4]);
    const [short, usual] = [mul(rows, 1e-7), mul(rows, 1)];
    const found = await evaluate({
      short: unitRows(short),
      usual: unitRows(usual),
      zero: unitRows(mul(rows, 0)),
    });
    toNumbers(found.short).forEach((x, i) => expect(x).toBeCloseTo(toNumbers(found.usual)[i] as number, 6));
    expect(toNumbers(found.zero).every((x) => x === 0)).toBe(true);
  });

  it.each([
    ["LARC", larcSgd({ learningRate: 0.5, weightDecay: 0.1 })],
    ["AdamW", adamw({ learningRate: 0.1, weightDecay: 0.1 })],
  ])("get no update, momentum or decay while frozen, and then begin anew: %s", async (name, optimiser) => {
    const start = { head: ndarray([3, 4]), prototypes: ndarray([1, -2]) };
    const train = async (steps: number, frozenSteps: number, lr = optimiser) => {
      const frozen = freezeFirst(lr, lr, { steps: frozenSteps, frozen: (path) => path === "prototypes" });
      const trainer = createTrainer({
        state: { params: start, optimiser: frozen.init(start) },
        step: (state, _batch: Record<string, never>) => {
          const { value: loss, gradients } = valueAndGrad((p: typeof state.params) =>
            sum(mul(square(p.head), square(p.prototypes))),
          )(state.params);
          const next = frozen.update(state.params, gradients, state.optimiser);
          return { state: { params: next.params, optimiser: next.state }, metrics: { loss } };
        },
      });
      for (let i = 0; i < steps; i++) await trainer.step({});
      const state = trainer.state();
      await trainer.close();
      return state;
    };
    const waiting = await train(3, 3);
    expect(toNumbers(waiting.params.prototypes)).toEqual([1, -2]);
    expect(toNumbers(waiting.params.head)).not.toEqual([3, 4]);
    const slots = waiting.optimiser.slots as unknown as Record<
      string,
      Record<string, Record<string, NDArray>>
    >;
    for (const slot of Object.values(slots.frozen as Record<string, Record<string, NDArray>>))
      expect(toNumbers(slot.prototypes as NDArray)).toEqual([0, 0]);
    const after = await train(4, 3);
    expect(toNumbers(after.params.prototypes)).not.toEqual([1, -2]);
    // AdamW's first step has the size of the rate, whatever came before: its own steps are counted.
    if (name === "AdamW")
      expect(Math.abs(toNumbers(after.params.prototypes)[0] as number)).toBeCloseTo(1 - 0.1 - 0.01, 4);
  });
});

describe("LARC", () => {
  it("leaves gradients of zero norms as they are, without decay", async () => {
    const zero = tensor([0, 0]);
    const found = await evaluate({
      noParam: larcSgdStep(zero, tensor([1, 2]), zero, 0.5, { weightDecay: 0.1 }).param,
      noGradient: larcSgdStep(tensor([1, 2]), zero, tensor([1, 0]), 0.5, { weightDecay: 0.1 }).param,
    });
    expect(toNumbers(found.noParam)).toEqual([-0.5, -1]);
    // Only the momentum of before moves it: 1 - 0.5 · 0.9.
    expect(toNumbers(found.noGradient)[0]).toBeCloseTo(0.55, 6);
    expect(toNumbers(found.noGradient)[1]).toBe(2);
  });

  it("decays by 1e-6 where nothing else is said, along with a gradient so small that one sees it", async () => {
    const [w, g] = [tensor([3, 4]), tensor([0, 1e-5])];
    const step = async (options: object) =>
      toNumbers(await larcSgdStep(w, g, mul(w, 0), 100, options).param.data());
    const [own, given, none] = [
      await step({}),
      await step({ weightDecay: 1e-6 }),
      await step({ weightDecay: 0 }),
    ];
    expect(own).toEqual(given);
    expect(none[0]).toBe(3);
    expect(own[0]).toBeLessThan(2.95);
  });

  it("steps every tensor of a tree by its own lengths, vectors and decay included", async () => {
    const options = { learningRate: 2, weightDecay: 0.3 };
    const optimiser = larcSgd(options);
    const params = { bias: ndarray([1, -2]), weight: ndarray([[3, 1, 4]]) };
    const gradients = { bias: ndarray([0.5, 0.1]), weight: ndarray([[-1, 2, 0.5]]) };
    const trainer = createTrainer({
      state: { params, optimiser: optimiser.init(params) },
      step: (state, _batch: Record<string, never>) => {
        const constant = { bias: asTensor(gradients.bias), weight: asTensor(gradients.weight) };
        const next = optimiser.update(state.params, constant, state.optimiser);
        return {
          state: { params: next.params, optimiser: next.state },
          metrics: { loss: sum(next.params.bias) },
        };
      },
    });
    await trainer.step({});
    const found = trainer.state().params;
    await trainer.close();
    // Computed in float64 with numpy.
    const expected = { bias: [0.9969699, -1.99810619], weight: [3.00026689, 0.99386142, 3.99546279] };
    for (const name of ["bias", "weight"] as const)
      toNumbers(found[name]).forEach((x, i) => expect(x).toBeCloseTo(expected[name][i] as number, 5));
  });

  it("moves by the same share of a weight's length, however large the gradient", async () => {
    const moved = async (scale: number): Promise<number> => {
      const w = tensor([3, 4]);
      const { param } = larcSgdStep(w, tensor([scale, 0]), mul(w, 0), 1);
      return 3 - (toNumbers(await param.data())[0] as number);
    };
    // The squares of the last are beyond float32; the ε of 1e-8 is not felt by any of them.
    for (const scale of [0.1, 1e3, 1e25]) expect(await moved(scale)).toBeCloseTo(0.005, 5);
  });
});

describe("the learning rate", () => {
  const base = {
    stepsPerEpoch: 3,
    warmupEpochs: 0,
    epochs: 2,
    startWarmup: 0.3,
    baseLr: 0.6,
    finalLr: 0.0006,
  };

  it("starts at the base without warm-up, and is a table inside the graph", async () => {
    const table = lrSchedule(base);
    expect(table).toHaveLength(6);
    expect(table[0]).toBe(0.6);
    const rate = compile((step: Tensor) => tableSchedule(table)(step));
    for (const [step, expected] of [
      [0, table[0]],
      [4, table[4]],
      [6, table[5]],
      [900, table[5]],
    ] as const)
      expect(Number((await rate(ndarray([step], { shape: [] }))).data[0])).toBeCloseTo(expected as number, 6);
    await rate.close();
  });

  it("takes a warm-up of one iteration, and refuses what is no schedule", () => {
    expect(lrSchedule({ ...base, stepsPerEpoch: 1, warmupEpochs: 1 })[0]).toBe(0.3);
    expect([...lrSchedule({ ...base, epochs: 1, warmupEpochs: 1 })]).toEqual([
      0.3,
      expect.closeTo(0.45, 12),
      0.6,
    ]);
    expect(() => lrSchedule({ ...base, warmupEpochs: 3 })).toThrow(
      /warmupEpochs must be from 0 to 2 and a whole number of iterations, got 3 of 3 iterations/,
    );
    expect(() => lrSchedule({ ...base, stepsPerEpoch: 0 })).toThrow(/integers >= 1, got 0/);
    expect(() => lrSchedule({ ...base, baseLr: Number.NaN })).toThrow(
      /baseLr must be a number >= 0, got NaN/,
    );
    expect(() => lrSchedule({ ...base, epochs: 1e9 })).toThrow(/more than/);
  });
});
