import {
  compile,
  grad,
  l2Normalize,
  ndarray,
  ShapeError,
  softmax,
  type Tensor,
  tensor,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  alignmentLoss,
  cosineSimilarity,
  dotSimilarity,
  infoNCE,
  klDivergence,
  softCrossEntropy,
  uniformityLoss,
} from "../src/index.ts";
import {
  dotProduct,
  expectGradientOfDifferences,
  type Matrix,
  randomMatrix,
  scalarOf,
  scaled,
  softmaxOf,
  squaredDistance,
  takeRows,
  toMatrix,
  unit,
} from "./support.ts";

/** One direction of InfoNCE by loops, from logits and weights of positives. */
function infoNceByLoops(logits: Matrix, positives: Matrix): number {
  const losses = logits.flatMap((row, i) => {
    const weights = positives[i] as number[];
    const mass = weights.reduce((a, b) => a + b, 0);
    if (mass === 0) return [];
    const p = softmaxOf(row);
    return [-weights.reduce((sum, w, j) => sum + (w / mass) * Math.log(p[j] as number), 0)];
  });
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

function columns(matrix: Matrix): Matrix {
  return (matrix[0] as number[]).map((_, j) => matrix.map((row) => row[j] as number));
}

const identity = (size: number): Matrix =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));

const a = randomMatrix(1, 6, 5);
const b = randomMatrix(2, 6, 5);
const products = (x: Matrix, y: Matrix): Matrix => x.map((row) => y.map((other) => dotProduct(row, other)));

describe("similarities", () => {
  it("are the products and cosines of all pairs", async () => {
    const c = randomMatrix(3, 4, 5);
    const both = await compile((x: Tensor, y: Tensor) => ({
      dot: dotSimilarity(x, y),
      cosine: cosineSimilarity(x, y),
    }))(a, c);
    const dots = products(toMatrix(a), toMatrix(c)).flat();
    const cosines = products(toMatrix(a).map(unit), toMatrix(c).map(unit)).flat();
    dots.forEach((value, i) => {
      expect(both.dot.data[i]).toBeCloseTo(value, 5);
      expect(both.cosine.data[i]).toBeCloseTo(cosines[i] as number, 6);
    });
  });

  it("names the operation and the axis when widths differ", () => {
    expect(() => cosineSimilarity(tensor([[1, 2]]), tensor([[1, 2, 3]]))).toThrow(/cosineSimilarity.*D/);
  });
});

describe("infoNCE", () => {
  it("equals the loop over both directions", async () => {
    const logits = products(toMatrix(a), toMatrix(b)).map((row) => row.map((value) => value / 0.5));
    const forward = infoNceByLoops(logits, identity(6));
    const backward = infoNceByLoops(columns(logits), identity(6));
    expect(
      await scalarOf((x, y) => infoNCE(x as Tensor, y as Tensor, { temperature: 0.5 }), a, b),
    ).toBeCloseTo((forward + backward) / 2, 5);
    expect(
      await scalarOf((x, y) => infoNCE(x as Tensor, y as Tensor, { logitScale: 2, symmetric: false }), a, b),
    ).toBeCloseTo(forward, 5);
  });

  it("normalises several positives in each direction and leaves out rows without any", async () => {
    const weights = [
      [2, 0, 1, 0, 0, 0],
      [0, 1, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 3, 0, 1, 0, 0],
      [0, 0, 0, 0, 1, 1],
      [0, 0, 0, 0, 0, 0.5],
    ];
    const logits = products(toMatrix(a), toMatrix(b));
    const expected =
      (infoNceByLoops(logits, weights) + infoNceByLoops(columns(logits), columns(weights))) / 2;
    const value = await scalarOf(
      (x, y, w) => infoNCE(x as Tensor, y as Tensor, { temperature: 1, positives: w as Tensor }),
      a,
      b,
      ndarray(weights),
    );
    expect(value).toBeCloseTo(expected, 5);
  });

  it("does not depend on the order of the pairs", async () => {
    const order = [3, 0, 5, 1, 4, 2];
    const loss = (x: Tensor, y: Tensor): Tensor => infoNCE(x, y, { temperature: 0.3 });
    const value = await scalarOf(loss as never, a, b);
    expect(await scalarOf(loss as never, takeRows(a, order), takeRows(b, order))).toBeCloseTo(value, 5);
    expect(await scalarOf(loss as never, a, takeRows(b, order))).not.toBeCloseTo(value, 1);
  });

  it("does not depend on the length of vectors that are normalised before", async () => {
    const loss = (x: Tensor, y: Tensor): Tensor => infoNCE(l2Normalize(x), l2Normalize(y));
    const value = await scalarOf(loss as never, a, b);
    expect(
      await scalarOf(
        loss as never,
        scaled(a, (i) => i + 1),
        scaled(b, () => 0.1),
      ),
    ).toBeCloseTo(value, 5);
  });

  it("stays finite and exact for large logits", async () => {
    const apart = ndarray([
      [1, 0],
      [0, 1],
    ]);
    const value = await scalarOf((x) => infoNCE(x as Tensor, x as Tensor, { logitScale: 1000 }), apart);
    expect(Math.abs(value)).toBe(0);
    const swapped = takeRows(apart, [1, 0]);
    const wrong = await scalarOf(
      (x, y) => infoNCE(x as Tensor, y as Tensor, { logitScale: 1000 }),
      apart,
      swapped,
    );
    expect(wrong).toBe(1000);
  });

  it("has the gradient of its differences, also through a learned scale", async () => {
    await expectGradientOfDifferences((x, y) => infoNCE(x, y as Tensor, { temperature: 0.7 }), a, b);
    await expectGradientOfDifferences(
      (scale, x, y) => infoNCE(x as Tensor, y as Tensor, { logitScale: scale }),
      ndarray([1.5], { shape: [] }),
      a,
      b,
    );
  });

  it("rejects shapes and scales that do not fit", () => {
    const x = tensor([[1, 2]]);
    expect(() => infoNCE(x, tensor([[1, 2, 3]]))).toThrow(ShapeError);
    expect(() => infoNCE(x, x, { temperature: 0 })).toThrow(/temperature must be > 0/);
    expect(() => infoNCE(x, x, { temperature: 1, logitScale: 1 })).toThrow(/not both/);
    expect(() => infoNCE(x, x, { positives: tensor([[1, 0]]) })).toThrow(ShapeError);
  });
});

describe("soft targets", () => {
  const logits = randomMatrix(4, 3, 4);
  const targets = ndarray([
    [0.1, 0.2, 0.3, 0.4],
    [0, 1, 0, 0],
    [0.5, 0, 0.5, 0],
  ]);

  it("equal the loops, with 0 ln 0 = 0", async () => {
    const rows = toMatrix(logits).map(softmaxOf);
    const t = toMatrix(targets);
    const crossEntropy = t.map((row, i) =>
      row.reduce((sum, w, j) => sum - w * Math.log(rows[i]?.[j] as number), 0),
    );
    const entropy = t.map((row) => row.reduce((sum, w) => (w > 0 ? sum - w * Math.log(w) : sum), 0));
    const average = (values: number[]): number => values.reduce((x, y) => x + y, 0) / values.length;
    expect(await scalarOf(softCrossEntropy as never, targets, logits)).toBeCloseTo(average(crossEntropy), 5);
    expect(await scalarOf(klDivergence as never, targets, logits)).toBeCloseTo(
      average(crossEntropy) - average(entropy),
      5,
    );
  });

  it("ignores logits of minus infinity where there is no target", async () => {
    const masked = ndarray([[1, 2, Number.NEGATIVE_INFINITY]]);
    const half = ndarray([[0.5, 0.5, 0]]);
    const loss = compile((t: Tensor, x: Tensor) => ({
      value: klDivergence(t, x),
      slope: grad((y: Tensor) => klDivergence(t, y))(x),
    }));
    const { value, slope } = await loss(half, masked);
    expect(value.data[0]).toBeCloseTo(
      Math.log(0.5) - 0.5 * Math.log(Math.E / (1 + Math.E)) - 0.5 * Math.log(1 / (1 + Math.E)),
      5,
    );
    expect(Array.from(slope.data as Float32Array).every(Number.isFinite)).toBe(true);
  });

  it("is zero for the distribution itself and does not change with a shift of the logits", async () => {
    const self = (x: Tensor): Tensor => klDivergence(softmax(x), x);
    expect(await scalarOf(self as never, logits)).toBeCloseTo(0, 6);
    const shifted = { ...logits, data: logits.data.map((value) => value + 7) };
    expect(await scalarOf(klDivergence as never, targets, shifted)).toBeCloseTo(
      await scalarOf(klDivergence as never, targets, logits),
      5,
    );
  });

  it("has the gradient of its differences with respect to logits and to targets", async () => {
    await expectGradientOfDifferences((x, t) => klDivergence(t as Tensor, x), logits, targets);
    await expectGradientOfDifferences((x, t) => softCrossEntropy(t as Tensor, x), logits, targets);
    await expectGradientOfDifferences(
      (x, s) => klDivergence(softmax(x), s as Tensor),
      logits,
      randomMatrix(5, 3, 4),
    );
  });

  it("rejects different shapes", () => {
    expect(() => klDivergence(tensor([[1, 0]]), tensor([[1, 0, 0]]))).toThrow(/klDivergence.*same axes/);
  });
});

describe("alignment and uniformity", () => {
  const x = toMatrix(a).map(unit);
  const y = toMatrix(b).map(unit);

  it("equal the loops", async () => {
    const aligned = x.reduce((sum, row, i) => sum + squaredDistance(row, y[i] as number[]), 0) / x.length;
    expect(await scalarOf(alignmentLoss as never, ndarray(x), ndarray(y))).toBeCloseTo(aligned, 5);
    let total = 0;
    for (let i = 0; i < x.length; i++)
      for (let j = 0; j < i; j++) total += Math.exp(-3 * squaredDistance(x[i] as number[], x[j] as number[]));
    expect(await scalarOf((z) => uniformityLoss(z as Tensor, { t: 3 }), ndarray(x))).toBeCloseTo(
      Math.log(total / 15),
      5,
    );
  });

  it("has its largest value for rows that are all equal", async () => {
    const equal = ndarray([x[0], x[0], x[0]] as Matrix);
    expect(await scalarOf(uniformityLoss as never, equal)).toBeCloseTo(0, 5);
  });

  it("has the gradient of its differences", async () => {
    await expectGradientOfDifferences((z) => uniformityLoss(l2Normalize(z)), a);
    await expectGradientOfDifferences((z, w) => alignmentLoss(z, w as Tensor), a, b);
  });

  it("rejects a single row, a wrong t and different shapes", () => {
    expect(() => uniformityLoss(tensor([[1, 0]]))).toThrow(/two rows/);
    expect(() => uniformityLoss(tensor([[1], [0]]), { t: 0 })).toThrow(/t must be > 0/);
    expect(() => alignmentLoss(tensor([[1, 0]]), tensor([[1]]))).toThrow(ShapeError);
  });
});
