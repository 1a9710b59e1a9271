import { describe, expect, test } from "vitest";
import type { NDArray, Tensor, Traced } from "../src/index.ts";
import {
  adamw,
  add,
  compile,
  concat,
  createTrainer,
  foldIn,
  matmul,
  mean,
  minimise,
  mul,
  narrow,
  ndarray,
  normalArray,
  randomKey,
  square,
  sub,
  sum,
  tanh,
  toNumbers,
  treeEntries,
  uniformArray,
  valueAndGrad,
  zerosArray,
} from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";
import type { TrackedRuntime } from "./support/tracked-runtime.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

/** A damped oscillation: both parts of the new state depend on both parts of the old one. */
interface Oscillator {
  readonly position: NDArray;
  readonly velocity: NDArray;
}

function oscillate(
  state: Traced<Oscillator>,
  { force, time }: { readonly force: Tensor; readonly time: Tensor },
) {
  const velocity = add(mul(state.velocity, 0.98), mul(sub(force, state.position), time));
  const position = add(state.position, mul(velocity, time));
  return {
    state: { position, velocity },
    metrics: {
      moved: sum(square(sub(position, state.position))),
      energy: add(sum(square(state.velocity)), sum(square(position))),
    },
  };
}

const start: Oscillator = { position: ndarray([1, -2, 0.5]), velocity: ndarray([0, 0.3, -1]) };
const batchAt = (i: number) => ({
  force: uniformArray(foldIn(randomKey(1), i), [3], -1, 1),
  time: 0.05 + i / 1000,
});

function oscillator(runtime?: TrackedRuntime) {
  return createTrainer({ state: start, step: oscillate, ...(runtime && { options: { runtime } }) });
}

function allNumbers(tree: unknown): number[] {
  return treeEntries(tree).flatMap(([, leaf]) => toNumbers(leaf as NDArray));
}

describe("a trainer carries its state from step to step", () => {
  test("fifty steps equal fifty separate computations, metrics of old and new state too", async () => {
    const trainer = oscillator();
    const once = compile((state: Traced<Oscillator>, batch: Traced<ReturnType<typeof batchAt>>) =>
      oscillate(state, batch),
    );
    let separate: Oscillator = start;
    for (let i = 0; i < 50; i++) {
      const metrics = await trainer.step(batchAt(i));
      const { state, metrics: expected } = await once(separate, batchAt(i));
      separate = state;
      expect(metrics).toEqual({ moved: toNumbers(expected.moved)[0], energy: toNumbers(expected.energy)[0] });
      expect(trainer.state()).toEqual(separate);
    }
    await trainer.close();
  });

  test("two sets of arrays take turns: nothing is allocated for the state", async () => {
    const runtime = trackedRuntime();
    const trainer = oscillator(runtime);
    for (let i = 0; i < 12; i++) await trainer.step(batchAt(i));
    expect(runtime.sessions).toHaveLength(1);
    const buffers = runtime.runs.map(([feeds, fetches]) => [
      feeds["state/position"]!.data,
      fetches["out/state/position"]!.data,
    ]);
    buffers.forEach(([read, written], i) => {
      expect(read).not.toBe(written);
      expect(read).toBe(i === 0 ? read : buffers[i - 1]![1]);
    });
    expect(new Set(buffers.flat()).size).toBe(2);
    await trainer.close();
  });

  test("neither the initial arrays nor copies of the state share memory with it", async () => {
    const initial = { w: ndarray([1, 2]) };
    const trainer = createTrainer({
      state: initial,
      step: ({ w }, _batch: Record<string, never>) => ({ state: { w: mul(w, 2) }, metrics: {} }),
    });
    initial.w.data[0] = 100;
    await trainer.step({});
    const copy = trainer.state();
    expect(toNumbers(copy.w)).toEqual([2, 4]);
    copy.w.data.fill(-1);
    await trainer.step({});
    expect(toNumbers(trainer.state().w)).toEqual([4, 8]);
    expect(toNumbers(copy.w)).toEqual([-1, -1]);
    const restored = { w: ndarray([3, 5]) };
    trainer.restore(restored);
    restored.w.data.fill(0);
    await trainer.step({});
    expect(toNumbers(trainer.state().w)).toEqual([6, 10]);
    await trainer.close();
  });

  test("one state serves batches of several shapes, each compiled once", async () => {
    const runtime = trackedRuntime();
    let traced = 0;
    const trainer = createTrainer({
      state: { total: ndarray(0), seen: ndarray(0, { dtype: "int32" }) },
      step: ({ total, seen }, { x }: { readonly x: Tensor }) => {
        traced++;
        return {
          state: { total: add(total, sum(x)), seen: add(seen, x.shape[0]!) },
          metrics: { before: total },
        };
      },
      options: { runtime },
    });
    const reported: number[] = [];
    for (const x of [[1, 2], [3, 4], [5], [6, 7], [8]])
      reported.push((await trainer.step({ x: ndarray(x) })).before);
    expect(reported).toEqual([0, 3, 10, 15, 28]);
    expect(allNumbers(trainer.state())).toEqual([36, 8]);
    expect([traced, runtime.sessions.length]).toEqual([2, 2]);
    await trainer.close();
  });

  test("numbers and constants of the state come back as arrays", async () => {
    const trainer = createTrainer({
      state: { scale: 2, frozen: ndarray([1]) },
      step: ({ scale, frozen }, _batch: Record<string, never>) => ({
        state: { scale: mul(scale, 2), frozen },
        metrics: { scale },
      }),
    });
    expect(await trainer.step({})).toEqual({ scale: 2 });
    expect(trainer.state()).toEqual({ scale: ndarray(4), frozen: ndarray([1]) });
    await trainer.close();
  });

  test("nodeCount is known after the first step", async () => {
    const trainer = oscillator();
    expect(trainer.nodeCount).toBe(0);
    await trainer.step(batchAt(0));
    expect(trainer.nodeCount).toBeGreaterThan(5);
    await trainer.close();
  });
});

describe("a queue in the state", () => {
  test("moves on by one batch a step, oldest rows leave", async () => {
    const trainer = createTrainer({
      state: { queue: zerosArray([4, 2]) },
      step: ({ queue }, { rows }: { readonly rows: Tensor }) => ({
        state: { queue: concat([narrow(queue, 0, 2, 2), rows]) },
        metrics: { oldest: sum(narrow(queue, 0, 0, 1)) },
      }),
    });
    const reported: number[] = [];
    for (let i = 0; i < 4; i++)
      reported.push(
        (
          await trainer.step({
            rows: ndarray([
              [i, 1],
              [i, 2],
            ]),
          })
        ).oldest,
      );
    expect(reported).toEqual([0, 0, 1, 2]);
    expect(toNumbers(trainer.state().queue)).toEqual([2, 1, 2, 2, 3, 1, 3, 2]);
    await trainer.close();
  });
});

describe("a whole training step in one graph", () => {
  test("equals the same step computed part by part", async () => {
    const [x, y] = [normalArray(randomKey(1), [8, 3]), normalArray(randomKey(2), [8, 2])];
    const params = { w: normalArray(randomKey(3), [3, 2]), b: zerosArray([2]) };
    const optimiser = adamw({ learningRate: 0.05 });
    const lossOf = (p: Traced<typeof params>, inputs: Tensor, targets: Tensor): Tensor =>
      mean(square(sub(tanh(add(matmul(inputs, p.w), p.b)), targets)));
    const trainer = minimise({
      params,
      optimiser,
      loss: (p, batch: { readonly x: Tensor; readonly y: Tensor }) => lossOf(p, batch.x, batch.y),
    });
    const gradientsOf = compile((p: Traced<typeof params>, a: Tensor, b: Tensor) =>
      valueAndGrad(lossOf)(p, a, b),
    );
    const updated = compile(
      (
        p: Traced<typeof params>,
        g: Traced<typeof params>,
        s: Traced<ReturnType<typeof optimiser.init<typeof params>>>,
      ) => optimiser.update(p, g, s),
    );
    let current = { params, state: optimiser.init(params) };
    for (let i = 0; i < 5; i++) {
      const { value, gradients } = await gradientsOf(current.params, x, y);
      const next = await updated(current.params, gradients, current.state);
      current = next as unknown as typeof current;
      const { loss } = await trainer.step({ x, y });
      expectClose("loss", [loss], toNumbers(value), 1e-6);
      expectClose("parameters", allNumbers(trainer.state().params), allNumbers(current.params), 1e-6);
    }
    await trainer.close();
  });
});
