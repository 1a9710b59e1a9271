import { describe, expect, test } from "vitest";
import type { NDArray, Tensor, Traced } from "../src/index.ts";
import {
  adamw,
  add,
  createAccumulatedTrainer,
  matmul,
  mean,
  minimise,
  mul,
  ndarray,
  normalArray,
  randomKey,
  sgd,
  square,
  sub,
  sum,
  tanh,
  toNumbers,
  treeEntries,
  zerosArray,
} from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();

const params = {
  layers: [{ "w/1": normalArray(randomKey(3), [3, 2]) }],
  bias: zerosArray([2]),
  unused: ndarray([7]),
};
type Batch = { readonly x: Tensor; readonly y: Tensor };
const loss = (p: Traced<typeof params>, { x, y }: Batch): Tensor =>
  mean(square(sub(tanh(add(matmul(x, p.layers[0]!["w/1"]), p.bias)), y)));
const data = (seed: number, rows: number): { readonly x: NDArray; readonly y: NDArray } => ({
  x: normalArray(randomKey(seed), [rows, 3]),
  y: normalArray(randomKey(seed + 100), [rows, 2]),
});
const part = ({ x, y }: ReturnType<typeof data>, start: number, end: number): ReturnType<typeof data> => ({
  x: ndarray(x.data.slice(start * 3, end * 3) as Float32Array, { shape: [end - start, 3] }),
  y: ndarray(y.data.slice(start * 2, end * 2) as Float32Array, { shape: [end - start, 2] }),
});
const numbers = (tree: unknown): number[] =>
  treeEntries(tree).flatMap(([, leaf]) => toNumbers(leaf as NDArray));
const optimiser = adamw({ learningRate: 0.05 });

describe("gradients of several micro-batches", () => {
  test.each([
    ["equal ones", [4, 4, 4]],
    ["unequal ones", [5, 1, 6]],
    ["a single one", [12]],
  ])("%s make the step of the whole batch", async (_name, sizes) => {
    const whole = minimise({ params, optimiser, loss, options: { runtime } });
    const parted = createAccumulatedTrainer({ params, optimiser, loss, options: { runtime } });
    for (let step = 0; step < 4; step++) {
      const batch = data(step, 12);
      const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, n) => sum + n, 0));
      const microBatches = sizes.map((size, i) =>
        part(batch, starts[i] as number, (starts[i] as number) + size),
      );
      const expected = await whole.step(batch);
      const found = await parted.step(microBatches);
      expectClose("loss", [found.loss], [expected.loss], 1e-6);
      // Adam divides by the root of the second moment, which in the first steps turns rounding into at most 1e-5.
      expectClose("state", numbers(parted.state()), numbers(whole.state()), 1e-5);
    }
    expect(parted.state().params.unused.data[0]).not.toBe(7); // decayed, though without gradient
    await parted.close();
    await whole.close();
  });

  test("minimise parts the rows of a batch by itself, the last part being smaller", async () => {
    const tracked = trackedRuntime();
    const whole = minimise({ params, optimiser: sgd({ learningRate: 1 }), loss, options: { runtime } });
    const parted = minimise({
      params,
      optimiser: sgd({ learningRate: 1 }),
      loss,
      accumulate: 3,
      options: { runtime: tracked },
    });
    const batch = data(9, 11);
    const [expected, found] = [await whole.step(batch), await parted.step(batch)];
    expectClose("loss", [found.loss], [expected.loss], 1e-6);
    expectClose("params", numbers(parted.state().params), numbers(whole.state().params), 1e-6);
    const rows = tracked.runs.flatMap(([feeds]) => feeds["batch/x"]?.shape[0] ?? []);
    expect(rows).toEqual([4, 4, 3]);
    expect(parted.nodeCount).toBeGreaterThan(0);
    for (const trainer of [whole, parted]) await trainer.close();
  });

  test("weights say what the loss is a mean over", async () => {
    const tokens = (p: { readonly w: Tensor }, { x, mask }: { readonly x: Tensor; readonly mask: Tensor }) =>
      mul(sum(mul(mul(x, p.w), mask)), 1);
    const meanOverTokens = (p: { readonly w: Tensor }, b: { readonly x: Tensor; readonly mask: Tensor }) =>
      mul(tokens(p, b), mul(1, 1 / 4));
    const trainer = createAccumulatedTrainer({
      params: { w: ndarray(1) },
      optimiser: sgd({ learningRate: 1 }),
      loss: meanOverTokens,
      options: { runtime },
    });
    const one = { x: ndarray([[1, 2, 3, 4]]), mask: ndarray([[1, 1, 1, 1]]) };
    const other = { x: ndarray([[10, 20, 30, 40]]), mask: ndarray([[1, 1, 0, 0]]) };
    const { loss: total } = await trainer.step([one, other], { weights: [6, 2] });
    expect(total).toBeCloseTo((6 * 2.5 + 2 * 7.5) / 8, 6);
    expect(Number(trainer.state().params.w.data[0])).toBeCloseTo(1 - 3.75, 6);
    await trainer.close();
  });

  test("resumes from a saved state to the same numbers", async () => {
    const make = () => createAccumulatedTrainer({ params, optimiser, loss, options: { runtime } });
    const [straight, first, second] = [make(), make(), make()];
    const microBatches = (step: number) => [data(step, 4), data(step + 50, 2)];
    for (let step = 0; step < 4; step++) await straight.step(microBatches(step));
    for (let step = 0; step < 2; step++) await first.step(microBatches(step));
    second.restore(first.state());
    for (let step = 2; step < 4; step++) await second.step(microBatches(step));
    expect(second.state()).toEqual(straight.state());
    for (const trainer of [straight, first, second]) await trainer.close();
  });

  test("a step that fails or is aborted between micro-batches changes nothing", async () => {
    const trainer = createAccumulatedTrainer({
      params,
      optimiser,
      loss,
      options: { runtime, name: "my step" },
    });
    await trainer.step([data(1, 4)]);
    const before = trainer.state();
    const broken = data(2, 4);
    broken.x.data[5] = Number.NaN;
    await expect(trainer.step([data(1, 4), broken])).rejects.toThrow(
      "my step: NaN or infinity in step 2, in 'loss'. The first is input 'batch/x'",
    );
    const stop = new AbortController();
    const stopping = {
      get x() {
        stop.abort(new Error("enough"));
        return data(1, 4).x;
      },
      y: data(1, 4).y,
    };
    await expect(
      trainer.step([stopping, data(3, 4)], { signal: stop.signal, weights: [1, 1] }),
    ).rejects.toThrow("enough");
    expect(trainer.state()).toEqual(before);
    const fresh = createAccumulatedTrainer({ params, optimiser, loss, options: { runtime } });
    fresh.restore(before);
    expect(await trainer.step([data(4, 4)])).toEqual(await fresh.step([data(4, 4)]));
    expect(trainer.state()).toEqual(fresh.state());
    for (const each of [trainer, fresh]) await each.close();
  });

  test("refuses what cannot be parted or weighed", async () => {
    const trainer = createAccumulatedTrainer({ params, optimiser, loss, options: { runtime } });
    await expect(trainer.step([])).rejects.toThrow("needs at least one micro-batch");
    await expect(trainer.step([{ x: data(1, 4).x, y: data(1, 3).y }])).rejects.toThrow(
      "micro-batch 0: 'y' [3, 2] has 3 rows, 'x' has 4",
    );
    await expect(trainer.step([data(1, 4)], { weights: [0] })).rejects.toThrow("expected 1 weights >= 0");
    await expect(trainer.step([data(1, 4)], { weights: [1, 2] })).rejects.toThrow("expected 1 weights >= 0");
    expect(() => minimise({ params, optimiser, loss, accumulate: 1.5 })).toThrow(
      "accumulate: the number of micro-batches must be an integer >= 1, got 1.5",
    );
    await trainer.close();
  });
});
