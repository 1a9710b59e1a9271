import type { numpy } from "@jax-js/jax";
import { type Arrays, jax, linear, serveJax } from "../support/jax.ts";
import { batchNorm, resnet } from "../support/jax-conv.ts";
import { workload } from "./model.ts";

const { lax, nn, numpy: np, tree } = jax;

function normalize(x: numpy.Array): numpy.Array {
  const norm = np.sqrt(np.square(x.ref).sum(-1, { keepdims: true }));
  return x.div(norm);
}

function under(arrays: Arrays, folder: string): Arrays {
  const prefix = `${folder}/`;
  return Object.fromEntries(
    Object.entries(arrays)
      .filter(([path]) => path.startsWith(prefix))
      .map(([path, array]) => [path.slice(prefix.length), array]),
  );
}

await serveJax((size) => {
  const model = workload.sizes[size];
  const { batch, blocks, temperature, epsilon, iterations, prototypes, learningRate, momentum } = model;
  const views = model.large.crops + model.small.crops;

  function sinkhorn(scores: numpy.Array): numpy.Array {
    let codes = np.exp(scores.div(epsilon));
    codes = codes.ref.div(codes.sum());
    for (let i = 0; i < iterations; i++) {
      codes = codes.ref.div(codes.sum(0, { keepdims: true }).mul(prototypes));
      codes = codes.ref.div(codes.sum(1, { keepdims: true }).mul(batch));
    }
    return codes.mul(batch);
  }

  function loss(p: Arrays, statistics: Arrays, data: Arrays) {
    const encoder = under(p, "encoder");
    const first = resnet(tree.ref(encoder) as Arrays, under(statistics, "encoder"), data.large!, blocks, "");
    const second = resnet(encoder, first.statistics, data.small!, blocks, "");
    const features = np.concatenate([first.features, second.features], 0);
    const next: Arrays = {};
    const hidden = linear(p, "projector/hidden", features);
    const normed = nn.relu(batchNorm(p, "projector/norm", hidden, statistics, next, "projector"));
    const scores = np.matmul(normalize(linear(p, "projector/output", normed)), p.prototypes!.transpose());
    const crops = np.split(lax.stopGradient(scores.ref), views, 0);
    const codes = crops.slice(0, model.large.crops).map(sinkhorn);
    crops.slice(model.large.crops).forEach((crop) => crop.dispose());
    const all = codes.map((code) => code.ref).reduce((a, b) => a.add(b));
    const targets = Array.from({ length: views }, (_, v) => (codes[v] ? all.ref.sub(codes[v]) : all.ref));
    all.dispose();
    const logProbabilities = nn.logSoftmax(scores.div(temperature));
    const value = np
      .concatenate(targets, 0)
      .mul(logProbabilities)
      .sum()
      .mul(-1 / (batch * model.large.crops * (views - 1)));
    const renamed = Object.entries(second.statistics).map(([path, array]) => [`encoder/${path}`, array]);
    return { value, statistics: { ...Object.fromEntries(renamed), ...next } as Arrays };
  }

  return {
    optimiser: { kind: "momentum", learningRate, momentum },
    loss,
    before: (params) => ({ ...params, prototypes: normalize(params.prototypes!) }),
  };
});
