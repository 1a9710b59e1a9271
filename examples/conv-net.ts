// A convolutional network learns to tell horizontal from vertical from diagonal stripes, wherever they are.
import { type ConvParams, convInit, type LinearParams, linear, linearInit, samePadding } from "@concord/nn";
import {
  adamw,
  argmax,
  compile,
  conv2d,
  foldIn,
  globalAveragePool,
  maxPool2d,
  mean,
  minimise,
  ndarray,
  oneHot,
  RandomStream,
  randomKey,
  relu,
  softmaxCrossEntropy,
  type Tensor,
  type Traced,
  toNumbers,
} from "@concord/tensor";

const SIZE = 12;

/** Noisy images [n, 1, 12, 12] of stripes in one of three directions. */
function stripes(seed: number, count: number) {
  const random = new RandomStream(randomKey(seed));
  const labels = Array.from({ length: count }, () => random.integer(3));
  const pixels = labels.flatMap((label) => {
    const shift = random.integer(4);
    return Array.from({ length: SIZE * SIZE }, (_, i) => {
      const [row, column] = [Math.floor(i / SIZE), i % SIZE];
      const position = [row, column, row + column][label] as number;
      return Number((position + shift) % 4 < 2) + random.normal(0, 0.5);
    });
  });
  return {
    images: ndarray(pixels, { shape: [count, 1, SIZE, SIZE] }),
    labels: ndarray(labels, { dtype: "int32" }),
  };
}

interface Params {
  readonly first: ConvParams;
  readonly second: ConvParams;
  readonly head: LinearParams;
}

const key = randomKey(0);
const params: Params = {
  first: convInit(foldIn(key, 0), { inputs: 1, outputs: 8, kernel: [3, 3], bias: true }),
  second: convInit(foldIn(key, 1), { inputs: 8, outputs: 16, kernel: [3, 3], bias: true }),
  head: linearInit(foldIn(key, 2), { inputs: 16, outputs: 3 }),
};

function convolve({ weight, bias }: Traced<ConvParams>, x: Tensor): Tensor {
  return relu(conv2d(x, weight, { padding: samePadding(weight), ...(bias && { bias }) }));
}

/** Two convolutions with a pool between them, the mean over all positions, a linear map: [B, 1, H, W] to [B, 3]. */
function network(p: Traced<Params>, images: Tensor): Tensor {
  return linear(p.head, globalAveragePool(convolve(p.second, maxPool2d(convolve(p.first, images), 2))));
}

const trainer = minimise({
  params,
  optimiser: adamw({ learningRate: 0.01 }),
  loss: (p, { images, labels }: { images: Tensor; labels: Tensor }) =>
    mean(softmaxCrossEntropy(network(p, images), oneHot(labels, 3))),
});

for (let step = 0; step < 90; step++) {
  const { loss } = await trainer.step(stripes(step, 32));
  if (step % 30 === 29) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}

const classify = compile((p: Traced<Params>, images: Tensor) => argmax(network(p, images)));
const { images, labels } = stripes(1000, 200);
const found = toNumbers(await classify(trainer.state().params, images));
const right = found.filter((label, i) => label === labels.data[i]).length;
console.log(`accuracy on new images: ${((100 * right) / found.length).toFixed(1)} %`);
await trainer.close();
