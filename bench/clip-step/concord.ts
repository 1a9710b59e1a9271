import { textTransformer, visionTransformer } from "@concord/nn";
import {
  adamw,
  add,
  eye,
  l2Normalize,
  logSoftmax,
  matmul,
  minimise,
  mul,
  neg,
  sum,
  type Tensor,
  transpose,
  zerosArray,
} from "@concord/tensor";
import { serveConcord, stepOptions } from "../support/concord.ts";
import type { initialState } from "./initial.ts";
import { workload } from "./model.ts";

await serveConcord(({ params, images, ids }: ReturnType<typeof initialState>, size) => {
  const { batch, heads, patchSize, textTokens, temperature, learningRate } = workload.sizes[size];
  const mask = zerosArray([batch, textTokens]);
  mask.data.fill(1);

  function infoNCE(a: Tensor, b: Tensor): Tensor {
    const logits = matmul(l2Normalize(a), l2Normalize(b), { transposeB: true, scale: 1 / temperature });
    const diagonal = eye(batch);
    const oneWay = (x: Tensor): Tensor => neg(mul(sum(mul(logSoftmax(x), diagonal)), 1 / batch));
    return mul(add(oneWay(logits), oneWay(transpose(logits))), 0.5);
  }

  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate, weightDecay: 0 }),
    loss: (p, data: { images: Tensor; ids: Tensor; mask: Tensor }) =>
      infoNCE(
        visionTransformer(p.image, data.images, { patchSize, heads }),
        textTransformer(p.text, data.ids, data.mask, { heads }),
      ),
    options: stepOptions("clip-step"),
  });
  return { trainer, batch: { images, ids, mask } };
});
