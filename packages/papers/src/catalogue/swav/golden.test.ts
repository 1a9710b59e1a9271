import { evaluate, mul, type Tensor, tensor, toNumbers, valueAndGradWithAux } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { type Actual, givenNumbers, goldenCases, type Numbers } from "../../../test/golden.ts";
import { larcSgdStep } from "./larc.ts";
import { lrSchedule } from "./lr-schedule.ts";
import { sums } from "./plain-loops.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { type QueuedPrediction, swappedPredictionLossWithQueue } from "./queue.ts";
import { sinkhornKnopp } from "./sinkhorn-knopp.ts";
import { type SwappedPrediction, swappedPredictionLoss } from "./swapped-prediction.ts";

// Every function of golden.json by the file's names, for whatever cases it holds.

type GoldenCase = Pick<
  ReturnType<ReturnType<typeof goldenCases>["of"]>,
  "inputs" | "value" | "number" | "list"
>;
type Outputs = Readonly<Record<string, Actual>>;

const codeSettings = { eps: "eps", iters: "iters" } as const;

async function codes(data: GoldenCase): Promise<Outputs> {
  const Q = await sinkhornKnopp(tensor(data.value("scores")), givenNumbers(data, codeSettings)).data();
  return { Q, row_sums: sums(Q, 1), column_sums: sums(Q, 0) };
}

type LossInputs = { readonly projections: Tensor; readonly prototypes: Tensor };

/** A loss with its gradients in the projections and in the prototypes of length 1. */
async function loss(data: GoldenCase): Promise<Outputs> {
  const options = {
    nCrops: data.number("n_crops"),
    batchSize: data.number("batch_size"),
    ...(data.inputs.crops_for_assign !== undefined && { cropsForAssign: data.list("crops_for_assign") }),
    ...givenNumbers(data, { ...codeSettings, temperature: "temperature" }),
  };
  const inputs = {
    projections: tensor(data.value("projections")),
    prototypes: normalizePrototypes(tensor(data.value("prototypes"))),
  };
  const compute = ({ projections, prototypes }: LossInputs): SwappedPrediction | QueuedPrediction =>
    data.inputs.queue === undefined
      ? swappedPredictionLoss(projections, prototypes, options)
      : swappedPredictionLossWithQueue(projections, prototypes, tensor(data.value("queue")), options);
  const { value, aux, gradients } = valueAndGradWithAux((tensors: LossInputs) => {
    const result = compute(tensors);
    return { value: result.loss, aux: result };
  })(inputs);
  const found = await evaluate({ value, aux, gradients });
  return {
    loss: found.value,
    scores: found.aux.scores,
    ...Object.fromEntries(found.aux.codes.map((code, a) => [`codes_view${a}`, code])),
    ...("queue" in found.aux && { queue_after: found.aux.queue }),
    grad_projections: found.gradients.projections,
    grad_normalised_prototypes: found.gradients.prototypes,
  };
}

/** The tensors of a list, or the one tensor that a list of numbers is. */
function tensors(value: Numbers): Tensor[] {
  const list = [value].flat();
  return list.every((entry) => !Array.isArray(entry)) ? [tensor(list)] : list.map((entry) => tensor(entry));
}

/** As many steps as there are gradients, from empty buffers. */
async function larc(data: GoldenCase): Promise<Outputs> {
  const options = givenNumbers(data, {
    weight_decay: "weightDecay",
    trust_coefficient: "trustCoefficient",
    momentum: "momentum",
    eps: "eps",
  });
  const numbers = async (list: readonly Tensor[]): Promise<number[]> =>
    (await Promise.all(list.map((entry) => entry.data()))).flatMap((array) => toNumbers(array));
  const outputs: Record<string, Actual> = {};
  let params = tensors(data.value("params"));
  let buffers = params.map((param) => mul(param, 0));
  for (let step = 1; data.inputs[`grads_step${step}`] !== undefined; step++) {
    const gradients = tensors(data.value(`grads_step${step}`));
    const next = params.map((param, p) =>
      larcSgdStep(param, gradients[p] as Tensor, buffers[p] as Tensor, data.number("lr"), options),
    );
    params = next.map(({ param }) => param);
    buffers = next.map(({ buffer }) => buffer);
    outputs[`params_after_step${step}`] = await numbers(params);
    outputs[`momentum_after_step${step}`] = await numbers(buffers);
  }
  return outputs;
}

async function rates(data: GoldenCase): Promise<Outputs> {
  const lr = lrSchedule({
    stepsPerEpoch: data.number("steps_per_epoch"),
    warmupEpochs: data.number("warmup_epochs"),
    epochs: data.number("epochs"),
    startWarmup: data.number("start_warmup"),
    baseLr: data.number("base_lr"),
    finalLr: data.number("final_lr"),
  });
  return { lr };
}

const functions: Readonly<Record<string, (data: GoldenCase) => Promise<Outputs>>> = {
  sinkhorn_knopp: codes,
  swapped_prediction_loss: loss,
  swapped_prediction_loss_with_queue: loss,
  larc_sgd_step: larc,
  lr_schedule: rates,
};

/** What a function of the file makes of a case's inputs. Settings that the case leaves out are the paper's. */
function goldenOutputs(name: string, data: GoldenCase): Promise<Outputs> {
  const compute = functions[name];
  if (!compute)
    throw new Error(`golden.json has the function '${name}'; known are ${Object.keys(functions).join(", ")}`);
  return compute(data);
}

const golden = goldenCases(import.meta.url);

/** The paper's settings by the file's names; LARC has an ε of its own. */
const paperSettings = {
  eps: 0.05,
  iters: 3,
  temperature: 0.1,
  crops_for_assign: [0, 1],
  weight_decay: 1e-6,
  trust_coefficient: 0.001,
  momentum: 0.9,
};

describe("golden cases", () => {
  it("cover every function", () => {
    expect([...golden.functions].sort()).toEqual([
      "larc_sgd_step",
      "lr_schedule",
      "sinkhorn_knopp",
      "swapped_prediction_loss",
      "swapped_prediction_loss_with_queue",
    ]);
  });

  it.each(golden.names)("%s, also where the paper's settings are left out", async (name) => {
    const data = golden.of(name);
    const paper = { ...paperSettings, ...(data.function === "larc_sgd_step" && { eps: 1e-8 }) };
    const changed = Object.entries(data.inputs).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify((paper as Record<string, unknown>)[key]),
    );
    for (const inputs of [data.inputs, Object.fromEntries(changed)]) {
      const outputs = await goldenOutputs(data.function, { ...data, inputs });
      for (const key of data.expected) {
        const found = outputs[key];
        if (found === undefined) throw new Error(`${data.function} has no '${key}'`);
        data.compare(key, found);
      }
    }
    data.expectAllCompared();
  });
});
