// Contrastive training on a batch that is larger than what fits at once: the towers see 64 rows at a time, the loss
// compares all 1024 with each other, and the gradient is that of the whole batch. Inside a tower, `recompute` trades
// time for memory once more.
import { infoNCE } from "@concord/align";
import { type MlpParams, mlp, mlpInit } from "@concord/nn";
import {
  adamw,
  createCachedTrainer,
  foldIn,
  l2Normalize,
  minimise,
  normalArray,
  randomKey,
  recompute,
  type Tensor,
  type Traced,
} from "@concord/tensor";

interface Params {
  readonly image: MlpParams;
  readonly text: MlpParams;
}

const key = randomKey(0);
const ROWS = 1024;
const batch = {
  image: normalArray(foldIn(key, 0), [ROWS, 64]),
  text: normalArray(foldIn(key, 1), [ROWS, 48]),
};
const params: Params = {
  image: mlpInit(foldIn(key, 2), [64, 128, 32]),
  text: mlpInit(foldIn(key, 3), [48, 128, 32]),
};
const optimiser = adamw({ learningRate: 3e-3 });

const tower = (layers: Traced<MlpParams>, x: Tensor): Tensor =>
  recompute((inputs: Tensor) => l2Normalize(mlp(layers, inputs)))(x);

const inChunks = createCachedTrainer({
  params,
  optimiser,
  chunkRows: 64,
  towers: {
    image: (p: Traced<Params>, x: Tensor) => tower(p.image, x),
    text: (p: Traced<Params>, x: Tensor) => tower(p.text, x),
  },
  loss: ({ image, text }) => ({ loss: infoNCE(image, text, { temperature: 0.1 }) }),
});

const atOnce = minimise({
  params,
  optimiser,
  loss: (p, { image, text }: { image: Tensor; text: Tensor }) =>
    infoNCE(tower(p.image, image), tower(p.text, text), { temperature: 0.1 }),
});

for (let step = 0; step < 20; step++) {
  const [chunked, whole] = [await inChunks.step(batch), await atOnce.step(batch)];
  if (step % 5 === 4)
    console.log(`step ${step}: in chunks ${chunked.loss.toFixed(4)}, at once ${whole.loss.toFixed(4)}`);
}
await inChunks.close();
await atOnce.close();
