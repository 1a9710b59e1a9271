import { linear, normalizeBatch, resnet } from "@concord/nn";
import {
  add,
  concat,
  createTrainer,
  div,
  exp,
  l2Normalize,
  logSoftmax,
  matmul,
  mul,
  narrow,
  neg,
  relu,
  sgd,
  stopGradient,
  sum,
  type Tensor,
  type Traced,
  valueAndGradWithAux,
} from "@concord/tensor";
import { serveConcord, stepOptions } from "../support/concord.ts";
import type { initialState } from "./initial.ts";
import { type SwavModel, workload } from "./model.ts";

type Initial = ReturnType<typeof initialState>;

/** Codes: rows add up to 1, columns to B / K. [B, K] */
function sinkhorn(scores: Tensor, { epsilon, iterations, batch, prototypes }: SwavModel): Tensor {
  let codes = exp(mul(stopGradient(scores), 1 / epsilon));
  codes = div(codes, sum(codes));
  for (let i = 0; i < iterations; i++) {
    codes = div(codes, mul(sum(codes, { axes: 0, keepDims: true }), prototypes));
    codes = div(codes, mul(sum(codes, { axes: 1, keepDims: true }), batch));
  }
  return mul(codes, batch);
}

await serveConcord(({ params, statistics, large, small }: Initial, size) => {
  const model = workload.sizes[size];
  const { batch, temperature, learningRate, momentum } = model;
  const optimiser = sgd({ learningRate, momentum });
  const views = model.large.crops + model.small.crops;

  function lossOf(
    p: Traced<Initial["params"]>,
    running: Traced<Initial["statistics"]>,
    data: { readonly large: Tensor; readonly small: Tensor },
  ) {
    const first = resnet(p.encoder, running.encoder, data.large);
    const second = resnet(p.encoder, first.statistics, data.small);
    const hidden = linear(p.projector.hidden, concat([first.y, second.y], 0));
    const normed = normalizeBatch(p.projector.norm, running.projector, hidden, {});
    const embeddings = l2Normalize(linear(p.projector.output, relu(normed.y)));
    const scores = matmul(embeddings, p.prototypes, { transposeB: true });
    const logProbabilities = logSoftmax(mul(scores, 1 / temperature));
    const crop = (x: Tensor, i: number): Tensor => narrow(x, 0, i * batch, batch);
    const terms: Tensor[] = [];
    for (let i = 0; i < model.large.crops; i++) {
      const codes = sinkhorn(crop(scores, i), model);
      for (let v = 0; v < views; v++)
        if (v !== i) terms.push(neg(sum(mul(codes, crop(logProbabilities, v)))));
    }
    const total = terms.reduce(add);
    return {
      value: mul(total, 1 / (batch * terms.length)),
      aux: { encoder: second.statistics, projector: normed.statistics },
    };
  }

  const trainer = createTrainer({
    state: { params, statistics, optimiser: optimiser.init(params) },
    step: (state, data: { large: Tensor; small: Tensor }) => {
      const unit = { ...state.params, prototypes: l2Normalize(state.params.prototypes) };
      const { value, aux, gradients } = valueAndGradWithAux(lossOf)(unit, state.statistics, data);
      const next = optimiser.update(unit, gradients, state.optimiser);
      return {
        state: { params: next.params, statistics: aux, optimiser: next.state },
        metrics: { loss: value },
      };
    },
    options: stepOptions("swav-step"),
  });
  return { trainer, batch: { large, small } };
});
