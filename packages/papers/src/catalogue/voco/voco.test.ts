import { cosineSimilarity } from "@concord/align";
import {
  asTensor,
  compile,
  evaluate,
  grad,
  mul,
  type NDArray,
  ndarray,
  normalArray,
  RandomStream,
  randomKey,
  slice,
  type Tensor,
  tensor,
  toNumbers,
  uniformArray,
  valueAndGradWithAux,
  zeros,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { vocoLoss } from "./objective.ts";
import { baseCentres, positionLabels } from "./position-labels.ts";
import { predictionLossOfLogits, vocoLogits, vocoPredictionLoss } from "./prediction-loss.ts";
import { vocoProjector, vocoProjectorInit } from "./projector.ts";
import { vocoRegularisationLoss } from "./regularisation-loss.ts";
import { warmupCosine } from "./warmup-cosine.ts";

type Trees = Readonly<Record<string, Tensor>>;

/** Values and gradients of a loss in all its inputs, in one graph. */
async function lossAndGradients<T extends Trees>(
  inputs: T,
  of: (inputs: T) => { readonly loss: Tensor; readonly values: Trees },
) {
  const { aux, gradients } = valueAndGradWithAux((x: T) => {
    const { loss, values } = of(x);
    return { value: loss, aux: values };
  })(inputs);
  const results = (await evaluate({ aux, gradients })) as unknown as {
    aux: Record<string, NDArray>;
    gradients: { [K in keyof T]: NDArray };
  };
  return results;
}

const shape = { V: 2, R: 3, n: 4, D: 5 };
const crops = normalArray(randomKey(1), [shape.V, shape.R, shape.D]);
const bases = normalArray(randomKey(2), [shape.V, shape.n, shape.D]);
const labels = positionLabels(uniformArray(randomKey(3), [shape.V, shape.R, 2], 8, 24), {
  cropSize: 16,
  grid: 2,
});

/** Row i of volume v. */
function row(array: NDArray, v: number, i: number): number[] {
  const [, rows = 0, width = 0] = array.shape;
  const from = (v * rows + i) * width;
  return Array.from({ length: width }, (_, k) => Number(array.data[from + k]));
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((total, value, k) => total + value * (y[k] as number), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe("plain loops agree", () => {
  it("on labels: counted voxel by voxel", () => {
    const random = new RandomStream(randomKey(4));
    for (let trial = 0; trial < 20; trial++) {
      const [size, grid] = [4 + 2 * random.integer(4), 2 + random.integer(3)];
      const reach = size * (grid - 1);
      const centre = [size / 2 + random.integer(reach + 1), size / 2 + random.integer(reach + 1)] as const;
      const counted = new Float64Array(grid * grid);
      for (let x = centre[0] - size / 2; x < centre[0] + size / 2; x++)
        for (let y = centre[1] - size / 2; y < centre[1] + size / 2; y++) {
          const cell = Math.floor(x / size) * grid + Math.floor(y / size);
          counted[cell] = (counted[cell] as number) + 1 / size ** 2;
        }
      const found = toNumbers(positionLabels(ndarray([...centre]), { cropSize: size, grid }));
      found.forEach((value, i) => {
        expect(value).toBeCloseTo(counted[i] as number, 6);
      });
    }
  });

  it("on the loss of both forms, without a teacher", async () => {
    for (const form of ["paper", "released"] as const) {
      let [prediction, regularisation] = [0, 0];
      for (let v = 0; v < shape.V; v++) {
        let [surprise, positive, overlap, negative, away] = [0, 0, 0, 0, 0];
        for (let r = 0; r < shape.R; r++)
          for (let i = 0; i < shape.n; i++) {
            const logit = Math.max(0, cosine(row(crops, v, r), row(bases, v, i)));
            const label = row(labels, v, r)[i] as number;
            const cost = -Math.log(1 - Math.abs(label - logit) + 1e-6);
            surprise += cost / (shape.R * shape.n);
            positive += label * cost;
            overlap += label;
            if (label === 0) {
              negative += logit ** 2;
              away++;
            }
          }
        const released = positive / (overlap + 1e-6) + negative / (away + 1e-6);
        prediction += (form === "paper" ? surprise : released) / shape.V;
        for (let i = 0; i < shape.n; i++)
          for (let j = i + 1; j < shape.n; j++) {
            const c = cosine(row(bases, v, i), row(bases, v, j));
            const cost = form === "paper" ? Math.abs(c) : Math.max(0, c) ** 2;
            regularisation += (2 * cost) / (shape.n * (shape.n - 1)) / shape.V;
          }
      }
      const found = await evaluate(
        vocoLoss({ crops: asTensor(crops), bases: asTensor(bases) }, asTensor(labels), {
          form,
          lambdaReg: 0.5,
        }),
      );
      expect(Number(found.prediction.data[0])).toBeCloseTo(prediction, 5);
      expect(Number(found.regularisation.data[0])).toBeCloseTo(regularisation, 5);
      expect(Number(found.loss.data[0])).toBeCloseTo(prediction + 0.5 * regularisation, 5);
    }
  });
});

describe("what is easily got wrong", () => {
  const gradientsOf = (of: (crops: Tensor, bases: Tensor) => Tensor) =>
    lossAndGradients({ crops: asTensor(crops), bases: asTensor(bases) }, (x) => ({
      loss: of(x.crops, x.bases),
      values: {},
    }));
  const isZero = (array: NDArray): boolean => toNumbers(array).every((value) => value === 0);

  it("lets no gradient into the bases in the prediction, nor into the crops in the regularisation", async () => {
    const prediction = await gradientsOf((p, q) => vocoPredictionLoss(p, q, asTensor(labels)).loss);
    expect(isZero(prediction.gradients.bases)).toBe(true);
    expect(isZero(prediction.gradients.crops)).toBe(false);
    const total = await gradientsOf((p, q) => vocoLoss({ crops: p, bases: q }, asTensor(labels)).loss);
    const alone = await gradientsOf((_, q) => vocoRegularisationLoss(q));
    expect(toNumbers(total.gradients.bases)).toEqual(toNumbers(alone.gradients.bases));
    expect(toNumbers(total.gradients.crops)).toEqual(toNumbers(prediction.gradients.crops));
    expect(isZero(alone.gradients.bases)).toBe(false);
  });

  it("stays finite where a crop points away from a base that it covers", async () => {
    const [away, base] = [tensor([[-1, 0]]), tensor([[1, 0]])];
    const { aux, gradients } = await lossAndGradients({ away }, (x) => {
      const { loss, logits } = vocoPredictionLoss(x.away, base, tensor([[0.9]]));
      return { loss, values: { loss, logits } };
    });
    expect(toNumbers(aux.logits as NDArray)).toEqual([0]);
    expect(Number(aux.loss?.data[0])).toBeCloseTo(-Math.log(0.1 + 1e-6), 5);
    expect(toNumbers(gradients.away).every(Number.isFinite)).toBe(true);
    // The worst answer there is: full overlap and no similarity.
    const worst = await evaluate(vocoPredictionLoss(away, base, tensor([[1]])).loss);
    expect(Number(worst.data[0])).toBeGreaterThan(13);
    expect(Number(worst.data[0])).toBeLessThan(15);
  });

  it("stays finite where bases have collapsed, though rounding takes cosines of long vectors beyond 1 + ε", async () => {
    const same = normalArray(randomKey(9), [16, 4096]);
    const { aux, gradients } = await lossAndGradients({ p: asTensor(same) }, ({ p }) => {
      const { loss, logits } = vocoPredictionLoss(p, asTensor(same), zeros([16, 16]));
      return { loss, values: { loss, logits } };
    });
    expect(Math.max(...toNumbers(aux.logits as NDArray))).toBe(1);
    // 16 of 256 pairs are wholly alike: -log ε / 16, and little from the others.
    expect(Number(aux.loss?.data[0])).toBeCloseTo(-Math.log(1e-6) / 16, 1);
    expect(toNumbers(gradients.p).every(Number.isFinite)).toBe(true);
  });

  it("does not depend on how long embeddings are", async () => {
    const lossesAt = async (scale: number) => {
      const [p, q] = [crops, bases].map((x) => ({ ...x, data: Float32Array.from(x.data, (v) => scale * v) }));
      const { loss, prediction } = vocoLoss(
        { crops: asTensor(p as NDArray), bases: asTensor(q as NDArray) },
        asTensor(labels),
      );
      return evaluate({ loss, prediction });
    };
    const wanted = await lossesAt(1);
    // Their squares leave the range of float32.
    for (const scale of [1e-22, 1e-4, 1e22]) {
      const found = await lossesAt(scale);
      expect(Number(found.prediction.data[0])).toBeCloseTo(Number(wanted.prediction.data[0]), 5);
      expect(Number(found.loss.data[0])).toBeCloseTo(Number(wanted.loss.data[0]), 5);
    }
    const nothing = await gradientsOf(
      (p, q) => vocoLoss({ crops: mul(p, 0), bases: mul(q, 0) }, asTensor(labels)).loss,
    );
    expect(isZero(nothing.gradients.crops) && isZero(nothing.gradients.bases)).toBe(true);
  });

  it("is no softmax: a logit does not depend on the other bases", async () => {
    const all = await evaluate(vocoLogits(asTensor(crops), asTensor(bases)));
    const one = await evaluate(vocoLogits(asTensor(crops), slice(asTensor(bases), [0, 0, 0], [2, 1, 5])));
    expect(row(all, 0, 1)[0]).toBeCloseTo(row(one, 0, 1)[0] as number, 6);
    const positive = await evaluate(cosineSimilarity(tensor([row(crops, 0, 1)]), tensor([row(bases, 0, 0)])));
    expect(row(all, 0, 1)[0]).toBeCloseTo(Math.max(0, Number(positive.data[0])), 6);
  });

  it("labels are areas in the plane: they sum to 1 inside, to less beyond, and are not renormalised", () => {
    const inside = positionLabels(uniformArray(randomKey(8), [50, 2], 48, 336));
    for (let i = 0; i < 50; i++) {
      const values = toNumbers(inside).slice(16 * i, 16 * i + 16);
      expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
      expect(values.filter((value) => value > 0).length).toBeLessThanOrEqual(4);
    }
    expect(toNumbers(positionLabels(ndarray([0, 0])))[0]).toBe(0.25);
    const own = toNumbers(positionLabels(baseCentres()));
    own.forEach((value, i) => {
      expect(value).toBe(i % 17 === 0 ? 1 : 0);
    });
  });

  it("the projector standardises over all crops of the step, by this batch, in training and afterwards", async () => {
    const params = vocoProjectorInit(randomKey(5), { inputs: 6, hidden: 8, outputs: 4 });
    const x = normalArray(randomKey(6), [10, 6]);
    const run = compile((p: typeof params, input: Tensor) => vocoProjector(p as never, input));
    const together = await run(params as never, x);
    const half = await run(params as never, { dtype: "float32", shape: [5, 6], data: x.data.slice(0, 30) });
    expect(Math.abs(Number(together.data[0]) - Number(half.data[0]))).toBeGreaterThan(1e-3);
    // Shifting and scaling a feature of all crops together changes nothing: no running statistics remember it.
    const moved = Float32Array.from(x.data, (value) => 3 * value + 7);
    const after = await run(params as never, { dtype: "float32", shape: [10, 6], data: moved });
    toNumbers(together).forEach((value, i) => {
      expect(Number(after.data[i])).toBeCloseTo(value, 3);
    });
    await run.close();
  });

  it("the teacher belongs to the released form alone", async () => {
    const student = { crops: asTensor(crops), bases: asTensor(bases) };
    expect(() => vocoLoss(student, asTensor(labels), { teacher: student })).toThrow(
      /paper's form has no teacher/,
    );
    const withTeacher = await gradientsOf(
      (p, q) =>
        vocoLoss({ crops: p, bases: q }, asTensor(labels), {
          form: "released",
          lambdaReg: 0,
          teacher: { crops: slice(asTensor(bases), [0, 0, 0], [2, 3, 5]), bases: asTensor(bases) },
        }).loss,
    );
    // The one place where the prediction does reach the student's bases.
    expect(isZero(withTeacher.gradients.bases)).toBe(false);
    const teacherSide = await evaluate(
      grad(
        (teacher: { crops: Tensor; bases: Tensor }) =>
          vocoLoss(student, asTensor(labels), { form: "released", teacher }).loss,
      )({ crops: asTensor(crops), bases: asTensor(bases) }),
    );
    expect(isZero(teacherSide.crops) && isZero(teacherSide.bases)).toBe(true);
  });

  it("never compares volumes: another volume's bases change nothing", async () => {
    const other = { ...bases, data: Float32Array.from(bases.data, (v, i) => (i < 20 ? v : -3 * v + 1)) };
    const [before, after] = await Promise.all(
      [bases, other].map((q) => evaluate(vocoLogits(asTensor(crops), asTensor(q)))),
    );
    expect(toNumbers(after as NDArray).slice(0, 12)).toEqual(toNumbers(before as NDArray).slice(0, 12));
  });
});

it("says what is wrong with its arguments", () => {
  const [p, q, y] = [asTensor(crops), asTensor(bases), asTensor(labels)];
  expect(() => positionLabels(ndarray([1, 2, 3]))).toThrow(/shape \[\.\.\., 2\], got \[3\]/);
  expect(() => positionLabels(ndarray([1, Number.NaN]))).toThrow(/centre of crop 0 is \(1, NaN\)/);
  expect(() => positionLabels(ndarray([1, 2]), { grid: 0 })).toThrow(/grid must be an integer >= 1, got 0/);
  expect(() => positionLabels(ndarray([1, 2]), { cropSize: -1 })).toThrow(/size of a crop/);
  expect(() => vocoPredictionLoss(p, q, y, { form: "softmax" as never })).toThrow(/"paper" or "released"/);
  expect(() => vocoPredictionLoss(p, q, y, { eps: 0 })).toThrow(/eps must lie in/);
  expect(() => vocoPredictionLoss(p, slice(q, [0, 0, 0], [1, 4, 5]), y)).toThrow(/crops of volumes \[2\]/);
  expect(() => vocoPredictionLoss(p, q, slice(y, [0, 0, 0], [2, 3, 2]))).toThrow(/axis n is 2/);
  expect(() => predictionLossOfLogits(tensor([[0.5]]), y)).toThrow(/axis/);
  expect(() => vocoRegularisationLoss(slice(q, [0, 0, 0], [2, 1, 5]))).toThrow(/at least two bases, got 1/);
  expect(() => vocoLoss({ crops: p, bases: q }, y, { lambdaReg: Number.NaN })).toThrow(/lambdaReg/);
  expect(() => warmupCosine({ warmup: 11, steps: 10 })).toThrow(/warmup must lie in/);
});
