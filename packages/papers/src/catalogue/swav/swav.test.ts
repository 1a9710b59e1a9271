import { swappedPrediction } from "@concord/align";
import {
  compile,
  evaluate,
  mul,
  type NDArray,
  type Tensor,
  tensor,
  toNumbers,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { asInput, matrix, plainCodes, plainLoss, random, sums } from "./plain-loops.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { sinkhornKnopp } from "./sinkhorn-knopp.ts";
import { swappedPredictionLoss } from "./swapped-prediction.ts";

describe("codes", () => {
  it("are those of the plain loops, rows adding up to 1, for B ≠ K", async () => {
    for (const [B, K, eps, iters] of [
      [3, 7, 0.05, 3],
      [11, 4, 0.2, 5],
      [1, 3, 0.05, 1],
    ] as const) {
      const scores = await mul(random(B, [B, K]), 0.4).data();
      const codes = await sinkhornKnopp(tensor(matrix(scores)), { eps, iters }).data();
      expect(sums(codes, 1).every((total) => Math.abs(total - 1) < 1e-5)).toBe(true);
      const expected = plainCodes(matrix(scores), eps, iters).flat();
      toNumbers(codes).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 5));
    }
  });

  it("use all prototypes equally where a softmax of each sample uses one", async () => {
    // All samples prefer prototype 0.
    const scores = Array.from({ length: 12 }, (_, b) => [0.9, 0.3 + 0.02 * b, 0.2 - 0.02 * b]);
    const codes = await sinkhornKnopp(tensor(scores), { iters: 50 }).data();
    for (const mass of sums(codes, 0)) expect(mass).toBeCloseTo(4, 2);
  });

  it("do not overflow for scores far beyond cosines", async () => {
    const codes = await sinkhornKnopp(
      tensor([
        [900, -900],
        [880, 905],
      ]),
    ).data();
    expect(toNumbers(codes).every(Number.isFinite)).toBe(true);
    expect(sums(codes, 1)).toEqual([1, 1]);
  });

  it("refuse bad settings", () => {
    const scores = tensor([[0.1, 0.2]]);
    expect(() => sinkhornKnopp(scores, { eps: 0 })).toThrow(/epsilon must be > 0, got 0/);
    expect(() => sinkhornKnopp(scores, { iters: 1.5 })).toThrow(/iterations must be an integer >= 1/);
    expect(() => sinkhornKnopp(tensor([1, 2]))).toThrow(/scores/);
  });
});

describe("swapped prediction", () => {
  const [V, B, D, K] = [4, 3, 5, 7];
  const projections = asInput(random(1, [V * B, D]));
  const prototypes = normalizePrototypes(asInput(random(2, [K, D])));
  const options = { nCrops: V, batchSize: B };

  it.each([[[0, 1]], [[2]], [[3, 0, 1]]])(
    "is the plain double sum when crops %j give codes",
    async (cropsForAssign) => {
      const found = await evaluate(
        swappedPredictionLoss(projections, prototypes, { ...options, cropsForAssign }),
      );
      const scores = Array.from({ length: V }, (_, v) => matrix(found.scores).slice(v * B, (v + 1) * B));
      const codes = new Map(cropsForAssign.map((a) => [a, plainCodes(scores[a] as number[][], 0.05, 3)]));
      expect(Number(found.loss.data[0])).toBeCloseTo(plainLoss(scores, codes, 0.1), 4);
    },
  );

  it("never lets a crop predict its own code, nor a small crop give one", async () => {
    // With one crop giving codes, that crop's own projections get no gradient: it predicts nothing, and codes are constants.
    const gradients = await compile(
      () =>
        valueAndGrad(
          (p: Tensor) => swappedPredictionLoss(p, prototypes, { ...options, cropsForAssign: [1] }).loss,
        )(projections).gradients,
    )();
    const rows = matrix(gradients);
    for (let v = 0; v < V; v++) {
      const size = rows
        .slice(v * B, (v + 1) * B)
        .flat()
        .reduce((total, g) => total + Math.abs(g), 0);
      if (v === 1) expect(size).toBe(0);
      else expect(size).toBeGreaterThan(0.01);
    }
    const found = await evaluate(swappedPredictionLoss(projections, prototypes, options));
    expect(found.codes).toHaveLength(2);
  });

  it("has the gradient (p - Q) / τ B in the scores, codes held constant", async () => {
    const [rows, temperature] = [4, 0.1];
    const scores = [random(3, [rows, K]), random(4, [rows, K]), random(5, [rows, K])].map((array) =>
      mul(array, 0.3),
    );
    const codes = scores.slice(0, 2).map((s) => sinkhornKnopp(s));
    const gradients = valueAndGrad((given: readonly Tensor[]) =>
      swappedPrediction(
        given,
        given.slice(0, 2).map((s) => sinkhornKnopp(s)),
        { temperature },
      ),
    )(scores).gradients;
    const found = await evaluate({ gradients, codes, scores });
    for (let v = 0; v < 3; v++) {
      const expected = matrix(found.scores[v] as NDArray).map((row, b) => {
        const total = row.reduce((sum, s) => sum + Math.exp(s / temperature), 0);
        return row.map((s, k) =>
          [0, 1]
            .filter((a) => a !== v)
            .reduce((sum, a) => {
              const code = matrix(found.codes[a] as NDArray)[b]?.[k] as number;
              return sum + (Math.exp(s / temperature) / total - code) / (temperature * rows) / 4;
            }, 0),
        );
      });
      const got = toNumbers(found.gradients[v] as NDArray);
      expected.flat().forEach((value, i) => expect(got[i]).toBeCloseTo(value, 4));
    }
  });

  it("refuses crops and rows that do not fit", () => {
    const loss = (more: object) => () =>
      swappedPredictionLoss(projections, prototypes, { ...options, ...more });
    expect(loss({ nCrops: 1 })).toThrow(/nCrops must be an integer >= 2, got 1/);
    expect(loss({ nCrops: 5 })).toThrow(/5 crops of 3 images make 15 rows, got 12/);
    expect(loss({ cropsForAssign: [] })).toThrow(/different crops from 0 to 3, got \[\]/);
    expect(loss({ cropsForAssign: [0, 0] })).toThrow(/different crops/);
    expect(loss({ cropsForAssign: [4] })).toThrow(/different crops/);
    expect(loss({ temperature: -1 })).toThrow(/temperature must be > 0/);
  });
});
