import { compile, createTrainer, type NDArray, sum, type Tensor, tensor } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cosineRamp,
  emptyQueue,
  enqueue,
  linearRamp,
  type QueueState,
  readQueue,
  sigmoidRamp,
  updateBank,
  updateTeacher,
} from "../../src/index.ts";
import { expectClose, gradientOf, integers, run, wide } from "./support.ts";

const rowsOf = (values: readonly number[]): NDArray<"float32"> => ({
  dtype: "float32",
  shape: [values.length, 1],
  data: Float32Array.from(values),
});

describe("memory queue", () => {
  it("equals a plain list over random operations", async () => {
    const push = compile((state: QueueState, items: Tensor) => enqueue(state, items));
    const read = compile((state: QueueState) => ({
      stored: readQueue(state),
      newest: readQueue(state, { order: "newest" }),
    }));
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), sizes, async (length, batches) => {
        let state = emptyQueue(length, [1]);
        let model: number[] = [];
        let count = 0;
        for (const size of batches) {
          const news = Array.from({ length: size }, () => ++count);
          state = (await push(state as never, rowsOf(news))) as QueueState<NDArray>;
          model = [...model, ...news].slice(-length);
          const { stored, newest } = await read(state as never);
          const held = (part: { items: NDArray; valid: NDArray }): number[] =>
            Array.from(part.items.data, Number).filter((_, i) => part.valid.data[i]);
          expect(held(newest)).toEqual(model.toReversed());
          expect(held(stored).sort((a, b) => a - b)).toEqual(model);
        }
      }),
      { seed: 11, numRuns: 25 },
    );
  });

  it("is state of a trainer and keeps no gradient", async () => {
    const trainer = createTrainer({
      state: { features: emptyQueue(3, [2]), ids: emptyQueue(3, [], "int32") },
      step: (state: { features: QueueState; ids: QueueState }, batch: { x: Tensor; id: Tensor }) => ({
        state: { features: enqueue(state.features, batch.x), ids: enqueue(state.ids, batch.id) },
        metrics: { sum: sum(readQueue(state.features).items) },
      }),
    });
    const x = (v: number): NDArray => ({
      dtype: "float32",
      shape: [2, 2],
      data: new Float32Array(4).fill(v),
    });
    for (const v of [1, 2]) await trainer.step({ x: x(v), id: integers([v, v]) });
    const { sum: total } = await trainer.step({ x: x(3), id: integers([3, 3]) });
    expect(total).toBe(1 * 2 + 2 * 4);
    expect(Array.from(trainer.state().ids.items.data, Number)).toEqual([2, 3, 3]);
    await trainer.close();
    const stored = (news: Tensor) => sum(enqueue(traced(), news).items);
    expectClose(await gradientOf(stored, rowsOf([1, 2])), [0, 0], 0);
  });

  it("names items that do not fit, and sizes that are none", () => {
    expect(() => enqueue(traced(), tensor([[1, 2]]))).toThrow(
      /shape \[2\] do not fit a queue of shape \[3, 1\]/,
    );
    expect(() => emptyQueue(0, [4])).toThrow(/\[0, 4\]/);
    expect(() => emptyQueue(4, [-1])).toThrow(/integers >= 1/);
  });
});

function traced(): QueueState {
  const zero = (): Tensor => tensor(0, { dtype: "int32" });
  return { items: tensor([[0], [0], [0]]), next: zero(), filled: zero() };
}

describe("updateBank", () => {
  it("moves the rows of the batch and no others", async () => {
    const bank = wide([[1, 1], [2, 2], [3, 3]]); // biome-ignore format: a matrix
    const update = (b: Tensor, i: Tensor, x: Tensor) => updateBank(b, i, x, { momentum: 0.1 });
    const news = wide([[11, 1], [0, 0]]); // biome-ignore format: a matrix
    expectClose(await run(update, bank, integers([2, 0]), news), [0.1, 0.1, 2, 2, 10.2, 1.2], 1e-12);
    const replaced = (b: Tensor, i: Tensor, x: Tensor) => updateBank(b, i, x);
    expectClose(await run(replaced, bank, integers([2, 0]), news), [0, 0, 2, 2, 11, 1], 0);
  });

  it("refuses a momentum of 1 and rows of another width", () => {
    const [bank, at] = [tensor([[1, 2]]), tensor([0], { dtype: "int32" })];
    expect(() => updateBank(bank, at, bank, { momentum: 1 })).toThrow(/\[0, 1\)/);
    expect(() => updateBank(bank, at, tensor([[1]]), { momentum: 0.5 })).toThrow(/shape \[1, 1\]/);
  });
});

describe("updateTeacher", () => {
  it("follows the student, takes counters over, and rests where both agree", async () => {
    const update = (t: Tensor, s: Tensor, count: Tensor, m: Tensor) =>
      updateTeacher({ a: [t], count }, { a: [s], count }, m) as unknown as { a: Tensor[]; count: Tensor };
    const count = integers([7]);
    const args = [
      wide([1, 2]),
      wide([3, 2]),
      count,
      { dtype: "float64", shape: [], data: Float64Array.of(0.75) },
    ];
    const moved = (await run(update, ...(args as NDArray[]))) as unknown as { a: NDArray[]; count: NDArray };
    expectClose(moved.a[0] as NDArray, [1.5, 2], 1e-12);
    expect(Array.from(moved.count.data, Number)).toEqual([7]);
    const loss = (s: Tensor, t: Tensor) => sum(updateTeacher(t, s, 0.5) as Tensor);
    expectClose(await gradientOf(loss, wide([1]), wide([2])), [0], 0);
    expect(() => updateTeacher(tensor([1]), tensor([1]), 1.5)).toThrow(/\[0, 1\], got 1.5/);
  });
});

describe("ramps", () => {
  const at = async (schedule: (step: Tensor) => Tensor, steps: readonly number[]): Promise<number[]> => {
    const value = compile((step: Tensor) => schedule(step));
    return Promise.all(steps.map(async (step) => Number((await value(step)).data[0])));
  };

  it("go from their first to their last value and stay there", async () => {
    const options = { from: 2, to: 6, steps: 8, delay: 2 };
    expectClose(await at(linearRamp(options), [0, 2, 4, 10, 99]), [2, 2, 3, 6, 6], 1e-6);
    expectClose(await at(cosineRamp(options), [0, 2, 4, 6, 10, 99]), [2, 2, 2 + 4 * (1 - Math.SQRT1_2) / 2, 4, 6, 6], 1e-6); // biome-ignore format: one line
    const full = 2 / (1 + Math.exp(-10)) - 1;
    expectClose(await at(sigmoidRamp(options), [0, 6, 99]), [2, 2 + 4 * (2 / (1 + Math.exp(-5)) - 1), 2 + 4 * full], 1e-6); // biome-ignore format: one line
  });

  it("refuse steps that are not positive", () => {
    expect(() => linearRamp({ from: 0, to: 1, steps: 0 })).toThrow(/steps > 0/);
    expect(() => sigmoidRamp({ from: 0, to: Number.NaN, steps: 1 })).toThrow(/finite/);
    expect(() => sigmoidRamp({ from: 0, to: 1, steps: 1, gamma: 0 })).toThrow(/gamma/);
  });
});
