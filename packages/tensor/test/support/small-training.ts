import {
  adamw,
  add,
  matmul,
  mean,
  minimise,
  normalArray,
  randomKey,
  square,
  sub,
  type Tensor,
  tanh,
  zerosArray,
} from "@concord/tensor";

/** Losses of a small network that learns a fixed batch, on one thread. */
export async function train(steps: number): Promise<number[]> {
  const trainer = minimise({
    params: {
      w: normalArray(randomKey(1), [6, 8]),
      v: normalArray(randomKey(2), [8, 2]),
      b: zerosArray([8]),
    },
    optimiser: adamw({ learningRate: 0.05 }),
    loss: (p, { x, y }: { readonly x: Tensor; readonly y: Tensor }) =>
      mean(square(sub(matmul(tanh(add(matmul(x, p.w), p.b)), p.v), y))),
    options: { threads: 1 },
  });
  const batch = { x: normalArray(randomKey(3), [16, 6]), y: normalArray(randomKey(4), [16, 2]) };
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await trainer.step(batch)).loss);
  await trainer.close();
  return losses;
}
