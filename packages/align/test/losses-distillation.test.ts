import { ndarray, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import {
  coSentLoss,
  cosineEmbeddingLoss,
  cosineScoreLoss,
  distillationLoss,
  featureDistillationLoss,
  infoNCE,
  relationalDistanceLoss,
  similarityMatchingLoss,
} from "../src/index.ts";
import {
  arrayOf,
  distancesOf,
  matrixOf,
  productsOf,
  slopesOf,
  testLoss,
  total,
  turned,
} from "./losses-support.ts";
import {
  dotProduct,
  type Matrix,
  randomMatrix,
  scalarOf,
  squaredDistance,
  takeRows,
  toMatrix,
  unit,
} from "./support.ts";

const [N, M] = [7, 9];
const a = randomMatrix(31, N, 4);
const b = randomMatrix(32, M, 4);
const teacherA = randomMatrix(33, N, 3);
const teacherB = randomMatrix(34, M, 3);
const identity = matrixOf(N, M, (i, j) => Number(i === j));
const everything = matrixOf(N, M, () => 1);
const soft = matrixOf(N, M, (i, j) => (i === 4 ? 0 : i === j ? 2 : (i * 5 + j) % 4 === 0 ? 0.25 : 0));
/** Leaves out a third of the pairs and all of row 5. */
const kept = matrixOf(N, M, (i, j) => (i === 5 ? 0 : Number((i + 2 * j) % 3 !== 0 || i === j)));

interface Divergence {
  readonly temperature: number;
  readonly teacherTemperature: number;
  readonly alpha: number;
  readonly reverse: boolean;
}

/** One direction of the divergence by loops, without the factor T². */
function divergenceByLoops(
  student: Matrix,
  teacher: Matrix,
  positives: Matrix,
  mask: Matrix,
  { temperature, teacherTemperature, alpha, reverse }: Divergence,
): number {
  const rows = student.flatMap((row, i) => {
    const held = row.map((_, j) => j).filter((j) => (mask[i]?.[j] as number) > 0);
    if (held.length === 0) return [];
    const soften = (logits: readonly number[], t: number): number[] => {
      const powers = held.map((j) => Math.exp((logits[j] as number) / t));
      return powers.map((power) => power / total(powers));
    };
    const p = soften(row, temperature);
    const taught = soften(teacher[i] as number[], teacherTemperature);
    const truth = held.map((j) => positives[i]?.[j] as number);
    const mass = total(truth);
    const q = taught.map((value, k) =>
      mass > 0 ? alpha * ((truth[k] as number) / mass) + (1 - alpha) * value : value,
    );
    const [from, to] = reverse ? [p, q] : [q, p];
    return [total(from.map((value, k) => (value > 0 ? value * Math.log(value / (to[k] as number)) : 0)))];
  });
  return total(rows) / rows.length;
}

describe("distillationLoss", () => {
  const student = productsOf(toMatrix(a), toMatrix(b)).map((row) => row.map((s) => 1.5 * s));
  const teacher = productsOf(toMatrix(teacherA), toMatrix(teacherB)).map((row) => row.map((s) => 0.8 * s));
  const both = (positives: Matrix, mask: Matrix, options: Divergence): number =>
    ((divergenceByLoops(student, teacher, positives, mask, options) +
      divergenceByLoops(turned(student), turned(teacher), turned(positives), turned(mask), options)) /
      2) *
    options.temperature ** 2;

  for (const reverse of [false, true])
    for (const alpha of [0, 0.3]) {
      const options = { temperature: 2, teacherTemperature: 0.7, alpha, reverse };
      testLoss({
        name: `${reverse ? "reverse" : "forward"}, α = ${alpha}, a learned scale`,
        loss: (blockRows, x, y, scale, s, t) =>
          distillationLoss(
            { a: x as Tensor, b: y as Tensor },
            { a: s as Tensor, b: t as Tensor },
            {
              logitScale: scale as Tensor,
              teacherScale: 0.8,
              temperature: 2,
              teacherTemperature: 0.7,
              alpha,
              divergence: reverse ? "reverse" : "forward",
              blockRows,
            },
          ),
        inputs: [a, b, ndarray([1.5], { shape: [] }), teacherA, teacherB],
        learned: 3,
        expected: both(identity, everything, options),
      });
    }

  testLoss({
    name: "soft positives, where a row has some, and a mask",
    loss: (blockRows, x, y, s, t, p, m) =>
      distillationLoss(
        { a: x as Tensor, b: y as Tensor },
        { a: s as Tensor, b: t as Tensor },
        {
          logitScale: 1.5,
          teacherScale: 0.8,
          alpha: 0.6,
          positives: p as Tensor,
          mask: m as Tensor,
          blockRows,
        },
      ),
    inputs: [a, b, teacherA, teacherB, arrayOf(soft), arrayOf(kept, "bool")],
    learned: 2,
    expected: both(soft, kept, { temperature: 1, teacherTemperature: 1, alpha: 0.6, reverse: false }),
  });

  test("with α = 1 it is InfoNCE, and 0 for the teacher itself", async () => {
    const square = takeRows(b, [0, 1, 2, 3, 4, 5, 6]);
    const hybrid = await scalarOf(
      (x, y) =>
        distillationLoss(
          { a: x as Tensor, b: y as Tensor },
          { a: x as Tensor, b: y as Tensor },
          { alpha: 1 },
        ),
      a,
      square,
    );
    const plain = await scalarOf((x, y) => infoNCE(x as Tensor, y as Tensor, { temperature: 1 }), a, square);
    expect(hybrid).toBeCloseTo(plain, 5);
    const self = await scalarOf(
      (x, y) => distillationLoss({ a: x as Tensor, b: y as Tensor }, { a: x as Tensor, b: y as Tensor }),
      a,
      square,
    );
    expect(Math.abs(self)).toBeLessThan(1e-6);
  });

  test("sends no gradient to the teacher", async () => {
    const { gradients } = await slopesOf(
      (s, t, x, y) =>
        distillationLoss(
          { a: x as Tensor, b: y as Tensor },
          { a: s as Tensor, b: t as Tensor },
          { alpha: 0.5 },
        ),
      [teacherA, teacherB, a, b],
      2,
    );
    expect(gradients.flat().every((slope) => slope === 0)).toBe(true);
  });

  test("rejects what does not fit", () => {
    const x = tensor([[1, 2]]);
    const sides = { a: x, b: x };
    const two = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(() => distillationLoss(sides, { a: two, b: x })).toThrow(/teacher a.*axis N is 2/);
    expect(() => distillationLoss(sides, sides, { temperature: 0 })).toThrow(/temperature must be > 0/);
    expect(() => distillationLoss(sides, sides, { alpha: 1.5 })).toThrow(/alpha must lie in \[0, 1\]/);
    expect(() => distillationLoss(sides, sides, { teacherScale: 0 })).toThrow(/teacherScale must be > 0/);
  });
});

describe("similarityMatchingLoss", () => {
  const gap = matrixOf(N, M, (i, j) => {
    const own = 1.5 * dotProduct(toMatrix(a)[i] as number[], toMatrix(b)[j] as number[]);
    return (
      (own - 0.8 * dotProduct(toMatrix(teacherA)[i] as number[], toMatrix(teacherB)[j] as number[])) ** 2
    );
  });
  testLoss({
    name: "is the mean squared difference over the pairs of the mask",
    loss: (blockRows, x, y, s, t, m) =>
      similarityMatchingLoss(
        { a: x as Tensor, b: y as Tensor },
        { a: s as Tensor, b: t as Tensor },
        { logitScale: 1.5, teacherScale: 0.8, mask: m as Tensor, blockRows },
      ),
    inputs: [a, b, teacherA, teacherB, arrayOf(kept, "bool")],
    learned: 2,
    expected:
      total(gap.flatMap((row, i) => row.map((g, j) => g * (kept[i]?.[j] as number)))) / total(kept.flat()),
  });
});

describe("relationalDistanceLoss", () => {
  const chosen = matrixOf(N, N, (i, j) => Number(i !== j && (i + j) % 4 !== 0));
  const relative = (x: Matrix): Matrix => {
    const d = distancesOf(x, x, "euclidean");
    const mean =
      total(d.flatMap((row, i) => row.map((v, j) => v * (chosen[i]?.[j] as number)))) / total(chosen.flat());
    return d.map((row) => row.map((v) => v / mean));
  };
  const [own, other] = [relative(toMatrix(a)), relative(toMatrix(teacherA))];
  const huber = (x: number): number => (Math.abs(x) < 1 ? x ** 2 / 2 : Math.abs(x) - 0.5);
  const costs = matrixOf(N, N, (i, j) =>
    chosen[i]?.[j] ? huber((own[i]?.[j] as number) - (other[i]?.[j] as number)) : 0,
  );
  testLoss({
    name: "equals the loop over pairs of different rows",
    loss: (blockRows, x, t, m) =>
      relationalDistanceLoss(x as Tensor, t as Tensor, { mask: m as Tensor, blockRows }),
    inputs: [a, teacherA, arrayOf(chosen, "bool")],
    expected: total(costs.flat()) / total(chosen.flat()),
  });

  test("does not see rotation, scale and shift", async () => {
    const x = toMatrix(a);
    const moved = x.map(([p, q, r, s]) => [
      3 * (q as number) + 1,
      -3 * (p as number),
      3 * (r as number),
      3 * (s as number) - 5,
    ]);
    expect(await scalarOf(relationalDistanceLoss as never, arrayOf(moved), a)).toBeLessThan(1e-9);
    expect(await scalarOf(relationalDistanceLoss as never, teacherA, a)).toBeGreaterThan(0.01);
  });
});

describe("featureDistillationLoss", () => {
  const c = randomMatrix(35, N, 4);
  const weights = [1, 0, 2, 0.5, 1, 1, 3];
  const [x, t] = [toMatrix(a), toMatrix(c)];
  const rows = {
    squared: x.map((row, i) => squaredDistance(row, t[i] as number[]) / row.length),
    cosine: x.map((row, i) => 1 - dotProduct(unit(row), unit(t[i] as number[]))),
  };
  for (const distance of ["squared", "cosine"] as const)
    testLoss({
      name: `${distance}, by the weights of rows`,
      loss: (_, p, q, w) =>
        featureDistillationLoss(p as Tensor, q as Tensor, { distance, weights: w as Tensor }),
      inputs: [a, c, arrayOf(weights)],
      blocks: [],
      expected: total(rows[distance].map((v, i) => v * (weights[i] as number))) / total(weights),
    });
});

describe("scored pairs", () => {
  const c = randomMatrix(36, N, 4);
  const scores = [0.9, 0.1, 0.5, 0.1, -0.3, 0.7, 0.5];
  const held = [1, 1, 0, 1, 1, 1, 1];
  const cosines = toMatrix(a).map((row, i) => dotProduct(unit(row), unit(toMatrix(c)[i] as number[])));
  const over = (values: readonly number[]): number =>
    total(values.map((v, i) => v * (held[i] as number))) / total(held);
  const inputs = [a, c, arrayOf(scores), arrayOf(held, "bool")];

  testLoss({
    name: "cosineScoreLoss is the mean squared difference",
    loss: (_, x, y, s, m) => cosineScoreLoss(x as Tensor, y as Tensor, s as Tensor, { mask: m as Tensor }),
    inputs,
    learned: 2,
    blocks: [],
    expected: over(cosines.map((v, i) => (v - Math.fround(scores[i] as number)) ** 2)),
  });

  testLoss({
    name: "cosineEmbeddingLoss pulls what matches and pushes the rest below the margin",
    loss: (_, x, y, s, m) =>
      cosineEmbeddingLoss(x as Tensor, y as Tensor, s as Tensor, { margin: -0.6, mask: m as Tensor }),
    inputs: [a, c, arrayOf([1, -1, 1, -1, -1, 1, -1]), arrayOf(held, "bool")],
    learned: 2,
    blocks: [],
    expected: over(cosines.map((v, i) => ([0, 2, 5].includes(i) ? 1 - v : Math.max(0, v + 0.6)))),
  });

  const terms = (weights: readonly number[]): number[] =>
    cosines.flatMap((ci, i) =>
      cosines.flatMap((cj, j) =>
        weights[i] && weights[j] && (scores[i] as number) > (scores[j] as number)
          ? [Math.exp(5 * (cj - ci))]
          : [],
      ),
    );
  testLoss({
    name: "coSentLoss compares pairs with different scores",
    loss: (blockRows, x, y, s, m) =>
      coSentLoss(x as Tensor, y as Tensor, s as Tensor, { scale: 5, mask: m as Tensor, blockRows }),
    inputs,
    learned: 2,
    expected: Math.log1p(total(terms(held))),
  });

  test("coSentLoss sees the order of the scores only, and nothing among equal ones", async () => {
    const loss = (s: number[]) => scalarOf(coSentLoss as never, a, c, arrayOf(s));
    expect(await loss(scores.map((s) => Math.exp(4 * s)))).toBeCloseTo(await loss(scores), 5);
    expect(await loss(scores.map(() => 1))).toBe(0);
  });

  test("reject what does not fit", () => {
    const x = tensor([[1, 2]]);
    expect(() => coSentLoss(x, x, tensor([1, 2]))).toThrow(/coSentLoss: scores.*axis N is 2/);
    expect(() => coSentLoss(x, x, tensor([1]), { scale: 0 })).toThrow(/scale must be > 0/);
    expect(() => cosineEmbeddingLoss(x, x, tensor([1]), { margin: 2 })).toThrow(/margin must lie in/);
  });
});
