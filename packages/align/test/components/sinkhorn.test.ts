import { compile, l2Normalize, matmul, sumSquares, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { linearAssignment, optimalTransport, sinkhornCodes } from "../../src/index.ts";
import { expectGradientOfDifferences, randomMatrix, toMatrix } from "../support.ts";
import { expectClose, fixtures, flags, gradientOf, run, wide } from "./support.ts";

const rowSums = (matrix: number[][]): number[] => matrix.map((row) => row.reduce((a, b) => a + b, 0));
const columnSums = (matrix: number[][]): number[] =>
  (matrix[0] as number[]).map((_, j) => matrix.reduce((sum, row) => sum + (row[j] as number), 0));

describe("sinkhornCodes", () => {
  const { scores, queue, codes, codes_with_queue } = fixtures.swav;

  it("equals the scaling of exponentials in PyTorch", async () => {
    expectClose(await run((s) => sinkhornCodes(s), wide(scores[0] as number[][])), codes, 1e-12);
  });

  it("lets remembered rows take part in the balance", async () => {
    const withQueue = (s: Tensor, q: Tensor) => sinkhornCodes(s, { queue: { scores: q } });
    expectClose(await run(withQueue, wide(scores[0] as number[][]), wide(queue)), codes_with_queue, 1e-12);
  });

  it("ignores remembered rows that hold nothing, and its own rows that do not count", async () => {
    const own = wide(scores[0] as number[][]);
    const masked = (s: Tensor, q: Tensor, m: Tensor) => sinkhornCodes(s, { queue: { scores: q, valid: m } });
    const half = await run(masked, own, wide(queue), flags([1, 1, 0, 0, 0, 0]));
    const short = (s: Tensor, q: Tensor) => sinkhornCodes(s, { queue: { scores: q } });
    expectClose(half, Array.from((await run(short, own, wide(queue.slice(0, 2)))).data, Number), 1e-12);
    const none = await run(masked, own, wide(queue), flags([0, 0, 0, 0, 0, 0]));
    expectClose(none, codes, 1e-12);
    const valid = (s: Tensor, m: Tensor) => sinkhornCodes(s, { valid: m });
    const three = await run(valid, own, flags([1, 0, 1, 1]));
    const rows = [0, 2, 3].map((i) => (scores[0] as number[][])[i] as number[]);
    const want = toMatrix(await run((s: Tensor) => sinkhornCodes(s), wide(rows)));
    expectClose(three, [want[0], [0, 0, 0, 0, 0], want[1], want[2]] as number[][], 1e-12);
  });

  it("gives samples one unit each exactly, and prototypes their masses in the limit", async () => {
    const S = randomMatrix(1, 12, 4);
    const few = toMatrix(await run((s: Tensor) => sinkhornCodes(s, { epsilon: 0.5 }), S));
    rowSums(few).forEach((sum) => {
      expect(sum).toBeCloseTo(1, 6);
    });
    const many = (s: Tensor) => sinkhornCodes(s, { epsilon: 0.5, iterations: 60 });
    columnSums(toMatrix(await run(many, S))).forEach((sum) => {
      expect(sum).toBeCloseTo(3, 4);
    });
    const mass = (s: Tensor, m: Tensor) =>
      sinkhornCodes(s, { epsilon: 0.5, iterations: 60, prototypeMass: m });
    const uneven = toMatrix(await run(mass, wide(toMatrix(S)), wide([0.5, 0.25, 0.25, 0])));
    expectClose(columnSums(uneven), [6, 3, 3, 0], 1e-9);
  });

  it("stays finite where exponentials overflow, and balances a collapsed batch", async () => {
    const huge = await run((s: Tensor) => sinkhornCodes(s, { epsilon: 1e-3 }), randomMatrix(2, 6, 3));
    expect(Array.from(huge.data as Float32Array).every(Number.isFinite)).toBe(true);
    const same = await run((s) => sinkhornCodes(s), wide([[1, 0], [1, 0], [1, 0], [1, 0]])); // biome-ignore format: a matrix
    expectClose(same, Array(8).fill(0.5), 1e-9);
  });

  it("is a constant for gradients", async () => {
    const squares = (x: Tensor) => sumSquares(sinkhornCodes(x));
    const slope = await gradientOf(squares, randomMatrix(3, 3, 2));
    expectClose(slope, Array(6).fill(0), 0);
  });

  it("names wrong options and axes", () => {
    const S = tensor([[1, 2]]);
    expect(() => sinkhornCodes(S, { epsilon: 0 })).toThrow(/epsilon must be > 0, got 0/);
    expect(() => sinkhornCodes(S, { iterations: 0 })).toThrow(/iterations/);
    expect(() => sinkhornCodes(S, { queue: { scores: tensor([[1, 2, 3]]) } })).toThrow(
      /queue.scores.*K is 3/,
    );
  });
});

describe("optimalTransport", () => {
  it("keeps both marginals", async () => {
    const plan = (c: Tensor, r: Tensor, m: Tensor) =>
      optimalTransport(c, { rowMass: r, columnMass: m, iterations: 100 });
    const [rows, columns] = [
      [0.5, 0.3, 0.2, 0],
      [0.1, 0.2, 0.7],
    ];
    const cost = wide(toMatrix(randomMatrix(4, 4, 3)).map((row) => row.map(Math.abs)));
    const solve = compile(plan);
    const result = await solve(cost, wide(rows), wide(columns));
    const matrix = toMatrix(result.plan);
    expectClose(rowSums(matrix), rows, 1e-12);
    expectClose(columnSums(matrix), columns, 1e-8);
    expect(Number(result.violation.data[0])).toBeLessThan(1e-8);
  });

  it("approaches the best assignment as ε falls", async () => {
    const cost = toMatrix(randomMatrix(5, 6, 6)).map((row) => row.map(Math.abs));
    const sharp = (c: Tensor) => optimalTransport(c, { epsilon: 0.02, iterations: 150 }).cost;
    const best = linearAssignment(cost.flat(), 6, 6).total / 6;
    expect(Math.abs(Number((await run(sharp, wide(cost))).data[0]) - best)).toBeLessThan(0.02 * best);
  });

  it("has gradients through its iterations", async () => {
    const cost = randomMatrix(6, 3, 4);
    const value = (c: Tensor) => optimalTransport(c, { epsilon: 0.5, iterations: 5 }).cost;
    await expectGradientOfDifferences(value, cost);
    const features = (x: Tensor, y: Tensor) =>
      optimalTransport(matmul(l2Normalize(x), l2Normalize(y), { transposeB: true }), { iterations: 4 }).cost;
    await expectGradientOfDifferences(features, randomMatrix(7, 3, 2), randomMatrix(8, 4, 2));
  });
});
