import { ndarray, randomKey } from "@concord/tensor";
import { expect, it } from "vitest";
import {
  type ArrayTree,
  type LogValue,
  type Progress,
  type StepTrainer,
  trainLoop,
  type UnitContext,
} from "../../src/harness/index.ts";

interface Recorded {
  readonly context: UnitContext<null>;
  readonly logged: [phase: string, step: number, values: Readonly<Record<string, LogValue>>][];
  readonly progress: Progress[];
  readonly saved: number[];
}

/** A context in memory. */
function record(signal = new AbortController().signal): Recorded {
  const logged: Recorded["logged"] = [];
  const progress: Progress[] = [];
  const saved: number[] = [];
  let newest: { readonly step: number; readonly state: ArrayTree } | null = null;
  const context: UnitContext<null> = {
    config: null,
    seed: 0,
    key: randomKey(0),
    unit: "seed-0/arm",
    inputs: {},
    signal,
    log: (...entry) => void logged.push(entry),
    note: () => {},
    progress: (report) => void progress.push(report),
    memo: (_, build) => build(),
    checkpoint: {
      load: async () => newest,
      save: async (_, step, state) => {
        saved.push(step);
        newest = { step, state };
      },
    },
    artefact: (name) => name,
  };
  return { context, logged, progress, saved };
}

/** Adds up its batches. */
class Summing implements StepTrainer<number> {
  total = 0;
  readonly batches: number[] = [];

  async step(batch: number): Promise<Record<string, number>> {
    this.total += batch;
    this.batches.push(batch);
    return { loss: 1 / this.total };
  }

  state(): ArrayTree {
    return ndarray([this.total], { dtype: "float64" });
  }

  restore(state: ArrayTree): void {
    this.total = Number((state as ReturnType<typeof ndarray>).data[0]);
  }
}

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

it("logs every so many steps and the last, reports progress, and checkpoints at the end", async () => {
  const { context, logged, progress, saved } = record();
  const trainer = new Summing();
  const seen: number[] = [];
  const report = await trainLoop(context, {
    name: "training",
    steps: 7,
    trainer,
    logEvery: 3,
    samplesPerStep: 32,
    batchAt: (step) => step + 1,
    onMetrics: (step) => void seen.push(step),
  });
  expect(trainer.total).toBe(28);
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(logged).toEqual([
    ["training", 3, { loss: 1 / 6 }],
    ["training", 6, { loss: 1 / 21 }],
    ["training", 7, { loss: 1 / 28 }],
  ]);
  expect(progress.at(-1)).toMatchObject({ phase: "training", step: 7, steps: 7, loss: 1 / 28 });
  expect(progress.at(-1)?.samplesPerSecond).toBeGreaterThan(0);
  expect(saved).toEqual([7]);
  expect(report.resumedAt).toBe(0);
});

it("takes up where the checkpoint is, and asks for no batch twice", async () => {
  const controller = new AbortController();
  const { context, saved } = record(controller.signal);
  const first = new Summing();
  const asked: number[] = [];
  const options = { name: "training", steps: 6, batchAt: (step: number) => step + 1 };
  await expect(
    trainLoop(context, {
      ...options,
      trainer: first,
      onMetrics: (step) => {
        if (step === 4) controller.abort();
      },
    }),
  ).rejects.toThrow("aborted");
  expect(saved).toEqual([4]);

  const second = new Summing();
  const resumed = { ...context, signal: new AbortController().signal };
  const batchAt = (step: number): number => {
    asked.push(step);
    return step + 1;
  };
  expect((await trainLoop(resumed, { ...options, batchAt, trainer: second })).resumedAt).toBe(4);
  expect(asked).toEqual([4, 5]);
  expect(second.total).toBe(21);

  const third = new Summing();
  await trainLoop(resumed, { ...options, batchAt, trainer: third });
  expect(asked).toEqual([4, 5]);
  expect(third.total).toBe(21);
});

it("tells waiting for data from computing, and overlaps the two where it can", async () => {
  const slowData = await trainLoop(record().context, {
    name: "training",
    steps: 5,
    trainer: new Summing(),
    batchAt: async () => {
      await wait(20);
      return 1;
    },
  });
  expect(slowData.dataSeconds).toBeGreaterThan(0.08);
  expect(slowData.computeSeconds).toBeLessThan(slowData.dataSeconds / 2);

  const trainer = new Summing();
  const slowStep: StepTrainer<number> = {
    step: async (batch) => {
      await wait(40);
      return trainer.step(batch);
    },
    state: () => trainer.state(),
    restore: (state) => trainer.restore(state),
  };
  const shares: number[] = [];
  // Other work on the machine lengthens waits; the shortest of a few tells what the loop itself does.
  for (let attempt = 0; attempt < 5 && !(Math.min(...shares) < 0.5); attempt++) {
    const overlapped = await trainLoop(record().context, {
      name: "training",
      steps: 5,
      trainer: slowStep,
      batchAt: async () => {
        await wait(20);
        return 1;
      },
    });
    expect(overlapped.computeSeconds).toBeGreaterThan(0.19);
    shares.push(overlapped.dataSeconds / overlapped.computeSeconds);
  }
  // Only the first batch was waited for in full.
  expect(Math.min(...shares)).toBeLessThan(0.5);
});

it("checkpoints after so many seconds", async () => {
  const { context, saved } = record();
  await trainLoop(context, {
    name: "training",
    steps: 4,
    trainer: new Summing(),
    batchAt: () => 1,
    checkpointEverySeconds: 0,
  });
  expect(saved).toEqual([1, 2, 3, 4]);
});

it("leaves the event loop its turn", async () => {
  const busy: StepTrainer<number> = {
    step: async () => {
      for (const until = performance.now() + 30; performance.now() < until; );
      return { loss: 1 };
    },
    state: () => ndarray([0]),
    restore: () => {},
  };
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await trainLoop(record().context, { name: "training", steps: 5, trainer: busy, batchAt: () => 0 });
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(2);
});

it("stops when training diverges, when a batch fails, and at senseless options", async () => {
  const { context, saved } = record();
  const trainer = new Summing();
  const options = { name: "training", steps: 3, trainer };
  await expect(trainLoop(context, { ...options, batchAt: () => 0 })).rejects.toThrow(
    "training: loss became Infinity at step 1",
  );
  expect(saved).toEqual([]);
  const broken = async (step: number): Promise<number> => {
    if (step === 1) throw new Error("row 7 is empty");
    return 1;
  };
  await expect(trainLoop(context, { ...options, batchAt: broken })).rejects.toThrow("row 7 is empty");
  await expect(trainLoop(context, { ...options, steps: 1.5, batchAt: () => 1 })).rejects.toThrow("1.5 steps");
  await expect(trainLoop(context, { ...options, logEvery: 0, batchAt: () => 1 })).rejects.toThrow(
    "logEvery 0",
  );
});
