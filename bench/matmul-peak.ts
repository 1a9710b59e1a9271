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
import { serve } from "./engine-process.ts";
import { peakMatrixSize } from "./engines.ts";

const shape = [peakMatrixSize, peakMatrixSize] as const;
const key = randomKey(0);
const operands = { a: uniformArray(foldIn(key, 0), shape), b: uniformArray(foldIn(key, 1), shape) };

// As state of a trainer the product goes into memory that is already there, as the products of a training step do.
const trainer = createTrainer({
  state: { product: zerosArray(shape) },
  step: (_state, { a, b }: { a: Tensor; b: Tensor }) => {
    const product = matmul(a, b);
    return { state: { product }, metrics: { corner: sum(slice(product, [0, 0], [1, 1])) } };
  },
});

await serve(() => ({
  name: "matrix product",
  step: async () => (await trainer.step(operands)).corner,
  close: () => trainer.close(),
}));
