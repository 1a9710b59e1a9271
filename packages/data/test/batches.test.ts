import { randomKey } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BatchSource,
  batchPlan,
  type CaptionedBatch,
  captionedBatches,
  captionedImageSet,
  captionedShapes,
  captionedShapesStream,
  channelStatistics,
  memoryPixels,
  prefetch,
  trainWordTokenizer,
  workerSource,
} from "../src/index.ts";
import { createBatchSource } from "../src/worlds/captioned-shapes/stream.ts";

const key = randomKey(11);
const set = captionedShapes().split(key, "train", 96).collect();
const tokenizer = trainWordTokenizer(set.captions.flat());

describe("batch plan", () => {
  test("an epoch visits every item once, in a new order each time", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        (count, batchSize, dropLast) => {
          fc.pre(!dropLast || batchSize <= count);
          const plan = batchPlan({ key, count, batchSize, dropLast });
          for (const epoch of [0, 1, 5]) {
            const seen: number[] = [];
            for (let i = 0; i < plan.stepsPerEpoch; i++) {
              const at = plan.at(epoch * plan.stepsPerEpoch + i);
              expect(at.epoch).toBe(epoch);
              if (dropLast) expect(at.indices).toHaveLength(batchSize);
              seen.push(...at.indices);
            }
            expect(new Set(seen).size).toBe(seen.length);
            expect(seen).toHaveLength(dropLast ? count - (count % batchSize) : count);
            expect(seen.every((index) => index < count)).toBe(true);
          }
        },
      ),
    );
    const plan = batchPlan({ key, count: 50, batchSize: 50 });
    expect(plan.at(0).indices).not.toEqual(plan.at(1).indices);
    expect(plan.at(1).epochKey).not.toEqual(plan.at(0).epochKey);
  });

  test("without shuffling items come in order", () => {
    const plan = batchPlan({ key, count: 5, batchSize: 2, shuffle: false, dropLast: false });
    expect([...plan.at(2).indices, ...plan.at(3).indices]).toEqual([4, 0, 1]);
  });

  test("refuses impossible sizes and steps", () => {
    expect(() => batchPlan({ key, count: 5, batchSize: 6 })).toThrow("5 items do not fill one batch of 6");
    expect(() => batchPlan({ key, count: 0, batchSize: 1 })).toThrow("count must be an integer >= 1, got 0");
    expect(() => batchPlan({ key, count: 5, batchSize: 2 }).at(-1)).toThrow(
      "the step must be an integer >= 0",
    );
  });
});

describe("captioned batches", () => {
  const options = { key, batchSize: 32, tokenizer, length: 8 };

  test("are the same when a training resumes at any step, and belong together", async () => {
    const source = captionedBatches(set, { ...options, augment: { shift: 2, brightness: 0.2 } });
    const all = [];
    for (let step = 0; step < 7; step++) all.push(await source.batch(step));
    const resumed = captionedBatches(set, { ...options, augment: { shift: 2, brightness: 0.2 } });
    expect(await resumed.batch(5)).toEqual(all[5]);
    expect(await resumed.batch(2)).toEqual(all[2]);
    expect(source.stepsPerEpoch).toBe(3);
    const plain = await captionedBatches(set, options).batch(4);
    const pixels = await set.pixels(plain.indices.data);
    expect(plain.images.data[1000]).toBeCloseTo((pixels.data[1000] as number) / 255, 6);
    plain.indices.data.forEach((index, i) => {
      const expected = tokenizer.encode(set.captions[index]?.[0] ?? "", 8);
      expect([...plain.tokens.data.subarray(i * 8, i * 8 + expected.length)]).toEqual(expected);
    });
    expect(plain.images.shape).toEqual([32, 3, 24, 24]);
    expect(plain.tokens.shape).toEqual([32, 8]);
    expect(plain.mask.shape).toEqual([32, 8]);
  });

  test("choose one of several captions at random, anew in every epoch", async () => {
    const captions = ["one", "two", "three"];
    const several = captionedImageSet({
      names: ["a", "b"],
      captions: [captions, ["single"]],
      labels: {},
      store: memoryPixels(new Uint8Array(2 * 3 * 4), 2),
    });
    const words = trainWordTokenizer([...captions, "single"]);
    const source = captionedBatches(several, { key, batchSize: 2, tokenizer: words });
    const counts = new Map<string, number>();
    for (let step = 0; step < 600; step++) {
      const { tokens, indices } = await source.batch(step);
      indices.data.forEach((index, i) => {
        const word = words.decode([tokens.data[i] as number]);
        expect(index === 1).toBe(word === "single");
        counts.set(word, (counts.get(word) ?? 0) + 1);
      });
    }
    for (const caption of captions) expect(Math.abs((counts.get(caption) ?? 0) - 200)).toBeLessThan(60);
  });

  test("can be standardised", async () => {
    const whole = captionedBatches(set, { key, batchSize: 96, tokenizer });
    const statistics = channelStatistics((await whole.batch(0)).images);
    const source = captionedBatches(set, { key, batchSize: 96, tokenizer, statistics });
    const result = channelStatistics((await source.batch(1)).images);
    for (const mean of result.mean) expect(mean).toBeCloseTo(0, 4);
    for (const deviation of result.deviation) expect(deviation).toBeCloseTo(1, 4);
  });

  test("a closed source refuses", async () => {
    const source = captionedBatches(set, options);
    await source.close();
    await expect(source.batch(0)).rejects.toThrow("the source is closed");
  });
});

describe("prefetch", () => {
  function slowSource(milliseconds: number): BatchSource<number> & { readonly asked: number[] } {
    const asked: number[] = [];
    const close = async (): Promise<void> => {};
    return {
      asked,
      stepsPerEpoch: 10,
      async batch(step) {
        asked.push(step);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        if (step === 7) throw new Error("batch 7 is broken");
        return step;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  test("asks for every step once, ahead of its user, and not beyond the end", async () => {
    const inner = slowSource(0);
    const source = prefetch(inner, { ahead: 2, until: 5 });
    expect(await source.batch(0)).toBe(0);
    expect(inner.asked).toEqual([0, 1, 2]);
    for (let step = 1; step < 5; step++) expect(await source.batch(step)).toBe(step);
    expect(inner.asked).toEqual([0, 1, 2, 3, 4]);
    expect(await source.batch(2)).toBe(2);
    await source.close();
    await expect(source.batch(0)).rejects.toThrow("prefetch: the source is closed");
  });

  test("hides time that passes outside the calling thread, and counts the rest", async () => {
    await using source = prefetch(slowSource(40), { ahead: 1 });
    await source.batch(0);
    expect(source.waitedSeconds).toBeGreaterThan(0.03);
    const before = source.waitedSeconds;
    await new Promise((resolve) => setTimeout(resolve, 80));
    await source.batch(1);
    expect(source.waitedSeconds - before).toBeLessThan(0.03);
  });

  test("hands a failure to the step that it belongs to", async () => {
    await using source = prefetch(slowSource(0), { ahead: 3 });
    expect(await source.batch(5)).toBe(5);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await source.batch(6)).toBe(6);
    await expect(source.batch(7)).rejects.toThrow("batch 7 is broken");
    expect(() => prefetch(slowSource(0), { ahead: 0 })).toThrow("ahead must be an integer >= 1, got 0");
  });
});

describe("sources in worker threads", () => {
  const options = { key, batchSize: 16, stepsPerEpoch: 10, tokenizer: tokenizer.json, length: 12 };

  test("give the same batches as in the calling thread", async () => {
    const here = createBatchSource(options);
    await using there = await captionedShapesStream(options, 2);
    expect(there.stepsPerEpoch).toBe(10);
    const steps = [3, 0, 7, 4];
    const batches = await Promise.all(steps.map((step) => there.batch(step)));
    for (const [i, step] of steps.entries()) expect(batches[i]).toEqual(await here.batch(step));
    await expect(there.batch(0.5)).rejects.toThrow("the step must be an integer >= 0, got 0.5");
  });

  test("a thread that computes hardly waits for a stream behind prefetch", async () => {
    await using source = prefetch(await captionedShapesStream(options), { ahead: 3 });
    await source.batch(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    let waited = Number.POSITIVE_INFINITY;
    // 10 % of the 20 ms steps, with room for a busy machine. Other work there can hold up a round, not all of them.
    const allowed = 0.1 * 10 * 0.02 * 3;
    for (let first = 1; first <= 50 && waited >= allowed; first += 10) {
      const before = source.waitedSeconds;
      for (let step = first; step < first + 10; step++) {
        block(20);
        await source.batch(step);
      }
      waited = source.waitedSeconds - before;
    }
    expect(waited).toBeLessThan(allowed);
  });

  test("errors of the module arrive; the threads end", async () => {
    await expect(
      workerSource<CaptionedBatch>({ module: new URL("./temporary-none.ts", import.meta.url), options: {} }),
    ).rejects.toThrow("temporary-none");
    const noSource = new URL("../src/images/convert.ts", import.meta.url);
    await expect(workerSource({ module: noSource, options: {} })).rejects.toThrow(
      "does not export createBatchSource",
    );
    const source = await captionedShapesStream(options);
    const pending = expect(source.batch(1)).rejects.toThrow("The worker pool was closed before it answered");
    await source.close();
    await pending;
    await expect(source.batch(2)).rejects.toThrow("The worker pool is closed");
  });
});

/** Computes for so many milliseconds, as a training step would. */
function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
