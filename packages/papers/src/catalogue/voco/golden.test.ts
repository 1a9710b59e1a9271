import {
  asTensor,
  evaluate,
  mul,
  type NDArray,
  ndarray,
  sum,
  type Tensor,
  transpose,
  valueAndGradWithAux,
} from "@concord/tensor";
import { expect, it } from "vitest";
import { z } from "zod";
import { givenNumbers, goldenCases } from "../../../test/golden.ts";
import { vocoLoss } from "./objective.ts";
import { positionLabels } from "./position-labels.ts";
import { type VocoForm, vocoPredictionLoss } from "./prediction-loss.ts";
import { vocoProjector } from "./projector.ts";
import { vocoRegularisationLoss } from "./regularisation-loss.ts";
import { ema } from "./teacher.ts";
import { warmupCosine } from "./warmup-cosine.ts";

// Every function of golden.json by the names of the file, for whatever cases it holds. What a case leaves out keeps its
// default; what it expects must all be there.

const golden = goldenCases(import.meta.url);
type Case = ReturnType<typeof golden.of>;
type Inputs = Readonly<Record<string, Tensor>>;
type Parts = Readonly<Record<string, Tensor | undefined>>;
type Outputs = Readonly<Record<string, NDArray>>;

function formOf({ inputs }: Case): { readonly form?: VocoForm } {
  return inputs.form === undefined ? {} : { form: z.enum(["paper", "released"]).parse(inputs.form) };
}

/** What `of` computes, and the gradients of its loss as `grad_` and the name of the input. */
async function withGradients(
  data: Case,
  keys: readonly string[],
  of: (inputs: Inputs) => Parts,
): Promise<Outputs> {
  const { aux, gradients } = valueAndGradWithAux((inputs: Inputs) => {
    const { loss, ...rest } = of(inputs);
    if (!loss) throw new Error("there is no loss to follow back");
    const known = Object.entries(rest).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
    return { value: loss, aux: { loss, ...Object.fromEntries(known) } };
  })(Object.fromEntries(keys.map((key) => [key, data.tensor(key)])));
  const found = await evaluate({ aux, gradients });
  const slopes = Object.entries(found.gradients).map(([key, array]) => [`grad_${key}`, array]);
  return { ...found.aux, ...Object.fromEntries(slopes) } as Outputs;
}

function labelsOf(data: Case): NDArray {
  if (data.inputs.centres === undefined) return data.array("labels");
  return positionLabels(data.array("centres"), givenNumbers(data, { crop_size: "cropSize", grid: "grid" }));
}

function prediction(data: Case): Promise<Outputs> {
  return withGradients(data, ["crops", "bases"], ({ crops, bases }) => ({
    ...vocoPredictionLoss(crops as Tensor, bases as Tensor, asTensor(labelsOf(data)), {
      ...formOf(data),
      ...givenNumbers(data, { eps: "eps" }),
    }),
  }));
}

async function regularisation(data: Case): Promise<Outputs> {
  const found: Record<string, NDArray> = {};
  for (const form of ["paper", "released"] as const) {
    const values = await withGradients(data, ["bases"], ({ bases }) => ({
      loss: vocoRegularisationLoss(bases as Tensor, { form }),
    }));
    found[form] = values.loss as NDArray;
    found[`grad_${form}_bases`] = values.grad_bases as NDArray;
    if ((data.inputs.form ?? "paper") === form) Object.assign(found, values);
  }
  return found;
}

async function total(data: Case): Promise<Outputs> {
  const labels = labelsOf(data);
  const student = data.inputs.crops === undefined ? "student_" : "";
  const taught = data.inputs.teacher_crops !== undefined;
  const values = await withGradients(data, [`${student}crops`, `${student}bases`], (inputs) => {
    const side = { crops: inputs[`${student}crops`] as Tensor, bases: inputs[`${student}bases`] as Tensor };
    const teacher = taught && { crops: data.tensor("teacher_crops"), bases: data.tensor("teacher_bases") };
    const options = { ...formOf(data), ...givenNumbers(data, { lambda_reg: "lambdaReg", eps: "eps" }) };
    return { ...vocoLoss(side, asTensor(labels), { ...options, ...(teacher && { teacher }) }) };
  });
  return { labels, ...values };
}

/** Weights as PyTorch keeps them, [outputs, inputs]; whatever a teacher has moves towards what the student calls so. */
async function projectorAndTeacher(data: Case): Promise<Outputs> {
  const moved: Record<string, NDArray> = {};
  for (const key of Object.keys(data.inputs).filter((name) => name.startsWith("teacher_"))) {
    const name = key.slice("teacher_".length);
    const { momentum } = givenNumbers(data, { momentum: "momentum" });
    const next = ema({ value: data.tensor(key) }, { value: data.tensor(name) }, momentum);
    moved[`new_${key}`] = await evaluate(next.value);
  }
  if (data.inputs.x === undefined) return moved;
  const values = await withGradients(data, ["x", "w1", "b1", "w2", "b2", "w3", "b3"], (inputs) => {
    const layer = (i: number) => ({
      weight: transpose(inputs[`w${i}`] as Tensor),
      bias: inputs[`b${i}`] as Tensor,
    });
    const out = vocoProjector({ layers: [layer(1), layer(2), layer(3)] }, inputs.x as Tensor);
    return { out, loss: sum(data.inputs.upstream === undefined ? out : mul(out, data.tensor("upstream"))) };
  });
  return { ...values, ...moved };
}

async function schedule(data: Case): Promise<Outputs> {
  const { warmup, steps } = givenNumbers(data, { warmup_steps: "warmup", total_steps: "steps" });
  if (warmup === undefined || steps === undefined) throw new Error("a schedule needs both numbers of steps");
  const at = ndarray(data.value("at"), { dtype: "float32" });
  return { multiplier: await evaluate(warmupCosine({ warmup, steps })(asTensor(at))) };
}

const functions: Readonly<Record<string, (data: Case) => Outputs | Promise<Outputs>>> = {
  position_labels: (data) => ({ labels: labelsOf(data) }),
  voco_prediction_loss: prediction,
  voco_regularisation_loss: regularisation,
  voco_loss: total,
  "voco_projector / ema": projectorAndTeacher,
  voco_projector: projectorAndTeacher,
  ema: projectorAndTeacher,
  warmup_cosine: schedule,
};

it("the golden file has cases of every component", () => {
  const known = Object.keys(functions).filter((name) => !["voco_projector", "ema"].includes(name));
  expect([...golden.functions].sort()).toEqual(known.sort());
});

it.each(golden.names)("golden case %s", async (name) => {
  const data = golden.of(name);
  const compute = functions[data.function];
  if (!compute) throw new Error(`golden.json has a case of '${data.function}', which is not known here`);
  const found = await compute(data);
  for (const key of data.expected) {
    const value = found[key];
    if (!value)
      throw new Error(`golden case '${name}' expects '${key}', which '${data.function}' does not give`);
    data.compare(key, value);
  }
});
