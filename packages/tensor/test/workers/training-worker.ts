// Trains in a thread: reports the losses of a training, or every step of one that never ends.
import { parentPort, workerData } from "node:worker_threads";
import {
  matmul,
  minimise,
  ndarray,
  normalArray,
  randomKey,
  sgd,
  square,
  sum,
  type Tensor,
} from "../../src/index.ts";
import { trainings } from "../browser/trainings.ts";

async function trainForEver(): Promise<never> {
  const trainer = minimise({
    params: { w: normalArray(randomKey(0), [256, 256]) },
    optimiser: sgd({ learningRate: 1e-6 }),
    loss: ({ w }, { x }: { x: Tensor }) => sum(square(matmul(matmul(x, w), w))),
  });
  const batch = { x: ndarray(normalArray(randomKey(1), [256, 256]).data, { shape: [256, 256] }) };
  for (;;) parentPort?.postMessage(await trainer.step(batch));
}

if (workerData === "for ever") await trainForEver();
else parentPort?.postMessage(await trainings.twoTowers(undefined));
