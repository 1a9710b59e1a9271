import {
  createTrainer,
  foldIn,
  matmul,
  randomKey,
  slice,
  sum,
  type Tensor,
  uniformArray,
  zerosArray,
} from "@concord/tensor";
import { peakMatrixSize } from "./engines.ts";
import { median } from "./statistics.ts";

const SHAPE = [peakMatrixSize, peakMatrixSize] as const;

/** A step that multiplies two large square matrices, and nothing else. */
export interface MatmulTrainer {
  /** @returns an element of the product */
  step(): Promise<number>;
  close(): Promise<void>;
}

/** The product is state of a trainer: it goes into memory that is already there, as products of a training step do. */
export function matmulTrainer(): MatmulTrainer {
  const key = randomKey(0);
  const operands = { a: uniformArray(foldIn(key, 0), SHAPE), b: uniformArray(foldIn(key, 1), SHAPE) };
  const trainer = createTrainer({
    state: { product: zerosArray(SHAPE) },
    step: (_state, { a, b }: { a: Tensor; b: Tensor }) => {
      const product = matmul(a, b);
      return { state: { product }, metrics: { corner: sum(slice(product, [0, 0], [1, 1])) } };
    },
  });
  return {
    step: async () => (await trainer.step(operands)).corner,
    close: () => trainer.close(),
  };
}

/** GFLOP/s of the product; the trainer is closed. */
export async function peakOf(trainer: MatmulTrainer): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    await trainer.step();
    times.push(performance.now() - start);
  }
  await trainer.close();
  return (2 * peakMatrixSize ** 3) / median(times.slice(2)) / 1e6;
}
