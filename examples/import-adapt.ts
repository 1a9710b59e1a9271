// A vision transformer that PyTorch wrote gets adapters of low rank, learns a task, and becomes an ONNX file again.
import { adaptOnnx } from "@concord/nn";
import {
  adamw,
  exportOnnx,
  importOnnx,
  mean,
  minimise,
  mul,
  type NDArray,
  ndarray,
  normalArray,
  oneHot,
  randomKey,
  softmaxCrossEntropy,
  type Tensor,
  toNumbers,
} from "@concord/tensor";
import * as ort from "onnxruntime-node";

const path = new URL("../packages/tensor/test/onnx/fixtures/vit.onnx", import.meta.url).pathname;
const layer = await importOnnx(path, { trainable: "none" });
for (const { name, shape } of layer.inputs) console.log(`input ${name} [${shape?.join(", ")}]`);

const adapted = adaptOnnx(randomKey(1), layer, { rank: 4, alpha: 8 });
const count = (arrays: readonly NDArray[]): number => arrays.reduce((n, { data }) => n + data.length, 0);
const pairs = Object.values(adapted.params).flatMap(({ down, up }) => [down, up]);
console.log(`${count(Object.values(layer.frozen))} weights stay, ${count(pairs)} of the adapters learn`);

/** Noise with a bright left or right half: the class. */
function pictures(seed: number, n: number) {
  const image = normalArray(randomKey(seed), [n, 3, 12, 12]);
  const labels = Array.from({ length: n }, (_, i) => i % 2);
  for (let at = 0; at < image.data.length; at++) {
    const [item, column] = [Math.floor(at / 432), at % 12];
    if (column >= 6 === (labels[item] === 1)) image.data[at] = (image.data[at] as number) + 1;
  }
  return { image, labels: ndarray(labels, { dtype: "int32" }) };
}

const trainer = minimise({
  params: adapted.params,
  optimiser: adamw({ learningRate: 1e-2 }),
  loss: (params, { image, labels }: { image: Tensor; labels: Tensor }) => {
    const { embedding } = adapted.apply(params, { image });
    return mean(softmaxCrossEntropy(mul(embedding as Tensor, 10), oneHot(labels, 6)));
  },
});
const training = pictures(2, 64);
for (let step = 0; step <= 60; step++) {
  const { loss } = await trainer.step(training);
  if (step % 20 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

// The adapters' changes are added to the weights; what is exported is a plain model again.
const weights = await adapted.merge(trainer.state().params);
await trainer.close();
const model = exportOnnx((p: Record<string, Tensor>, feeds) => layer.apply(p, feeds), {
  inputs: { image: { shape: ["batch", 3, 12, 12] } },
  params: weights,
});
const session = await ort.InferenceSession.create(model);
const test = pictures(3, 200);
const { embedding } = await session.run({
  image: new ort.Tensor(test.image.data as Float32Array, test.image.shape),
});
const scores = embedding?.data as Float32Array;
const right = toNumbers(test.labels).filter((label, i) => {
  const row = [...scores.slice(6 * i, 6 * i + 6)];
  return row.indexOf(Math.max(...row)) === label;
});
console.log(`accuracy on new images: ${((100 * right.length) / 200).toFixed(1)} %`);
