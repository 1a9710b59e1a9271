// How long a training waits for its pictures: 64 x 64, decoded from their files at each visit and augmented, by one
// thread beside the one that trains. Run from the root of the repository:
//
//   CONCORD_THREADS=1 node --conditions=source packages/data/bench/prefetch.ts [CAPTIONS.csv [IMAGES]]
//
// WIDTH=2 doubles the channels of the encoder: four times the computing for the same pictures.
//
// Without arguments it makes 512 PNG and JPEG pictures in a temporary folder.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CaptionedBatch, captionedFiles, prefetch, trainWordTokenizer } from "@concord/data";
import {
  adamw,
  conv2d,
  createTrainer,
  foldIn,
  globalAveragePool,
  type Key,
  matmul,
  mean,
  type NDArray,
  oneHot,
  RandomStream,
  randomKey,
  relu,
  softmaxCrossEntropy,
  type Tensor,
  type Traced,
  valueAndGrad,
} from "@concord/tensor";
import sharp from "sharp";

const side = 64;
const batchSize = 32;
const classes = 8;
const warmUp = 5;
const steps = 40;
const folder = await mkdtemp(join(tmpdir(), "concord-prefetch-"));

async function generatedPairs(): Promise<string> {
  const random = new RandomStream(randomKey(7));
  await mkdir(join(folder, "pictures"));
  const rows = ["image,caption"];
  for (let i = 0; i < 512; i++) {
    const noise = Buffer.from(Array.from({ length: 3 * side * side }, () => random.integer(256)));
    const picture = sharp(noise, { raw: { width: side, height: side, channels: 3 } }).blur(2);
    const name = i % 2 === 0 ? `${i}.png` : `${i}.jpg`;
    await (i % 2 === 0 ? picture.png() : picture.jpeg()).toFile(join(folder, "pictures", name));
    rows.push(`${name},picture ${i % classes}`);
  }
  const file = join(folder, "pairs.csv");
  await writeFile(file, `${rows.join("\n")}\n`);
  return file;
}

function normal(key: Key, shape: readonly number[], inputs: number): NDArray<"float32"> {
  const random = new RandomStream(key);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const scale = Math.sqrt(2 / inputs);
  return {
    dtype: "float32",
    shape,
    data: Float32Array.from({ length: size }, () => random.normal(0, scale)),
  };
}

const key = randomKey(0);
const width = Number(process.env.WIDTH ?? 1);
const [narrow, middle, wide] = [32 * width, 64 * width, 128 * width];
const params = {
  first: normal(foldIn(key, 0), [narrow, 3, 3, 3], 27),
  second: normal(foldIn(key, 1), [middle, narrow, 3, 3], 9 * narrow),
  third: normal(foldIn(key, 2), [wide, middle, 3, 3], 9 * middle),
  head: normal(foldIn(key, 3), [wide, classes], wide),
};
type Params = typeof params;

/** A small encoder of 94 000 parameters (WIDTH=1): three convolutions of stride 2 to 32, 64 and 128 channels, the mean over all positions, a linear map. */
function loss(p: Traced<Params>, { images, labels }: { images: Tensor; labels: Tensor }): Tensor {
  let x = images;
  for (const weight of [p.first, p.second, p.third]) x = relu(conv2d(x, weight, { stride: 2, padding: 1 }));
  return mean(softmaxCrossEntropy(matmul(globalAveragePool(x), p.head), oneHot(labels, classes)));
}

const optimiser = adamw({ learningRate: 1e-3 });
const trainer = createTrainer({
  state: { params, optimiser: optimiser.init(params) },
  step: (state, data: { images: Tensor; labels: Tensor }) => {
    const { value, gradients } = valueAndGrad(loss)(state.params, data);
    const next = optimiser.update(state.params, gradients, state.optimiser);
    return { state: { params: next.params, optimiser: next.state }, metrics: { loss: value } };
  },
});

const [pairs = await generatedPairs(), given] = process.argv.slice(2);
const images = given ?? (process.argv[2] === undefined ? join(folder, "pictures") : undefined);
const tokenizer = join(folder, "tokenizer.json");
await trainWordTokenizer(["picture"], { maxVocabulary: 16 }).save(tokenizer);

try {
  const source = await captionedFiles({
    pairs,
    ...(images === undefined ? {} : { images }),
    tokenizer,
    length: 4,
    size: side,
    key: foldIn(key, 4),
    batchSize,
    augment: { flip: 0.5, shift: 4, brightness: 0.2, contrast: 0.2 },
  });
  await using batches = prefetch<CaptionedBatch>(source, { ahead: 3 });
  const alone = performance.now();
  for (let step = 0; step < warmUp; step++) await batches.batch(step);
  const making = (performance.now() - alone) / warmUp;
  let computing = 0;
  let waitedBefore = 0;
  for (let step = 0; step < warmUp + steps; step++) {
    if (step === warmUp) [computing, waitedBefore] = [0, batches.waitedSeconds];
    const { images: pixels, indices } = await batches.batch(step);
    const labels = { ...indices, data: indices.data.map((index) => index % classes) };
    const start = performance.now();
    await trainer.step({ images: pixels, labels });
    computing += (performance.now() - start) / 1000;
  }
  const waiting = batches.waitedSeconds - waitedBefore;
  console.log(
    `${steps} steps of ${batchSize} pictures: ${((1000 * (computing + waiting)) / steps).toFixed(1)} ms a step, ` +
      `${((1000 * waiting) / steps).toFixed(2)} ms of it waiting for data (${((100 * waiting) / (computing + waiting)).toFixed(1)} %); ` +
      `making a batch takes ${making.toFixed(1)} ms, computing a step ${((1000 * computing) / steps).toFixed(1)} ms`,
  );
} finally {
  await trainer.close();
  await rm(folder, { recursive: true, force: true });
}
