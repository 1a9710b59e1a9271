import { describe, expect, test } from "vitest";
import type { Runtime, Tensor } from "../src/index.ts";
import {
  add,
  compile,
  createTrainer,
  div,
  EngineError,
  evaluate,
  exp,
  gather,
  gradients,
  log,
  matmul,
  mean,
  mul,
  NonFiniteError,
  ndarray,
  reshape,
  ShapeError,
  softmax,
  sqrt,
  sub,
  sum,
  tensor,
  toNumbers,
  trackOrigins,
  where,
  zeros,
  zerosArray,
} from "../src/index.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

async function failure(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (reason: Error) => reason,
  );
  if (!error) throw new Error("expected a failure");
  return error;
}

/** "failures.test.ts:LINE" of the line after the one that calls this. */
function nextLine(): string {
  const line = /failures\.test\.ts:(\d+)/.exec(String(new Error().stack).split("\n")[2] ?? "")?.[1];
  return `failures.test.ts:${Number(line) + 1}:`;
}

describe("errors of the runtime name the operation in the caller's code", () => {
  test("a kernel that fails", async () => {
    let place = "";
    const pick = compile(
      (table: Tensor, index: Tensor) => {
        const doubled = mul(table, 2);
        place = nextLine();
        return sum(gather(doubled, index));
      },
      { name: "my function" },
    );
    const error = await failure(pick(ndarray([1, 2]), ndarray([5], { dtype: "int32" })));
    expect(error).toBeInstanceOf(EngineError);
    const { operation, shapes, origin, message, cause } = error as EngineError;
    expect(operation).toBe("gather");
    expect(shapes).toEqual([[2], [1]]);
    expect(origin).toContain(place);
    expect(message).toContain("my function could not be run: 'gather' (result float32 [1]), applied at ");
    expect(message).toContain("operands [2], [1]: indices element out of data bounds, idx=5");
    expect(cause).toBeInstanceOf(Error);
    await pick.close();
  });

  test("an operation that is made of others, and one in a gradient", async () => {
    let place = "";
    const slope = compile((x: Tensor, index: Tensor) => {
      place = nextLine();
      const picked = gather(x, reshape(index, [1]));
      return gradients(sum(mul(picked, picked)), [x]);
    });
    const error = (await failure(slope(ndarray([1, 2]), ndarray(9, { dtype: "int32" })))) as EngineError;
    expect(error.origin).toContain(place);
    await slope.close();
  });

  test("memory that does not suffice: what was asked for and the largest values", async () => {
    let place = "";
    const outer = compile(
      (x: Tensor) => {
        const column = reshape(x, [-1, 1]);
        place = nextLine();
        return sum(exp(mul(column, reshape(x, [1, -1]))));
      },
      { name: "all pairs" },
    );
    // 2^22 squared floats are 64 TiB, which no machine grants.
    const error = (await failure(outer(zerosArray([2 ** 22])))) as EngineError;
    expect(error).toBeInstanceOf(EngineError);
    expect(error.hint).toContain("67,108,864 MiB of 'mul'");
    expect(error.hint).toContain("createCachedTrainer");
    expect(error.message).toContain(place);
    await outer.close();
  });

  test("a graph that a runtime does not take", async () => {
    const broken: Runtime = {
      ...trackedRuntime(),
      load: () =>
        Promise.reject(new Error("Could not find an implementation for Exp(13) node with name 'Exp_0@1'")),
    };
    const f = compile((x: Tensor) => exp(x), { runtime: broken, name: "mine" });
    const error = (await failure(f(ndarray([1])))) as EngineError;
    expect(error.message).toContain("mine could not be compiled: 'exp'");
    expect(error.operation).toBe("exp");
  });

  test("shapes that do not fit: where the operands were made", () => {
    const place = nextLine();
    const hidden = mul(zeros([2, 3]), 2);
    const error = (() => {
      try {
        return matmul(hidden, zeros([4, 5]));
      } catch (reason) {
        return reason as Error;
      }
    })();
    expect(error).toBeInstanceOf(ShapeError);
    expect((error as Error).message).toContain("'mul' (result float32 [2, 3]), applied at ");
    expect((error as Error).message).toContain(place);
  });
});

test("places are not remembered when that is switched off", async () => {
  const failing = (): Promise<Error> => {
    const broken = gather(tensor([1, 2]), tensor([7], { dtype: "int32" }));
    return failure(evaluate({ broken }));
  };
  trackOrigins(false);
  const silent = (await failing()) as EngineError;
  trackOrigins(true);
  expect(silent.message).toContain("'gather' (result float32 [1]), operands [2], [1]");
  expect(silent.origin).toBeUndefined();
  expect(((await failing()) as EngineError).origin).toContain("failures.test.ts");
});

describe("the guard against NaN and infinity", () => {
  type Batch = { readonly x: Tensor };
  const state = { w: ndarray([4, 9]), steps: ndarray(0, { dtype: "int32" }) };
  let place = "";
  const trainerOf = (guard?: "loss" | "all" | false) =>
    createTrainer({
      state,
      step: ({ w, steps }, { x }: Batch) => {
        const masked = where(tensor([0, 1], { dtype: "bool" }), w, Number.NEGATIVE_INFINITY);
        const attention = softmax(masked);
        place = nextLine();
        const roots = sqrt(sub(x, 1));
        const loss = mean(mul(roots, attention));
        return { state: { w: add(w, roots), steps: add(steps, 1) }, metrics: { loss, fine: sum(x) } };
      },
      options: { name: "my step", ...(guard !== undefined && { guard }) },
    });

  test("names the step, the metric and the first bad tensor, not infinities that a softmax takes away", async () => {
    const trainer = trainerOf();
    await trainer.step({ x: ndarray([2, 5]) });
    const before = trainer.state();
    const error = (await failure(trainer.step({ x: ndarray([5, 0.5]) }))) as NonFiniteError;
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error.step).toBe(2);
    expect(error.results).toEqual(["metrics/loss"]);
    expect(error.first).toMatchObject({ operation: "sqrt", dtype: "float32", shape: [2], entries: 1 });
    expect(error.first?.origin).toContain(place);
    expect(error.message).toContain(
      "my step: NaN or infinity in step 2, in 'metrics/loss'. The first is 'sqrt'",
    );
    expect(error.message).toContain("1 of 2 entries");
    expect(trainer.state()).toEqual(before);
    expect(await trainer.step({ x: ndarray([2, 5]) })).toMatchObject({ fine: 7 });
    await trainer.close();
  });

  test("names the input if that was bad already", async () => {
    const trainer = trainerOf();
    const error = (await failure(trainer.step({ x: ndarray([5, Number.NaN]) }))) as NonFiniteError;
    expect(error.results).toEqual(["metrics/loss", "metrics/fine"]);
    expect(error.first).toMatchObject({ operation: "input", name: "batch/x", entries: 1 });
    await trainer.close();
  });

  const silent = (guard: "loss" | "all" | false) =>
    createTrainer({
      state: { w: ndarray([1, 2]), v: ndarray([0.5]) },
      step: ({ w, v }, { x }: Batch) => ({
        state: { w: div(w, x), v: log(v) },
        metrics: { loss: sum(x) },
      }),
      options: { guard },
    });

  test("looks at the new state only when told to, and at nothing when switched off", async () => {
    const zero = { x: ndarray([0, 1]) };
    const relaxed = silent("loss");
    await relaxed.step(zero);
    expect(toNumbers(relaxed.state().w)).toEqual([Number.POSITIVE_INFINITY, 2]);
    const strict = silent("all");
    const error = (await failure(strict.step(zero))) as NonFiniteError;
    expect(error.results).toEqual(["state/w"]);
    expect(error.first).toMatchObject({ operation: "div", name: "state/w" });
    expect(strict.state()).toEqual({ w: ndarray([1, 2]), v: ndarray([0.5]) });
    await strict.step({ x: ndarray([1, 1]) });
    // ln ln 0.5 does not exist.
    await expect(strict.step({ x: ndarray([1, 1]) })).rejects.toThrow("'state/v'");
    const off = silent(false);
    await off.step({ x: ndarray([Number.NaN, 1]) });
    expect(toNumbers(off.state().w)).toEqual([Number.NaN, 2]);
    for (const trainer of [relaxed, strict, off]) await trainer.close();
  });

  test("does not take large finite numbers for infinite", async () => {
    const trainer = createTrainer({
      state: { w: ndarray([3e38, 3e38]) },
      step: ({ w }, _batch: Record<string, never>) => ({ state: { w }, metrics: {} }),
      options: { guard: "all" },
    });
    await trainer.step({});
    expect(toNumbers(trainer.state().w)).toEqual([Math.fround(3e38), Math.fround(3e38)]);
    await trainer.close();
  });
});

test("evaluate names the operation too", async () => {
  const table = tensor([1, 2]);
  const place = nextLine();
  const wrong = gather(table, tensor([3], { dtype: "int32" }));
  const error = (await failure(evaluate({ wrong }))) as EngineError;
  expect(error.origin).toContain(place);
});
