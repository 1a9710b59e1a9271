import {
  abs,
  add,
  constant,
  evaluate,
  keyTensor,
  l2Normalize,
  matmul,
  max,
  type NDArray,
  normalArray,
  randomKey,
  sub,
  type Tensor,
  tensor,
  tile,
  toNumbers,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { stsSpearman } from "./diagnostics.ts";
import { encode, encoderInit } from "./encoder.ts";
import { multiPositiveInfoNCE } from "./multi-positive.ts";
import {
  automaticGroups,
  drawPermutations,
  type SgwViewsOptions,
  sgwViews,
  shuffledGroupWhitening,
  unshuffled,
} from "./sgw.ts";

const order = (permutation: readonly number[]): Tensor => tensor(permutation, { dtype: "int32" });

/** Features with correlated channels, other scales and means. */
function features(seed: number, rows: number, width: number): NDArray<"float32"> {
  const noise = normalArray(randomKey(seed), [rows, width]);
  const common = normalArray(randomKey(seed + 1000), [rows]).data;
  const data = noise.data.map(
    (value, at) =>
      (1 + (at % width)) * (value + 1.5 * (common[Math.floor(at / width)] as number)) + (at % width),
  );
  return { dtype: "float32", shape: [rows, width], data };
}

/** Row i of an invertible matrix [8, 8] that mixes channels 0 to 3 and 4 to 7 among themselves. */
function mixing(i: number): number[] {
  return Array.from({ length: 8 }, (_, j) => {
    if (Math.floor(i / 4) !== Math.floor(j / 4)) return 0;
    return i === j ? 2 + 3 * (i % 4) : ((i + 2 * j) % 3) - 1;
  });
}

/** Covariance over N of two columns. */
function covariance(rows: NDArray, i: number, j: number): number {
  const [n, width] = rows.shape as [number, number];
  const column = (k: number): number[] =>
    Array.from({ length: n }, (_, row) => Number(rows.data[row * width + k]));
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / n;
  const [x, y] = [column(i), column(j)];
  const [mx, my] = [mean(x), mean(y)];
  return mean(x.map((value, row) => (value - mx) * ((y[row] as number) - my)));
}

describe("shuffled group whitening", () => {
  const permutation = [4, 0, 7, 2, 1, 6, 3, 5];
  const x = constant(features(1, 64, 8));

  it.each([1, 2, 4])(
    "with %d groups leaves mean 0 and the identity as covariance inside each group",
    async (groups) => {
      const y = await evaluate(shuffledGroupWhitening(x, order(permutation), { groups }));
      const size = 8 / groups;
      let outside = 0;
      for (let a = 0; a < 8; a++) {
        for (let b = 0; b <= a; b++) {
          const value = covariance(y, permutation[a] as number, permutation[b] as number);
          if (Math.floor(a / size) !== Math.floor(b / size)) outside = Math.max(outside, Math.abs(value));
          // The ridge of 1e-5 of the mean variance weighs on the smallest eigenvalue, here about 0.02 of the mean.
          else expect(Math.abs(value - (a === b ? 1 : 0))).toBeLessThan(1e-3);
        }
      }
      // Channels of other groups stay correlated.
      if (groups > 1) expect(outside).toBeGreaterThan(0.3);
    },
  );

  it("is not batch norm: groups of one channel leave the correlations", async () => {
    const y = await evaluate(shuffledGroupWhitening(x, order(permutation), { groups: 8 }));
    expect(covariance(y, 3, 3)).toBeCloseTo(1, 3);
    expect(covariance(y, 0, 1)).toBeGreaterThan(0.5);
  });

  it("puts every channel back: in one group the shuffle changes nothing", async () => {
    const [plain, shuffled] = await evaluate([
      shuffledGroupWhitening(x, order([0, 1, 2, 3, 4, 5, 6, 7]), { groups: 1 }),
      shuffledGroupWhitening(x, order(permutation), { groups: 1 }),
    ]);
    toNumbers(shuffled as NDArray).forEach((value, at) => {
      expect(value).toBeCloseTo(Number((plain as NDArray).data[at]), 3);
    });
  });

  it("does not see how the channels of a group are mixed, scaled and moved, which cosines of the features do", async () => {
    const moved = tensor([3, -2, 5, 1, 0, 4, -3, 2]);
    const mixed = add(matmul(x, tensor(Array.from({ length: 8 }, (_, i) => mixing(i)))), moved);
    const inner = (of: Tensor, unit: boolean): Tensor => {
      const rows = unit ? l2Normalize(of) : of;
      return matmul(rows, rows, { transposeB: true });
    };
    const largest = (a: Tensor, b: Tensor): Tensor => max(abs(sub(a, b)), { axes: [0, 1] });
    // Groups of the four leading and the four last channels, each mixed within itself by an invertible matrix.
    const white = (of: Tensor): Tensor =>
      shuffledGroupWhitening(of, order([0, 1, 2, 3, 4, 5, 6, 7]), { groups: 2, ridge: 0 });
    const [same, other] = await evaluate([
      largest(inner(white(x), false), inner(white(mixed), false)),
      largest(inner(x, true), inner(mixed, true)),
    ]);
    expect(Number((same as NDArray).data[0])).toBeLessThan(1e-2);
    expect(Number((other as NDArray).data[0])).toBeGreaterThan(0.5);
  });

  it("gives other results for another permutation", async () => {
    const [a, b] = await evaluate([
      shuffledGroupWhitening(x, order(permutation), { groups: 2 }),
      shuffledGroupWhitening(x, order([0, 1, 2, 3, 4, 5, 6, 7]), { groups: 2 }),
    ]);
    const other = toNumbers(a as NDArray).map((value, at) =>
      Math.abs(value - Number((b as NDArray).data[at])),
    );
    expect(Math.max(...other)).toBeGreaterThan(0.5);
  });

  it("stays finite where the batch does not fill the covariance, or nothing varies", async () => {
    const few = constant(features(2, 3, 8));
    const still = constant({ dtype: "float32", shape: [16, 8], data: new Float32Array(128).fill(2) });
    for (const input of [few, still]) {
      const y = await evaluate(shuffledGroupWhitening(input, order(permutation), { groups: 2 }));
      expect(toNumbers(y).every((value) => Number.isFinite(value) && Math.abs(value) < 100)).toBe(true);
    }
  });

  it("has 128 groups by default, and ⌈2 D / N⌉ for null", async () => {
    expect(() => shuffledGroupWhitening(x, order(permutation))).toThrow(
      "8 channels do not divide into 128 groups",
    );
    expect(automaticGroups(64, 768)).toBe(24);
    expect(automaticGroups(100, 768)).toBe(16);
    const [automatic, one] = await evaluate([
      shuffledGroupWhitening(x, order(permutation), { groups: null }),
      shuffledGroupWhitening(x, order(permutation), { groups: 1 }),
    ]);
    expect(toNumbers(automatic as NDArray)).toEqual(toNumbers(one as NDArray));
  });

  it("refuses a permutation of another length", () => {
    expect(() => shuffledGroupWhitening(x, order([0, 1]), { groups: 2 })).toThrow("permutation");
  });
});

describe("views", () => {
  const permutations = [
    [0, 1, 2, 3],
    [2, 0, 3, 1],
    [3, 1, 0, 2],
  ];
  const run = (views: readonly NDArray[], options: SgwViewsOptions) =>
    evaluate(
      sgwViews(
        views.map((view) => constant(view)),
        permutations.map(order),
        { groups: 2, ...options },
      ),
    );
  const views = [features(3, 12, 4), features(4, 12, 4), features(5, 12, 4)];
  const changed = [views[0], views[1], features(6, 12, 4)] as NDArray[];

  it("have statistics of their own, which those of the released layout have not", async () => {
    for (const [layout, same] of [
      ["per-view", true],
      ["released-code", false],
    ] as const) {
      const [before, after] = [await run(views, { layout }), await run(changed, { layout })];
      const equal = toNumbers(before[0] as NDArray).join() === toNumbers(after[0] as NDArray).join();
      expect(equal, layout).toBe(same);
    }
  });

  it("of the released layout are whitened in thirds of the sentence-major batch", async () => {
    const got = await run(views, { layout: "released-code" });
    // Row b·P + m is copy m of sentence b.
    const rows = Array.from({ length: 36 }, (_, r) =>
      Array.from({ length: 4 }, (_, k) => Number((views[r % 3] as NDArray).data[Math.floor(r / 3) * 4 + k])),
    );
    for (let third = 0; third < 3; third++) {
      const part = tensor(rows.slice(third * 12, (third + 1) * 12));
      const want = await evaluate(
        shuffledGroupWhitening(part, order(permutations[third] as number[]), { groups: 2 }),
      );
      for (let r = 0; r < 12; r++) {
        const row = third * 12 + r;
        for (let k = 0; k < 4; k++)
          expect(Number((got[row % 3] as NDArray).data[Math.floor(row / 3) * 4 + k])).toBeCloseTo(
            Number(want.data[r * 4 + k]),
            4,
          );
      }
    }
  });

  it("need as many permutations", () => {
    expect(() => sgwViews([tensor([[1, 2]])], [])).toThrow("1 views and 0 permutations");
  });

  it("get permutations that differ between views and steps", async () => {
    const drawn = await evaluate([
      ...drawPermutations(keyTensor(randomKey(1)), 2, 24),
      ...drawPermutations(keyTensor(randomKey(2)), 1, 24),
    ]);
    const all = drawn.map((array) => toNumbers(array as NDArray));
    expect(new Set(all.map((one) => one.join())).size).toBe(3);
    for (const one of all)
      expect(one.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, k) => k));
    const [same, again] = await evaluate(unshuffled(2, 3));
    expect(toNumbers(same as NDArray)).toEqual([0, 1, 2]);
    expect(toNumbers(again as NDArray)).toEqual([0, 1, 2]);
  });
});

/** The loss by loops over sentences and positives. */
function plainLoss(
  views: readonly (readonly (readonly number[])[])[],
  temperature: number,
  weights: readonly number[] | null,
): number {
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, v, k) => sum + v * (b[k] as number), 0);
  const cosine = (a: readonly number[], b: readonly number[]): number =>
    dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const [anchor, ...positives] = views as [number[][], ...number[][][]];
  let total = 0;
  anchor.forEach((row, i) => {
    const found = positives.map((view) => {
      const all = view.map((other) => Math.exp(cosine(row, other) / temperature));
      return (all[i] as number) / all.reduce((sum, value) => sum + value, 0);
    });
    total -= weights
      ? Math.log(found.reduce((sum, p, m) => sum + (weights[m] as number) * p, 0))
      : found.reduce((sum, p) => sum + Math.log(p), 0);
  });
  return total / anchor.length;
}

describe("contrast with several positives", () => {
  const nested = (seed: number): number[][] => {
    const { data } = normalArray(randomKey(seed), [5, 3]);
    return Array.from({ length: 5 }, (_, i) => Array.from(data.subarray(3 * i, 3 * i + 3)));
  };
  const views = [nested(1), nested(2), nested(3)];
  const loss = async (options: Parameters<typeof multiPositiveInfoNCE>[1], given = views): Promise<number> =>
    Number(
      (
        await evaluate(
          multiPositiveInfoNCE(
            given.map((view) => tensor(view)),
            options,
          ),
        )
      ).data[0],
    );

  it.each([
    ["sum", null],
    ["weighted", [1, 0.8]],
    ["weighted", [0, 2]],
  ] as const)("is what loops make of it: %s, weights %j", async (mode, weights) => {
    const got = await loss({ temperature: 0.3, mode, ...(weights && { weights }) });
    expect(got).toBeCloseTo(plainLoss(views, 0.3, weights), 4);
  });

  it("has temperature 0.05, mode sum and weights 1 and 0.8 by default", async () => {
    expect(await loss({})).toBeCloseTo(plainLoss(views, 0.05, null), 3);
    expect(await loss({ mode: "weighted" })).toBeCloseTo(plainLoss(views, 0.05, [1, 0.8]), 3);
  });

  it("goes from the anchor alone, adds positives and knows no scale", async () => {
    const swapped = [views[1], views[0], views[2]] as number[][][];
    expect(Math.abs((await loss({}, swapped)) - (await loss({})))).toBeGreaterThan(0.1);
    const twice = [views[0], views[1], views[1]] as number[][][];
    expect(await loss({}, twice)).toBeCloseTo(2 * (await loss({}, views.slice(0, 2))), 3);
    for (const factor of [7, 1e-5]) {
      const scaled = views.map((view, m) => view.map((row) => row.map((value) => value * factor * (m + 1))));
      expect(await loss({}, scaled)).toBeCloseTo(await loss({}), 3);
    }
  });

  it("gives a row of zeros the cosine 0 with all others", async () => {
    const zeros = views.map((view) => view.map(() => [0, 0, 0]));
    expect(await loss({}, zeros)).toBeCloseTo(2 * Math.log(5), 5);
    const [anchor, positive] = views as [number[][], number[][]];
    const others = await Promise.all(
      [1, 2, 3, 4].map((i) => loss({}, [anchor.map((row, k) => (k === i ? row : [0, 0, 0])), positive])),
    );
    // A single anchor beside four rows of zeros; together they make the loss of one row of zeros and four anchors.
    const apart = others.reduce((sum, value) => sum + value, 0) - 3 * Math.log(5);
    const together = await loss({}, [anchor.map((row, k) => (k === 0 ? [0, 0, 0] : row)), positive]);
    expect(together).toBeCloseTo(apart, 3);
  });

  it("refuses what has no meaning", () => {
    const tensors = views.map((view) => tensor(view));
    const call = (count: number, options: Parameters<typeof multiPositiveInfoNCE>[1]) => () =>
      multiPositiveInfoNCE(tensors.slice(0, count), options);
    expect(call(1, {})).toThrow("at least one positive, got 1 views");
    expect(call(3, { temperature: 0 })).toThrow("temperature must be > 0");
    expect(call(2, { mode: "weighted" })).toThrow("needs 1 weights");
    expect(call(3, { mode: "weighted", weights: [0, 0] })).toThrow("not all 0");
    expect(call(3, { mode: "weighted", weights: [1, -1] })).toThrow(">= 0");
  });
});

describe("copies", () => {
  const config = {
    width: 12,
    layers: 1,
    heads: 2,
    dropout: 0.2,
    pooling: "mean",
    branchScale: 1,
    finalNorm: false,
  } as const;
  const params = encoderInit(randomKey(3), config, { vocabulary: 50, context: 5 });
  const traced = params as unknown as Parameters<typeof encode>[0];
  const ids = tensor(
    Array.from({ length: 8 }, (_, i) => Array.from({ length: 5 }, (_, p) => 2 + ((7 * i + 3 * p) % 48))),
    { dtype: "int32" },
  );
  const mask = tensor(Array.from({ length: 8 }, (_, i) => [1, 1, 1, 1, i % 2]));

  it("of a sentence differ, each with a dropout mask of its own; without dropout they are equal", async () => {
    const [rows, marks] = [tile(ids, [2, 1]), tile(mask, [2, 1])];
    const key = keyTensor(randomKey(9));
    const shared = encode(traced, ids, mask, config, key);
    const { dropped, still, own, same } = await evaluate({
      dropped: encode(traced, rows, marks, config, key),
      still: encode(traced, rows, marks, config),
      own: multiPositiveInfoNCE([shared, encode(traced, ids, mask, config, keyTensor(randomKey(10)))]),
      same: multiPositiveInfoNCE([shared, shared]),
    });
    const half = (array: NDArray, at: number): number[] => toNumbers(array).slice(at * 96, (at + 1) * 96);
    expect(half(still, 0)).toEqual(half(still, 1));
    const apart = half(dropped, 0).filter((value, i) => value !== half(dropped, 1)[i]);
    expect(apart.length).toBeGreaterThan(90);
    // With one mask for both copies there is hardly anything to learn.
    expect(Number(same.data[0])).toBeLessThan(0.7 * Number(own.data[0]));
  });

  it("pools real tokens only, or takes the first", async () => {
    const padded = tensor([[2, 3, 4, 5, 6]], { dtype: "int32" });
    const other = tensor([[2, 3, 4, 5, 40]], { dtype: "int32" });
    const marks = tensor([[1, 1, 1, 1, 0]]);
    for (const pooling of ["mean", "first"] as const) {
      const [a, b] = await evaluate([
        encode(traced, padded, marks, { ...config, pooling }),
        encode(traced, other, marks, { ...config, pooling }),
      ]);
      toNumbers(a as NDArray).forEach((value, k) => {
        expect(value).toBeCloseTo(Number((b as NDArray).data[k]), 5);
      });
    }
  });
});

describe("sts_spearman", () => {
  it("shares ranks among ties and says where a correlation is not defined", () => {
    const { all } = stsSpearman([{ similarity: [0.1, 0.1, 0.9, 0.5], gold: [1, 2, 4, 3] }]);
    // Ranks 1.5, 1.5, 4, 3 against 1, 2, 4, 3.
    expect(all).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 10);
    expect(stsSpearman([{ similarity: [0.5, 0.5], gold: [1, 2] }]).all).toBeNaN();
    expect(() => stsSpearman([])).toThrow("at least one subset");
  });
});
