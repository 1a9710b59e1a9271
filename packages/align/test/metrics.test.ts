import { type NDArray, ndarray, permutation, RandomStream, randomKey } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  alignment,
  alignmentMetrics,
  classVectors,
  covarianceSpectrum,
  meanPairDistance,
  modalityGap,
  recallAtK,
  retrievalRecall,
  uniformity,
  zeroShotAccuracy,
  zeroShotLogits,
} from "../src/index.ts";
import {
  dotProduct,
  type Matrix,
  randomMatrix,
  scaled,
  squaredDistance,
  takeRows,
  toMatrix,
  unit,
} from "./support.ts";

const unitMatrix = (array: NDArray): Matrix => toMatrix(array).map(unit);
const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Recall by sorting, for sets without ties. */
function recallBySorting(
  queries: Matrix,
  items: Matrix,
  queryOwner: number[],
  itemOwner: number[],
  k: number,
): number {
  return average(
    queries.map((query, q) => {
      const order = items
        .map((item, i) => ({ i, score: dotProduct(query, item) }))
        .sort((x, y) => y.score - x.score);
      return Number(order.slice(0, k).some(({ i }) => itemOwner[i] === queryOwner[q]));
    }),
  );
}

describe("recallAtK", () => {
  it("equals sorting, both ways, with several captions an image, beyond one block", async () => {
    const images = randomMatrix(1, 300, 6);
    const captions = randomMatrix(2, 700, 6);
    const stream = new RandomStream(randomKey(3));
    const owner = Array.from({ length: 700 }, (_, i) => (i < 300 ? i : stream.integer(300)));
    const { imageToText, textToImage } = await retrievalRecall(images, captions, owner, [1, 7, 50]);
    const [I, T] = [unitMatrix(images), unitMatrix(captions)];
    const identity = I.map((_, i) => i);
    for (const k of [1, 7, 50]) {
      expect(imageToText.get(k)).toBeCloseTo(recallBySorting(I, T, identity, owner, k), 10);
      expect(textToImage.get(k)).toBeCloseTo(recallBySorting(T, I, owner, identity, k), 10);
    }
  });

  it("gives tied items their chance, whatever the order of the input", async () => {
    const point = ndarray(Array.from({ length: 10 }, () => [0.6, 0.8]));
    const owner = Array.from({ length: 10 }, (_, i) => i);
    const collapsed = await retrievalRecall(point, point, owner, [1, 5, 10]);
    expect([...collapsed.imageToText.values()]).toEqual([expect.closeTo(0.1, 12), 0.5, 1]);
    // Query 0 owns items 0 and 1; item 2 lies nearer, item 3 ties with 0 and 1.
    const items = ndarray([
      [1, 1],
      [1, 1],
      [1, 0],
      [1, 1],
      [0, 1],
    ]);
    const ks = [1, 2, 3, 4];
    const recall = await recallAtK(ndarray([[1, 0]]), items, [7], [7, 7, 1, 2, 3], ks);
    expect(ks.map((k) => recall.get(k))).toEqual([0, expect.closeTo(2 / 3, 12), 1, 1]);
  });

  it("does not depend on order or length of the vectors", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.nat(1000), async (n, seed) => {
        const [queries, items] = [randomMatrix(seed, n, 4), randomMatrix(seed + 1, n, 4)];
        const owner = Array.from({ length: n }, (_, i) => i);
        const first = [...permutation(randomKey(seed), n)];
        const second = [...permutation(randomKey(seed + 1), n)];
        const ks = [1, 3];
        const plain = await recallAtK(queries, items, owner, owner, ks);
        const mixed = await recallAtK(
          scaled(takeRows(queries, first), (i) => 0.5 + i),
          scaled(takeRows(items, second), (i) => 3 / (i + 1)),
          first,
          second,
          ks,
        );
        for (const k of ks) expect(mixed.get(k)).toBeCloseTo(plain.get(k) as number, 10);
      }),
      { numRuns: 15 },
    );
  });

  it("says what is wrong with its input", async () => {
    const x = ndarray([[1, 0]]);
    await expect(recallAtK(x, x, [0], [1], [1])).rejects.toThrow(/query 0 \(owner 0\) owns no item/);
    await expect(recallAtK(x, x, [0], [0], [0])).rejects.toThrow(/k must be an integer/);
    await expect(recallAtK(x, ndarray([[1]]), [0], [0], [1])).rejects.toThrow(/width/);
    await expect(recallAtK(x, ndarray([[1, Number.NaN]]), [0], [0], [1])).rejects.toThrow(
      /NaN in row 0, column 1/,
    );
    await expect(recallAtK(x, x, [0, 1], [0], [1])).rejects.toThrow(/one owner for each/);
    await expect(
      retrievalRecall(
        ndarray([
          [1, 0],
          [0, 1],
        ]),
        x,
        [0],
      ),
    ).rejects.toThrow(/query 1/);
  });
});

describe("zero-shot classification", () => {
  const images = randomMatrix(5, 400, 8);
  const prompts = randomMatrix(6, 21, 8);
  const promptClass = Array.from({ length: 21 }, (_, m) => m % 7);
  const stream = new RandomStream(randomKey(7));
  const labels = Array.from({ length: 400 }, () => stream.integer(6));

  it("averages unit prompts into unit class vectors", () => {
    const classes = toMatrix(classVectors(prompts, promptClass, 7));
    const rows = unitMatrix(prompts);
    classes.forEach((vector, c) => {
      const own = rows.filter((_, m) => promptClass[m] === c);
      const mean = unit(vector.map((_, k) => average(own.map((row) => row[k] as number))));
      mean.forEach((value, k) => {
        expect(vector[k]).toBeCloseTo(value, 6);
      });
    });
  });

  it("equals sorting by 100 x cosine", async () => {
    const classes = classVectors(prompts, promptClass, 7);
    const logits = toMatrix(await zeroShotLogits(images, classes));
    const result = await zeroShotAccuracy(images, classes, labels);
    const [I, C] = [unitMatrix(images), unitMatrix(classes)];
    const orders = I.map((image, i) => {
      const scores = C.map((vector) => 100 * dotProduct(image, vector));
      scores.forEach((score, c) => {
        expect(logits[i]?.[c]).toBeCloseTo(score, 3);
      });
      return scores
        .map((score, c) => ({ c, score }))
        .sort((x, y) => y.score - x.score)
        .map(({ c }) => c);
    });
    expect([...result.predictions]).toEqual(orders.map((order) => order[0]));
    expect(result.top1).toBeCloseTo(average(orders.map((order, i) => Number(order[0] === labels[i]))), 10);
    expect(result.top5).toBeCloseTo(
      average(orders.map((order, i) => Number(order.slice(0, 5).includes(labels[i] as number)))),
      10,
    );
    const recalls = [...new Set(labels)].map((label) =>
      average(orders.filter((_, i) => labels[i] === label).map((order) => Number(order[0] === label))),
    );
    expect(result.meanPerClassRecall).toBeCloseTo(average(recalls), 10);
  });

  it("gives chance to a model that cannot tell the classes apart", async () => {
    const same = ndarray(Array.from({ length: 8 }, () => [1, 2, 3]));
    const result = await zeroShotAccuracy(randomMatrix(8, 20, 3), same, new Array(20).fill(0));
    expect(result.top1).toBeCloseTo(1 / 8, 12);
    expect(result.top5).toBeCloseTo(5 / 8, 12);
  });

  it("says what is wrong with its input", async () => {
    const x = ndarray([[1, 0]]);
    expect(() => classVectors(x, [0], 2)).toThrow(/class 1 has no prompt/);
    expect(() => classVectors(x, [2], 2)).toThrow(/label 0 must be an integer in \[0, 2\)/);
    await expect(zeroShotAccuracy(x, x, [1])).rejects.toThrow(/label 0/);
    await expect(zeroShotAccuracy(x, x, [0, 0])).rejects.toThrow(/needs 1 labels, got 2/);
  });
});

describe("geometry", () => {
  const a = randomMatrix(9, 300, 5);
  const b = scaled(randomMatrix(10, 300, 5), (i) => 1 + (i % 3));
  const [x, y] = [unitMatrix(a), unitMatrix(b)];

  it("equals the loops", async () => {
    const metrics = await alignmentMetrics(a, b);
    const gap = (x[0] as number[]).map(
      (_, k) => average(x.map((row) => row[k] as number)) - average(y.map((row) => row[k] as number)),
    );
    expect(metrics.modalityGap.mse).toBeCloseTo(dotProduct(gap, gap) / 5, 10);
    expect(metrics.modalityGap.l2).toBeCloseTo(Math.sqrt(dotProduct(gap, gap)), 10);
    const squares = x.map((row, i) => squaredDistance(row, y[i] as number[]));
    expect(metrics.alignment).toBeCloseTo(average(squares), 10);
    expect(metrics.meanPairDistance).toBeCloseTo(average(squares.map(Math.sqrt)), 10);
    const all = [...x, ...y];
    let total = 0;
    for (let i = 0; i < all.length; i++)
      for (let j = 0; j < i; j++)
        total += Math.exp(-2 * squaredDistance(all[i] as number[], all[j] as number[]));
    const potential = total / ((600 * 599) / 2);
    expect(metrics.uniformity.potential).toBeCloseTo(potential, 6);
    expect(metrics.uniformity.log).toBeCloseTo(Math.log(potential), 5);
  });

  it("does not depend on vector lengths, nor on which set comes first", async () => {
    const longer = scaled(a, (i) => 2 + i);
    const [plain, turned] = [await alignmentMetrics(a, b), await alignmentMetrics(b, longer)];
    expect(turned.modalityGap.l2).toBeCloseTo(plain.modalityGap.l2, 6);
    expect(turned.alignment).toBeCloseTo(plain.alignment, 6);
    expect(turned.uniformity.potential).toBeCloseTo(plain.uniformity.potential, 6);
    expect((await uniformity(a)).potential).toBeGreaterThan(0);
  });

  it("knows its limits", async () => {
    const right = ndarray([
      [2, 0],
      [3, 0],
    ]);
    const left = ndarray([
      [-1, 0],
      [-5, 0],
    ]);
    expect(modalityGap(right, left)).toEqual({ mse: 2, l2: 2 });
    expect(alignment(right, left)).toBe(4);
    expect(meanPairDistance(right, right)).toBe(0);
    expect(await uniformity(right)).toEqual({ potential: 1, log: 0 });
    expect((await uniformity(right, left)).potential).toBeCloseTo((2 + 4 * Math.exp(-8)) / 6, 6);
  });

  it("says what is wrong with its input", async () => {
    expect(() =>
      alignment(
        ndarray([[1, 0]]),
        ndarray([
          [1, 0],
          [0, 1],
        ]),
      ),
    ).toThrow(/do not form pairs/);
    expect(() => modalityGap(ndarray([1, 0]), ndarray([[1, 0]]))).toThrow(/non-empty matrix/);
    expect(() => modalityGap(ndarray([[1]], { dtype: "int32" }), ndarray([[1]]))).toThrow(
      /float32 or float64/,
    );
    await expect(uniformity(ndarray([[1, 0]]))).rejects.toThrow(/two rows/);
  });

  it("finds the spectrum of a covariance", () => {
    const rows = ndarray([
      [3, 1, 0],
      [-3, 1, 0],
      [0, 3, 0],
      [0, -1, 0],
    ]);
    const { eigenvalues, sum, max, min, effectiveRank } = covarianceSpectrum(rows);
    [4.5, 2, 0].forEach((value, i) => {
      expect(eigenvalues[i]).toBeCloseTo(value, 10);
    });
    expect([sum, max, min]).toEqual([
      expect.closeTo(6.5, 10),
      expect.closeTo(4.5, 10),
      expect.closeTo(0, 10),
    ]);
    const [p, q] = [4.5 / 6.5, 2 / 6.5];
    expect(effectiveRank).toBeCloseTo(Math.exp(-p * Math.log(p) - q * Math.log(q)), 10);
    expect(
      covarianceSpectrum(
        ndarray([
          [1, 2],
          [1, 2],
        ]),
      ).effectiveRank,
    ).toBe(0);
  });
});
