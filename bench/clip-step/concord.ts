import { textTransformer, textTransformerInit, visionTransformer, visionTransformerInit } from "@concord/nn";
import {
  add,
  adamw,
  createTrainer,
  eye,
  foldIn,
  l2Normalize,
  logSoftmax,
  matmul,
  mul,
  ndarray,
  neg,
  randomKey,
  sum,
  type Tensor,
  transpose,
  uniformArray,
  valueAndGrad,
  zerosArray,
} from "@concord/tensor";
import { serve } from "../engine-process.ts";
import { model } from "./model.ts";

const { batch, width, layers, heads, imageSize, patchSize, textTokens, vocabulary, temperature, learningRate } = model;
const key = randomKey(0);
const params = {
  image: visionTransformerInit(foldIn(key, 0), { imageSize, patchSize, width, layers, outputs: width }),
  text: textTransformerInit(foldIn(key, 1), { vocabulary, context: textTokens, width, layers, outputs: width }),
};
const optimiser = adamw({ learningRate, weightDecay: 0 });
const ids = uniformArray(foldIn(key, 2), [batch, textTokens], 0, vocabulary);
const data = {
  images: uniformArray(foldIn(key, 3), [batch, 3, imageSize, imageSize]),
  ids: ndarray(Array.from(ids.data, Math.floor), { shape: ids.shape, dtype: "int32" }),
  mask: zerosArray([batch, textTokens]),
};
data.mask.data.fill(1);

function infoNCE(a: Tensor, b: Tensor): Tensor {
  const logits = matmul(l2Normalize(a), l2Normalize(b), { transposeB: true, scale: 1 / temperature });
  const diagonal = eye(batch);
  const oneWay = (x: Tensor): Tensor => neg(mul(sum(mul(logSoftmax(x), diagonal)), 1 / batch));
  return mul(add(oneWay(logits), oneWay(transpose(logits))), 0.5);
}

const trainer = createTrainer({
  state: { params, optimiser: optimiser.init(params) },
  step: (state, { images, ids: tokens, mask }: { images: Tensor; ids: Tensor; mask: Tensor }) => {
    const { value: loss, gradients } = valueAndGrad((p: typeof state.params) =>
      infoNCE(visionTransformer(p.image, images, { patchSize, heads }), textTransformer(p.text, tokens, mask, { heads })),
    )(state.params);
    const next = optimiser.update(state.params, gradients, state.optimiser);
    return { state: { params: next.params, optimiser: next.state }, metrics: { loss } };
  },
  options: { name: "clip-step", ...(process.env.CONCORD_PROFILE ? { profile: process.env.CONCORD_PROFILE } : {}) },
});

await serve({ name: "concord", step: async () => (await trainer.step(data)).loss, close: () => trainer.close() });
