import { describe, expect, test } from "vitest";
import type { Key, Tensor, Traced } from "../src/index.ts";
import {
  adamw,
  add,
  concat,
  constant,
  createCachedTrainer,
  dropout,
  exp,
  foldIn,
  keyTensor,
  l2Normalize,
  matmul,
  mean,
  minimise,
  mul,
  narrow,
  ndarray,
  neg,
  normalArray,
  pairLogSumExp,
  randomKey,
  sgd,
  square,
  sub,
  sum,
  tanh,
  toNumbers,
} from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();

const params = {
  shared: normalArray(randomKey(1), [6, 5], 0, 0.5),
  image: normalArray(randomKey(2), [4, 6], 0, 0.5),
  text: normalArray(randomKey(3), [3, 6], 0, 0.5),
  sound: normalArray(randomKey(4), [7, 5], 0, 0.5),
  logScale: ndarray(1.2),
  frozen: ndarray([1, 2]),
};
type P = Traced<typeof params>;
const towers = {
  image: (p: P, x: Tensor, key: Tensor) => matmul(dropout(key, tanh(matmul(x, p.image)), 0.3), p.shared),
  text: (p: P, { ids }: { readonly ids: Tensor }, key: Tensor) =>
    matmul(dropout(key, tanh(matmul(ids, p.text)), 0.5), p.shared),
  sound: (p: P, x: Tensor) => matmul(x, p.sound),
};
type Embeddings = Readonly<Record<keyof typeof towers, Tensor>>;
const contrast = (a: Tensor, b: Tensor, scale: Tensor): Tensor =>
  mean(pairLogSumExp(mul(l2Normalize(a), scale), l2Normalize(b), { blockRows: 4 }).rows);
const lossOf = ({ image, text, sound }: Embeddings, p: P, extra: { readonly weight: Tensor }) => {
  const scale = exp(p.logScale);
  const loss = add(
    mul(contrast(image, text, scale), extra.weight),
    add(contrast(text, sound, scale), mean(square(sub(image, sound)))),
  );
  return { loss, agreement: neg(sum(mul(image, text))) };
};
const batchOf = (seed: number, rows: number) => ({
  image: normalArray(randomKey(seed), [rows, 4]),
  text: { ids: normalArray(randomKey(seed + 1), [rows, 3]) },
  sound: normalArray(randomKey(seed + 2), [rows, 7]),
});
type Batch = {
  readonly image: Tensor;
  readonly text: { readonly ids: Tensor };
  readonly sound: Tensor;
};

/** The same in one graph: every tower chunk by chunk with the keys of step `step`, the loss over all. */
function wholeBatchLoss(p: P, batch: Batch, key: Key, step: number, chunkRows: number): Tensor {
  const encode = (
    tower: number,
    rows: number,
    of: (start: number, size: number, key: Tensor) => Tensor,
  ): Tensor => {
    const chunks: Tensor[] = [];
    for (let start = 0; start < rows; start += chunkRows) {
      const chunkKey = foldIn(foldIn(foldIn(key, step), tower), start / chunkRows);
      chunks.push(of(start, Math.min(chunkRows, rows - start), keyTensor(chunkKey)));
    }
    return concat(chunks);
  };
  const rows = batch.image.shape[0] as number;
  const embeddings = {
    image: encode(0, rows, (start, size, k) => towers.image(p, narrow(batch.image, 0, start, size), k)),
    text: encode(1, rows, (start, size, k) =>
      towers.text(p, { ids: narrow(batch.text.ids, 0, start, size) }, k),
    ),
    sound: encode(2, rows, (start, size) => towers.sound(p, narrow(batch.sound, 0, start, size))),
  };
  return lossOf(embeddings, p, { weight: constant(ndarray(extra.weight)) }).loss;
}

function cached(chunkRows: number, options: object = {}) {
  return createCachedTrainer({
    params,
    optimiser: sgd({ learningRate: 1 }),
    towers,
    loss: lossOf,
    chunkRows,
    key: randomKey(11),
    options: { runtime, ...options },
  });
}
const extra = { weight: 0.5 };

describe("createCachedTrainer", () => {
  test.each([
    ["chunks of one size", 12, 4],
    ["a smaller last chunk", 13, 5],
    ["single rows", 5, 1],
    ["one chunk", 6, 100],
  ])("%s: the gradient is that of the whole batch, dropout on", async (_name, rows, chunkRows) => {
    const trainer = cached(chunkRows);
    const batch = batchOf(40, rows);
    const whole = minimise({
      params,
      optimiser: sgd({ learningRate: 1 }),
      loss: (p: P, b: Batch) => wholeBatchLoss(p, b, randomKey(11), 0, chunkRows),
      options: { runtime },
    });
    const [found, expected] = [await trainer.step(batch, { extra }), await whole.step(batch)];
    expectClose("loss", [found.loss], [expected.loss], 1e-6);
    expect(Object.keys(found)).toEqual(["loss", "agreement"]);
    const slopes = (after: typeof params): Record<string, number[]> =>
      Object.fromEntries(
        Object.entries(params).map(([name, before]) => {
          const end = toNumbers(after[name as keyof typeof params]);
          return [name, toNumbers(before).map((x, i) => x - (end[i] as number))];
        }),
      );
    const [one, other] = [slopes(trainer.state().params), slopes(whole.state().params)];
    for (const name of Object.keys(params)) expectClose(name, one[name] ?? [], other[name] ?? [], 1e-5);
    expect(Math.abs(other.logScale?.[0] as number)).toBeGreaterThan(0.01);
    expect(one.frozen).toEqual([0, 0]);
    await trainer.close();
    await whole.close();
  });

  test("keys change from step to step, and a restored trainer goes on with them", async () => {
    const [straight, first, second] = [cached(4), cached(4), cached(4)];
    const batch = batchOf(1, 8);
    const losses: number[] = [];
    for (let i = 0; i < 4; i++) losses.push((await straight.step(batch, { extra })).loss);
    await first.step(batch, { extra });
    await first.step(batch, { extra });
    second.restore(first.state());
    const resumed = [await second.step(batch, { extra }), await second.step(batch, { extra })];
    expect(resumed.map(({ loss }) => loss)).toEqual(losses.slice(2));
    expect(second.state()).toEqual(straight.state());
    for (const trainer of [straight, first, second]) await trainer.close();
  });

  test("compiles two sizes of chunk for each tower, whatever the number of chunks", async () => {
    const tracked = trackedRuntime();
    const trainer = cached(3, { runtime: tracked });
    await trainer.step(batchOf(1, 14), { extra });
    // Three towers forward and back, chunks of 3 and 2, the loss, the update.
    expect(tracked.sessions).toHaveLength(3 * 2 * 2 + 2);
    await trainer.step(batchOf(2, 14), { extra });
    expect(tracked.sessions).toHaveLength(3 * 2 * 2 + 2);
    await trainer.close();
  });

  test("learns, with an optimiser that has state", async () => {
    const trainer = createCachedTrainer({
      params,
      optimiser: adamw({ learningRate: 0.02 }),
      towers,
      loss: lossOf,
      chunkRows: 5,
      options: { runtime },
    });
    const losses: number[] = [];
    for (let i = 0; i < 60; i++) losses.push((await trainer.step(batchOf(1, 12), { extra })).loss);
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] as number));
    await trainer.close();
  });

  test("names the tower that made a NaN and keeps the state", async () => {
    const trainer = cached(4, { guard: "all", name: "my step" });
    await trainer.step(batchOf(1, 8), { extra });
    const before = trainer.state();
    const batch = batchOf(2, 8);
    batch.text.ids.data[20] = Number.POSITIVE_INFINITY;
    await expect(trainer.step(batch, { extra })).rejects.toThrow(
      "my step (gradient of tower 'text'): NaN or infinity in step 2, in 'gradient of text'. The first is input 'in/ids'",
    );
    const stop = new AbortController();
    stop.abort();
    await expect(trainer.step(batchOf(2, 8), { extra, signal: stop.signal })).rejects.toThrow("aborted");
    expect(trainer.state()).toEqual(before);
    await trainer.step(batchOf(2, 8), { extra });
    await trainer.close();
  });

  test("refuses what does not fit", async () => {
    expect(() => cached(0)).toThrow("chunkRows must be an integer >= 1, got 0");
    const trainer = cached(4, { name: "my step" });
    const batch = { ...batchOf(1, 8), sound: batchOf(1, 7).sound };
    await expect(trainer.step(batch, { extra })).rejects.toThrow(
      "my step: the batch: 'sound' [7, 7] has 7 rows, 'image' has 8",
    );
    const pooled = createCachedTrainer({
      params: { w: ndarray([1, 2]) },
      optimiser: sgd({ learningRate: 1 }),
      towers: { only: (p, x: Tensor) => mul(mean(x, { axes: 0 }), p.w) },
      loss: ({ only }) => ({ loss: sum(only) }),
      chunkRows: 3,
      options: { runtime },
    });
    await expect(pooled.step({ only: normalArray(randomKey(1), [6, 2]) })).rejects.toThrow(
      "tower 'only' made [2] of 3 rows; expected [3, ...]",
    );
    for (const each of [trainer, pooled]) await each.close();
  });
});
