import { compile, evaluate, mul, type NDArray, type Tensor, tensor, toNumbers } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { asInput, matrix, plainCodes, random } from "./plain-loops.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { emptyQueues, pushQueue, swappedPredictionLossWithQueue } from "./queue.ts";
import { swappedPredictionLoss } from "./swapped-prediction.ts";

describe("the queue", () => {
  const [B, L, D, K] = [2, 6, 4, 5];
  const options = { nCrops: 2, batchSize: B };
  const prototypes = normalizePrototypes(asInput(random(2, [K, D])));

  it("shifts towards its end and drops the oldest", async () => {
    const queue = tensor([[1], [2], [3], [4]]);
    expect(toNumbers(await pushQueue(queue, tensor([[8], [9]])).data())).toEqual([8, 9, 1, 2]);
    expect(toNumbers(await pushQueue(queue, tensor([[5], [6], [7], [8]])).data())).toEqual([5, 6, 7, 8]);
    expect(() => pushQueue(queue, tensor([[1], [2], [3], [4], [5]]))).toThrow(
      /5 rows do not fit a queue of 4/,
    );
  });

  it("is used from the step after it was filled, and holds embeddings of length 1", async () => {
    const step = compile(
      (queue: Tensor, projections: Tensor) => {
        const plain = swappedPredictionLoss(projections, prototypes, options);
        const queued = swappedPredictionLossWithQueue(projections, prototypes, queue, options);
        return { queue: queued.queue, used: queued.useQueue, loss: queued.loss, plain: plain.loss };
      },
      { name: "queue step" },
    );
    let queue: NDArray = emptyQueues({ length: L, batchSize: B, width: D });
    for (let t = 0; t < 5; t++) {
      const found = await step(queue, random(10 + t, [2 * B, D]));
      queue = found.queue;
      const used = t >= L / B;
      expect(Number(found.used.data[0]), `step ${t}`).toBe(used ? 1 : 0);
      const change = Math.abs(Number(found.loss.data[0]) - Number(found.plain.data[0]));
      if (used) expect(change).toBeGreaterThan(1e-4);
      else expect(change).toBeLessThan(1e-6);
    }
    const rows = Array.from({ length: 2 * L }, (_, i) => toNumbers(queue).slice(i * D, (i + 1) * D));
    for (const row of rows) expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    await step.close();
  });

  it("stays in use for the epoch once a queue was full, and then for the other crop too", async () => {
    const full = random(3, [L, D]);
    const queues = tensor([matrix(full), matrix(full).map((row) => row.map(() => 0))]);
    const projections = asInput(random(4, [2 * B, D]));
    const first = swappedPredictionLossWithQueue(projections, prototypes, queues, options);
    expect(Number((await first.useQueue.data()).data[0])).toBe(1);
    const empty = mul(queues, 0);
    const flagged = { ...options, useQueue: first.useQueue };
    const found = await evaluate({
      flagged: swappedPredictionLossWithQueue(projections, prototypes, empty, flagged).codes[0] as Tensor,
      fresh: swappedPredictionLossWithQueue(projections, prototypes, empty, options).codes[0] as Tensor,
      projections,
      prototypes,
    });
    // Rows of zeros score 0 with every prototype, and take part.
    const units = matrix(found.projections).map((row) => row.map((x) => x / Math.hypot(...row)));
    const scores = units
      .slice(0, B)
      .map((row) =>
        matrix(found.prototypes).map((c) => c.reduce((total, x, d) => total + x * (row[d] as number), 0)),
      );
    const zeros = Array.from({ length: L }, () => Array.from({ length: K }, () => 0));
    const expected = plainCodes([...zeros, ...scores], 0.05, 3).slice(L);
    toNumbers(found.flagged).forEach((value, i) =>
      expect(value).toBeCloseTo(expected.flat()[i] as number, 5),
    );
    expect(toNumbers(found.flagged)).not.toEqual(toNumbers(found.fresh));
  });

  it("refuses lengths that batches do not fill, and queues of other crops", () => {
    expect(() => emptyQueues({ length: 7, batchSize: 2, width: 3 })).toThrow(
      /multiple of the batch size 2, got 7/,
    );
    const one = asInput(random(1, [1, L, D]));
    expect(() =>
      swappedPredictionLossWithQueue(asInput(random(4, [2 * B, D])), prototypes, one, options),
    ).toThrow(/2 crops provide codes, got 1 queues/);
  });
});
