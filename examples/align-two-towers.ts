import { infoNCE } from "@concord/align";
import { linear, linearInit } from "@concord/nn";
import { adamw, foldIn, l2Normalize, minimise, normalArray, randomKey, type Tensor } from "@concord/tensor";

const key = randomKey(0);
const pairs = {
  image: normalArray(foldIn(key, 0), [256, 512]),
  text: normalArray(foldIn(key, 1), [256, 384]),
};
const params = {
  image: linearInit(foldIn(key, 2), { inputs: 512, outputs: 64 }),
  text: linearInit(foldIn(key, 3), { inputs: 384, outputs: 64 }),
};
const trainer = minimise({
  params,
  optimiser: adamw({ learningRate: 3e-3 }),
  loss: (p, { image, text }: { image: Tensor; text: Tensor }) =>
    infoNCE(l2Normalize(linear(p.image, image)), l2Normalize(linear(p.text, text)), { temperature: 0.07 }),
});
for (let step = 0; step < 100; step++) console.log(step, (await trainer.step(pairs)).loss);
