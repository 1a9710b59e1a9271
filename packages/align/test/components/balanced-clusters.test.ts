import {
  createTrainer,
  foldIn,
  l2Normalize,
  matmul,
  type NDArray,
  normalArray,
  RandomStream,
  randomKey,
  relu,
  sgd,
  softmax,
  type Tensor,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  emptyQueue,
  enqueue,
  type QueueState,
  readQueue,
  sinkhornCodes,
  swappedPrediction,
} from "../../src/index.ts";
import { run } from "./support.ts";

/** Two noisy views of rows around eight directions. */
function batchOf(step: number): { readonly a: NDArray; readonly b: NDArray } {
  const centres = normalArray(randomKey(99), [8, 16]);
  const stream = new RandomStream(foldIn(randomKey(1), step));
  const classes = Array.from({ length: 32 }, () => stream.integer(8));
  const view = (key: number): NDArray => {
    const noise = normalArray(foldIn(foldIn(randomKey(2), step), key), [32, 16], 0, 0.3);
    return {
      ...noise,
      data: noise.data.map(
        (value, i) => value + (centres.data[(classes[i >> 4] as number) * 16 + (i % 16)] as number),
      ),
    };
  };
  return { a: view(0), b: view(1) };
}

interface Parameters {
  readonly first: Tensor;
  readonly second: Tensor;
  readonly prototypes: Tensor;
}

const embed = (p: Parameters, x: Tensor): Tensor => l2Normalize(matmul(relu(matmul(x, p.first)), p.second));

/** Share of the 12 prototypes that some row of eight fresh batches is nearest to, after some steps of training. */
async function usedPrototypes(balanced: boolean): Promise<number> {
  const optimiser = sgd({ learningRate: 0.5, momentum: 0.9 });
  const params = {
    first: normalArray(randomKey(3), [16, 32], 0, 0.25),
    second: normalArray(randomKey(4), [32, 8], 0, 0.2),
    prototypes: normalArray(randomKey(5), [12, 8]),
  };
  const trainer = createTrainer({
    state: { params, optimiser: optimiser.init(params), queue: emptyQueue(96, [8]) },
    step: (
      state: { params: Parameters; optimiser: never; queue: QueueState },
      batch: { a: Tensor; b: Tensor },
    ) => {
      const start = { ...state.params, prototypes: l2Normalize(state.params.prototypes) };
      const { items, valid } = readQueue(state.queue);
      const { value: loss, gradients } = valueAndGrad((p: Parameters) => {
        const scoresOf = (z: Tensor): Tensor => matmul(z, p.prototypes, { transposeB: true });
        const scores = [scoresOf(embed(p, batch.a)), scoresOf(embed(p, batch.b))];
        const codes = scores.map((s) =>
          balanced ? sinkhornCodes(s, { queue: { scores: scoresOf(items), valid } }) : softmax(s),
        );
        return swappedPrediction(scores, codes);
      })(start);
      const next = optimiser.update(start, gradients, state.optimiser);
      return {
        state: {
          params: next.params,
          optimiser: next.state as never,
          queue: enqueue(state.queue, embed(start, batch.a)),
        },
        metrics: { loss },
      };
    },
  });
  for (let step = 0; step < 120; step++) await trainer.step(batchOf(step));
  const { params: trained } = trainer.state() as unknown as { params: Record<keyof Parameters, NDArray> };
  await trainer.close();
  const used = new Set<number>();
  const scores = (x: Tensor, first: Tensor, second: Tensor, prototypes: Tensor) =>
    matmul(embed({ first, second, prototypes }, x), l2Normalize(prototypes), { transposeB: true });
  for (let step = 1000; step < 1008; step++) {
    const s = await run(scores as never, batchOf(step).a, trained.first, trained.second, trained.prototypes);
    for (let row = 0; row < 32; row++) {
      const values = Array.from((s.data as Float32Array).subarray(row * 12, (row + 1) * 12));
      used.add(values.indexOf(Math.max(...values)));
    }
  }
  return used.size;
}

describe("swapped prediction in a trainer", () => {
  it("spreads rows over the prototypes with balanced codes, and collapses without", async () => {
    const [balanced, plain] = [await usedPrototypes(true), await usedPrototypes(false)];
    expect(balanced).toBeGreaterThanOrEqual(8);
    expect(plain).toBeLessThanOrEqual(3);
  });
});
