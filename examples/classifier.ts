// A small network learns to tell two interleaved spirals apart.
import { type MlpParams, mlp, mlpInit } from "@concord/nn";
import {
  adamw,
  argmax,
  compile,
  cosineSchedule,
  mean,
  minimise,
  ndarray,
  oneHot,
  RandomStream,
  randomKey,
  softmaxCrossEntropy,
  type Tensor,
  type Traced,
  tanh,
  toNumbers,
} from "@concord/tensor";

/** Points [2n, 2] on two spiral arms with some noise, and to which arm each belongs. */
function spirals(seed: number, n: number) {
  const random = new RandomStream(randomKey(seed));
  const arms = Array.from({ length: 2 * n }, (_, i) => i % 2);
  const points = arms.map((arm) => {
    const radius = random.uniform(0.1, 1);
    const angle = 5 * radius + arm * Math.PI;
    return [radius * Math.cos(angle), radius * Math.sin(angle)].map((c) => c + random.uniform(-0.03, 0.03));
  });
  return { points: ndarray(points), labels: ndarray(arms, { dtype: "int32" }) };
}

const STEPS = 400;
const trainer = minimise({
  params: mlpInit(randomKey(1), [2, 32, 32, 2]),
  optimiser: adamw({ learningRate: cosineSchedule({ peak: 0.02, steps: STEPS }) }),
  loss: (params, { points, labels }: { points: Tensor; labels: Tensor }) =>
    mean(softmaxCrossEntropy(mlp(params, points, tanh), oneHot(labels, 2))),
});

const training = spirals(0, 200);
for (let step = 0; step <= STEPS; step++) {
  const { loss } = await trainer.step(training);
  if (step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}

// The trained parameters go into a function of their own; fresh points tell how good they are.
const test = spirals(1, 200);
const classify = compile((params: Traced<MlpParams>, points: Tensor) => argmax(mlp(params, points, tanh)));
const found = toNumbers(await classify(trainer.state().params, test.points));
const right = found.filter((label, i) => label === test.labels.data[i]).length;
console.log(`accuracy on new points: ${((100 * right) / found.length).toFixed(1)} %`);
await trainer.close();
