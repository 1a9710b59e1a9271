import { describe, expect, test } from "vitest";
import type { NDArray, Tensor, Traced } from "../src/index.ts";
import {
  add,
  cast,
  createTrainer,
  gather,
  ndarray,
  reshape,
  ShapeError,
  sum,
  toNumbers,
} from "../src/index.ts";

describe("mistakes in a step are named", () => {
  const state = { w: ndarray([1, 2]), n: ndarray(0, { dtype: "int32" }) };
  const trainerOf = (
    change: (old: Traced<typeof state>) => Record<string, Tensor>,
    metrics: Record<string, Tensor> = {},
  ) =>
    createTrainer({
      state,
      step: (old, _batch: Record<string, never>) => ({
        state: { ...old, ...change(old) },
        metrics,
      }),
      options: { name: "my step" },
    });

  test.each([
    [
      "another shape",
      ({ w }: Traced<typeof state>) => ({ w: sum(w) }),
      "my step: the new state has float32 [] at 'w', the old one float32 [2]",
    ],
    [
      "another dtype",
      ({ n }: Traced<typeof state>) => ({ n: cast(n, "float32") }),
      "my step: the new state has float32 [] at 'n', the old one int32 []",
    ],
    [
      "a leaf more",
      ({ w }: Traced<typeof state>) => ({ extra: w }),
      "my step: the new state has float32 [2] at 'extra', the old one nothing",
    ],
    [
      "a leaf less",
      () => ({ w: undefined as unknown as Tensor }),
      "my step: the new state has nothing at 'w', the old one float32 [2]",
    ],
  ])("a new state with %s", async (_what, change, message) => {
    const trainer = trainerOf(change as (old: Traced<typeof state>) => Record<string, Tensor>);
    await expect(trainer.step({})).rejects.toThrow(message);
    await expect(trainer.step({})).rejects.toThrow(ShapeError);
    expect(trainer.state()).toEqual(state);
    await trainer.close();
  });

  test("a metric that is no scalar", async () => {
    const trainer = createTrainer({
      state,
      step: (old, _batch: Record<string, never>) => ({ state: old, metrics: { w: old.w } }),
      options: { name: "my step" },
    });
    await expect(trainer.step({})).rejects.toThrow("my step: metric 'w' must be a scalar, got [2]");
    await trainer.close();
  });

  test("a batch that holds no array", async () => {
    const trainer = createTrainer({
      state,
      step: (old, { x }: { readonly x: Tensor }) => ({ state: old, metrics: { x: sum(x) } }),
    });
    const nothing = null as unknown as NDArray;
    await expect(trainer.step({ x: nothing })).rejects.toThrow(
      "training step: the batch: 'x' must be an array or a number, got object",
    );
    await trainer.close();
  });

  test("a restored state of another structure leaves the state as it was", async () => {
    const trainer = trainerOf(() => ({}));
    const restore = (given: unknown) => () => trainer.restore(given as typeof state);
    expect(restore({ w: ndarray([1, 2]) })).toThrow(
      "my step: the restored state has nothing at 'n', the old one int32 []",
    );
    expect(restore({ ...state, w: ndarray([1, 2, 3]) })).toThrow(
      "has float32 [3] at 'w', the old one float32 [2]",
    );
    expect(restore({ ...state, w: ndarray([1, 2], { dtype: "float64" }) })).toThrow("has float64 [2] at 'w'");
    expect(restore({ ...state, more: ndarray([1]) })).toThrow(
      "has float32 [1] at 'more', the old one nothing",
    );
    expect(restore({ ...state, w: "?" })).toThrow("'w' must be an array or a number, got string");
    expect(trainer.state()).toEqual(state);
    await trainer.step({});
    await trainer.close();
  });

  test("a second step before the first has ended", async () => {
    const trainer = createTrainer({
      state: { total: ndarray(0) },
      step: ({ total }, { x }: { readonly x: Tensor }) => ({ state: { total: add(total, x) }, metrics: {} }),
    });
    const first = trainer.step({ x: 1 });
    await expect(trainer.step({ x: 2 })).rejects.toThrow(
      "training step: the step before is still running; await it first",
    );
    await first;
    await trainer.step({ x: 4 });
    expect(toNumbers(trainer.state().total)).toEqual([5]);
    await trainer.close();
  });

  test("a step that fails while it runs leaves the state as it was", async () => {
    const trainer = createTrainer({
      state: {
        table: ndarray([
          [1, 2],
          [3, 4],
        ]),
      },
      step: ({ table }, { index }: { readonly index: Tensor }) => ({
        state: { table: add(table, 1) },
        metrics: { picked: sum(gather(table, reshape(index, [1]))) },
      }),
    });
    const index = (i: number): NDArray => ndarray(i, { dtype: "int32" });
    expect(await trainer.step({ index: index(1) })).toEqual({ picked: 7 });
    await expect(trainer.step({ index: index(5) })).rejects.toThrow();
    expect(await trainer.step({ index: index(0) })).toEqual({ picked: 5 });
    expect(toNumbers(trainer.state().table)).toEqual([3, 4, 5, 6]);
    await trainer.close();
  });
});
