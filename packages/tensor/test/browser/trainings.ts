import { infoNCE } from "@concord/align";
import {
  linear,
  linearInit,
  textTransformer,
  textTransformerInit,
  visionTransformer,
  visionTransformerInit,
} from "@concord/nn";
import {
  adamw,
  add,
  conv2d,
  dropout,
  foldIn,
  foldInTensor,
  globalAveragePool,
  keyArray,
  l2Normalize,
  logSoftmax,
  maxPool2d,
  mean,
  minimise,
  mul,
  type NDArray,
  ndarray,
  neg,
  normalArray,
  type Runtime,
  randomKey,
  relu,
  sum,
  type Tensor,
  uniformArray,
  zerosArray,
} from "../../src/index.ts";

export const STEPS = 20;
const BATCH = 8;

function integers(
  key: ReturnType<typeof randomKey>,
  shape: readonly number[],
  below: number,
): NDArray<"int32"> {
  const { data } = uniformArray(key, shape, 0, below);
  return ndarray(Array.from(data, Math.floor), { shape, dtype: "int32" });
}

/** CLIP in small: images and texts through a transformer each, dropout on the embeddings, InfoNCE, AdamW. */
async function twoTowers(runtime: Runtime | undefined): Promise<number[]> {
  const key = randomKey(7);
  const sizes = { width: 32, layers: 1, outputs: 16 };
  const params = {
    image: visionTransformerInit(foldIn(key, 0), { ...sizes, imageSize: 16, patchSize: 4 }),
    text: textTransformerInit(foldIn(key, 1), { ...sizes, vocabulary: 50, context: 8 }),
  };
  const batch = {
    images: normalArray(foldIn(key, 2), [BATCH, 3, 16, 16]),
    ids: integers(foldIn(key, 3), [BATCH, 8], 50),
    mask: ndarray(
      Array.from({ length: BATCH * 8 }, (_, i) => (i % 8 < 4 + (i % 5) ? 1 : 0)),
      { shape: [BATCH, 8] },
    ),
  };
  type Batch = { images: Tensor; ids: Tensor; mask: Tensor; key: Tensor };
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 1e-3, weightDecay: 0.01 }),
    loss: (p, { images, ids, mask, key: dropoutKey }: Batch) => {
      const image = visionTransformer(p.image, images, { patchSize: 4, heads: 2 });
      const text = textTransformer(p.text, ids, mask, { heads: 2 });
      return infoNCE(
        l2Normalize(dropout(foldInTensor(dropoutKey, 0), image, 0.1)),
        l2Normalize(dropout(foldInTensor(dropoutKey, 1), text, 0.1)),
        { temperature: 0.1 },
      );
    },
    ...(runtime ? { options: { runtime } } : {}),
  });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    losses.push((await trainer.step({ ...batch, key: keyArray(foldIn(foldIn(key, 4), step)) })).loss);
  }
  await trainer.close();
  return losses;
}

/**
 * Three convolutions, pooling and a linear classifier with cross entropy. At five times this learning rate rounding
 * decides which way small weights go first, and the losses of CPU and GPU part by 1e-2 within 20 steps.
 */
async function smallCnn(runtime: Runtime | undefined): Promise<number[]> {
  const key = randomKey(11);
  const kernel = (index: number, inputs: number, outputs: number): NDArray =>
    normalArray(foldIn(key, index), [outputs, inputs, 3, 3], 0, Math.sqrt(2 / (9 * inputs)));
  const params = {
    first: { weight: kernel(0, 3, 16), bias: zerosArray([16]) },
    second: { weight: kernel(1, 16, 16), bias: zerosArray([16]) },
    third: { weight: kernel(2, 16, 32), bias: zerosArray([32]) },
    head: linearInit(foldIn(key, 3), { inputs: 32, outputs: 5 }),
  };
  const labels = integers(foldIn(key, 4), [BATCH], 5);
  const batch = {
    images: normalArray(foldIn(key, 5), [BATCH, 3, 16, 16]),
    targets: ndarray(
      Array.from(labels.data, (label) => Array.from({ length: 5 }, (_, i) => (i === label ? 1 : 0))),
    ),
  };
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 2e-3 }),
    loss: (p, { images, targets }: { images: Tensor; targets: Tensor }) => {
      const first = relu(conv2d(images, p.first.weight, { padding: 1, bias: p.first.bias }));
      const second = relu(conv2d(maxPool2d(first, 2), p.second.weight, { padding: 1, bias: p.second.bias }));
      const shortcut = add(second, maxPool2d(first, 2));
      const third = relu(conv2d(shortcut, p.third.weight, { stride: 2, padding: 1, bias: p.third.bias }));
      const logits = linear(p.head, globalAveragePool(third));
      return neg(mean(sum(mul(targets, logSoftmax(logits)), { axes: 1 })));
    },
    ...(runtime ? { options: { runtime } } : {}),
  });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) losses.push((await trainer.step(batch)).loss);
  await trainer.close();
  return losses;
}

/** Seeded trainings whose losses are the same everywhere, up to rounding. */
export const trainings = { twoTowers, smallCnn } as const;
export type TrainingName = keyof typeof trainings;
