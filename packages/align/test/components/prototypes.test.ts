import { createTrainer, mul, softmax, sum, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  classMeans,
  prototypeAlignment,
  prototypeCrossEntropy,
  swappedPrediction,
  updatePrototypes,
} from "../../src/index.ts";
import { dotProduct, expectGradientOfDifferences, randomMatrix, toMatrix, unit } from "../support.ts";
import { expectClose, fixtures, flags, gradientOf, integers, run, wide } from "./support.ts";

type Results = Record<string, { readonly data: ArrayLike<number>; readonly shape: readonly number[] }>;
const list = (results: unknown, name: string): number[] =>
  Array.from((results as Results)[name]?.data as ArrayLike<number>, Number);

describe("classMeans", () => {
  const features = wide(toMatrix(randomMatrix(1, 6, 3)));
  const labels = [1, 0, 1, -100, 3, 1];

  it("equals the loop over labels, and leaves rows with other labels out", async () => {
    const result = await run((f, y) => classMeans(f, y, { classes: 4 }), features, integers(labels));
    const rows = toMatrix(features);
    const want = [0, 1, 2, 3].map((k) => {
      const own = rows.filter((_, i) => labels[i] === k);
      return [0, 1, 2].map(
        (d) => own.reduce((s, row) => s + (row[d] as number), 0) / Math.max(1, own.length),
      );
    });
    expectClose(list(result, "means"), want, 1e-12);
    expect(list(result, "mass")).toEqual([1, 3, 0, 1]);
    expect(list(result, "present")).toEqual([1, 1, 0, 1]);
  });

  it("takes soft weights as constants, and rows that count", async () => {
    const weights = wide(toMatrix(randomMatrix(2, 6, 2)).map((row) => row.map(Math.abs)));
    const valid = flags([1, 1, 0, 1, 1, 0]);
    const means = (f: Tensor, w: Tensor, v: Tensor) => classMeans(f, w, { valid: v }).means;
    const [rows, shares] = [toMatrix(features), toMatrix(weights)];
    const kept = [0, 1, 3, 4];
    const want = [0, 1].map((k) => {
      const mass = kept.reduce((s, i) => s + (shares[i]?.[k] as number), 0);
      return [0, 1, 2].map(
        (d) => kept.reduce((s, i) => s + (shares[i]?.[k] as number) * (rows[i]?.[d] as number), 0) / mass,
      );
    });
    expectClose(await run(means, features, weights, valid), want, 1e-12);
    const score = (f: Tensor, w: Tensor, v: Tensor) => sum(mul(means(f, w, v), means(f, w, v)));
    await expectGradientOfDifferences(score, features, weights, valid as never);
    const byWeights = await gradientOf((w, f, v) => score(f, softmax(w), v), weights, features, valid);
    expectClose(byWeights, Array(12).fill(0), 0);
  });

  it("needs the number of classes", () => {
    const labelled = tensor([0], { dtype: "int32" });
    expect(() => classMeans(tensor([[1]]), labelled)).toThrow(/number of classes/);
  });
});

describe("updatePrototypes", () => {
  it("follows known classes, takes new ones over and keeps absent ones", async () => {
    const update = (p: Tensor, seen: Tensor, means: Tensor, present: Tensor) =>
      updatePrototypes({ prototypes: p, seen }, { means, present }, { momentum: 0.75 });
    const old = wide([[4, 0], [8, 8], [0, 0], [0, 0]]); // biome-ignore format: a matrix
    const news = wide([[0, 4], [0, 0], [2, 2], [0, 0]]); // biome-ignore format: a matrix
    const result = await run(update, old, flags([1, 1, 0, 0]), news, flags([1, 0, 1, 0]));
    expect(list(result, "prototypes")).toEqual([3, 1, 8, 8, 2, 2, 0, 0]);
    expect(list(result, "seen")).toEqual([1, 1, 1, 0]);
  });

  it("passes gradients to the batch's means with the factor 1 - λ only", async () => {
    const total = (means: Tensor, old: Tensor, seen: Tensor, present: Tensor) =>
      sum(updatePrototypes({ prototypes: old, seen }, { means, present }, { momentum: 0.75 }).prototypes);
    const rest = [wide([[1], [1], [1]]), flags([1, 0, 1]), flags([1, 1, 0])] as const;
    expectClose(await gradientOf(total, wide([[5], [5], [5]]), ...rest), [0.25, 1, 0], 1e-12);
    const byOld = (old: Tensor, means: Tensor, seen: Tensor, present: Tensor) =>
      total(means, old, seen, present);
    expectClose(await gradientOf(byOld, rest[0], wide([[5], [5], [5]]), rest[1], rest[2]), [0, 0, 0], 0);
  });

  it("is state of a trainer and converges to the class means of a constant batch", async () => {
    const trainer = createTrainer({
      state: {
        prototypes: { dtype: "float32" as const, shape: [2, 2], data: new Float32Array(4) },
        seen: flags([0, 0]),
      },
      step: (state: { prototypes: Tensor; seen: Tensor }, batch: { x: Tensor; y: Tensor }) => {
        const next = updatePrototypes(state, classMeans(batch.x, batch.y, { classes: 2 }), {
          normalize: true,
        });
        return {
          state: { prototypes: next.prototypes, seen: next.seen },
          metrics: { loss: sum(next.prototypes) },
        };
      },
    });
    const x = { dtype: "float32" as const, shape: [3, 2], data: Float32Array.of(2, 0, 4, 0, 0, -3) };
    for (let i = 0; i < 3; i++) await trainer.step({ x, y: integers([0, 0, 1]) });
    expectClose(trainer.state().prototypes, [1, 0, 0, -1], 1e-6);
    await trainer.close();
  });
});

describe("prototypeCrossEntropy", () => {
  const f = fixtures.prototypes;
  const args = [wide(f.features), wide(f.prototypes), integers(f.labels)] as const;
  const loss = (x: Tensor, c: Tensor, y: Tensor) =>
    prototypeCrossEntropy(x, c, y, { temperature: f.temperature });

  it("equals PyTorch's cross-entropy, gradients too", async () => {
    expectClose(await run(loss, ...args), [f.loss], 1e-12);
    expectClose(await gradientOf(loss, ...args), f.features_gradient, 1e-12);
    const byPrototypes = (c: Tensor, x: Tensor, y: Tensor) => loss(x, c, y);
    expectClose(await gradientOf(byPrototypes, args[1], args[0], args[2]), f.prototypes_gradient, 1e-12);
  });

  it("takes a temperature for each prototype and leaves absent ones out", async () => {
    const each = (x: Tensor, c: Tensor, y: Tensor, phi: Tensor) =>
      prototypeCrossEntropy(x, c, y, { concentrations: phi });
    expectClose(await run(each, ...args, wide(Array(4).fill(f.temperature))), [f.loss], 1e-12);
    const masked = (x: Tensor, c: Tensor, y: Tensor, m: Tensor) =>
      prototypeCrossEntropy(x, c, y, { temperature: f.temperature, present: m });
    const without = integers(f.labels.map((y) => (y === 3 ? -1 : y)));
    const three = await run(loss, args[0], wide(f.prototypes.slice(0, 3)), without);
    expectClose(await run(masked, ...args, flags([1, 1, 1, 0])), [Number(three.data[0])], 1e-12);
    expectClose(await run(masked, ...args, flags([0, 0, 0, 0])), [0], 0);
  });
});

describe("prototypeAlignment", () => {
  const [s, t] = [wide(toMatrix(randomMatrix(4, 4, 3))), wide(toMatrix(randomMatrix(5, 4, 3)))];

  it("equals the loop over classes", async () => {
    const [a, b] = [toMatrix(s).map(unit), toMatrix(t).map(unit)];
    const [validA, validB] = [[1, 1, 0, 1], [1, 1, 1, 0]]; // biome-ignore format: two masks
    const e = (x: number[], y: number[]): number => Math.exp(dotProduct(x, y) / 0.3);
    for (const withinSides of [true, false]) {
      const side = (k: number, x: number[][], y: number[][], validX: number[], validY: number[]): number => {
        let total = 0;
        for (let j = 0; j < 4; j++) {
          if (validY[j]) total += e(x[k] as number[], y[j] as number[]);
          if (withinSides && j !== k && validX[j]) total += e(x[k] as number[], x[j] as number[]);
        }
        return Math.log(total) - dotProduct(x[k] as number[], y[k] as number[]) / 0.3;
      };
      const losses = [0, 1].map((k) => (side(k, a, b, validA, validB) + side(k, b, a, validB, validA)) / 2);
      const loss = (x: Tensor, y: Tensor, m: Tensor, n: Tensor) =>
        prototypeAlignment(x, y, { temperature: 0.3, validSource: m, validTarget: n, withinSides });
      const value = await run(loss, s, t, flags(validA), flags(validB));
      expectClose(value, [((losses[0] as number) + (losses[1] as number)) / 2], 1e-12);
    }
  });

  it("is 0 when no class is on both sides, and has its gradient", async () => {
    const loss = (x: Tensor, y: Tensor, m: Tensor, n: Tensor) =>
      prototypeAlignment(x, y, { validSource: m, validTarget: n });
    expect(Number((await run(loss, s, t, flags([1, 1, 0, 0]), flags([0, 0, 1, 1]))).data[0])).toBe(0);
    await expectGradientOfDifferences((x, y) => prototypeAlignment(x, y, { temperature: 0.5 }), s, t);
  });
});

describe("swappedPrediction", () => {
  const { scores, codes, loss, gradients } = fixtures.swav;
  // The second code is recomputed where it is needed: the fixture holds the loss that both give.
  it("equals PyTorch, gradients too", async () => {
    const { sinkhornCodes } = await import("../../src/index.ts");
    const value = (a: Tensor, b: Tensor, c: Tensor) =>
      swappedPrediction([a, b, c], [sinkhornCodes(a), sinkhornCodes(b)]);
    const args = scores.map((matrix) => wide(matrix));
    expectClose(await run(value, ...args), [loss], 1e-12);
    expectClose(await gradientOf(value, ...(args as [])), gradients[0] as number[][], 1e-12);
    const last = (c: Tensor, a: Tensor, b: Tensor) => value(a, b, c);
    const rolled = [args[2], args[0], args[1]] as never[];
    expectClose(await gradientOf(last, ...(rolled as [])), gradients[2] as number[][], 1e-12);
    expect(codes.length).toBe(4);
  });

  it("refuses a single view and more codes than views", () => {
    const x = tensor([[1, 2]]);
    expect(() => swappedPrediction([x], [x])).toThrow(/at least 2 views/);
    expect(() => swappedPrediction([x, x], [x, x, x])).toThrow(/3 codes/);
    expect(() => swappedPrediction([x, tensor([[1]])], [x])).toThrow(/scores\[1\]/);
  });
});
