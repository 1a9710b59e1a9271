import { compile, type NDArray, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import {
  hardestNegatives,
  hardestPositives,
  hardNegativeWeights,
  informativePairs,
  nearestPairs,
  semiHardNegatives,
} from "../src/index.ts";
import { arrayOf, matrixOf } from "./losses-support.ts";
import { type Matrix, randomMatrix, toMatrix } from "./support.ts";

const [N, M] = [6, 8];
const similarities = randomMatrix(41, N, M);
const s = toMatrix(similarities);
/** Row 4 has no positive, row 5 no negative. */
const positives = matrixOf(N, M, (i, j) => (i === 4 ? 0 : i === 5 ? 1 : Number((i + j) % 3 === 0)));
const mask = matrixOf(N, M, (i, j) => Number((i * 3 + j) % 5 !== 0));

async function mined(
  mine: (scores: Tensor, positives: Tensor, mask: Tensor) => Tensor,
  scores: NDArray = similarities,
): Promise<Matrix> {
  const run = compile(mine as (...all: Tensor[]) => Tensor);
  const found = await run(scores, arrayOf(positives, "bool"), arrayOf(mask, "bool"));
  await run.close();
  return toMatrix(found);
}

/** The columns of a row that the mask keeps and that match, or do not. */
const columns = (i: number, match: boolean): number[] =>
  (positives[i] as number[]).flatMap((w, j) => (Boolean(w) === match && mask[i]?.[j] ? [j] : []));

const at = (i: number, j: number): number => s[i]?.[j] as number;

describe("miners", () => {
  test("choose the k most or least similar of each row, fewer where there are fewer", async () => {
    const far = await mined((x, p, m) => hardestPositives(x, p, 2, { mask: m }));
    const near = await mined((x, p, m) => hardestNegatives(x, p, 2, { mask: m }));
    const any = await mined((x, _, m) => nearestPairs(x, 3, { mask: m }));
    s.forEach((_, i) => {
      const byScore = (list: number[], sign: number): number[] =>
        list.sort((j, k) => sign * (at(i, j) - at(i, k)));
      const chosen = (row: number[] | undefined): number[] => (row ?? []).flatMap((v, j) => (v ? [j] : []));
      const first = (list: number[], k: number): number[] => list.slice(0, k).sort((j, k) => j - k);
      expect(chosen(far[i])).toEqual(first(byScore(columns(i, true), 1), 2));
      expect(chosen(near[i])).toEqual(first(byScore(columns(i, false), -1), 2));
      const all = [...columns(i, true), ...columns(i, false)];
      expect(chosen(any[i])).toEqual(first(byScore(all, -1), 3));
    });
    expect(far[4]).toEqual(new Array(M).fill(0));
    expect(near[5]).toEqual(new Array(M).fill(0));
  });

  test("keep semi-hard negatives and informative pairs as the loops do", async () => {
    const semiHard = await mined((x, p, m) => semiHardNegatives(x, p, { margin: 1.2, mask: m }));
    const informative = await mined((x, p, m) => informativePairs(x, p, { margin: 0.4, mask: m }));
    let [hard, kept] = [0, 0];
    for (let i = 0; i < N; i++) {
      const least = Math.min(...columns(i, true).map((j) => at(i, j)));
      const most = Math.max(...columns(i, false).map((j) => at(i, j)));
      for (let j = 0; j < M; j++) {
        const negative = columns(i, false).includes(j);
        const positive = columns(i, true).includes(j);
        const within = negative && at(i, j) < least && at(i, j) > least - 1.2 && Number.isFinite(least);
        expect(semiHard[i]?.[j], `semi-hard ${i}, ${j}`).toBe(Number(within));
        const speaks = (negative && at(i, j) + 0.4 > least) || (positive && at(i, j) - 0.4 < most);
        expect(informative[i]?.[j], `informative ${i}, ${j}`).toBe(Number(speaks));
        hard += Number(within);
        kept += Number(speaks);
      }
    }
    expect(hard).toBeGreaterThan(2);
    expect(kept).toBeGreaterThan(10);
    expect(kept).toBeLessThan(mask.flat().reduce((x, y) => x + y, 0));
  });

  test("weigh hard negatives by e^(β s), with mean 1", async () => {
    const weights = await mined((x, p, m) => hardNegativeWeights(x, p, { beta: 0.7, mask: m }));
    for (let i = 0; i < N; i++) {
      const negatives = columns(i, false);
      const powers = negatives.map((j) => Math.exp(0.7 * at(i, j)));
      const mean = powers.reduce((x, y) => x + y, 0) / powers.length;
      for (let j = 0; j < M; j++) {
        const k = negatives.indexOf(j);
        const expected = k >= 0 ? (powers[k] as number) / mean : Number(columns(i, true).includes(j));
        expect(weights[i]?.[j]).toBeCloseTo(expected, 5);
      }
    }
  });

  test("choose the first among equals, and reject numbers that make no sense", async () => {
    const flat: NDArray = { ...similarities, data: new Float32Array(N * M) };
    const near = await mined((x, p, m) => hardestNegatives(x, p, 1, { mask: m }), flat);
    near.forEach((row, i) => expect(row.indexOf(1)).toBe(columns(i, false)[0] ?? -1));
    const x = tensor([[1, 2]]);
    expect(() => hardestNegatives(x, x, 3)).toThrow(/k must be an integer from 1 to 2, the columns; got 3/);
    expect(() => semiHardNegatives(x, x, { margin: 0 })).toThrow(/margin must be > 0/);
    expect(() => informativePairs(x, x, { margin: -1 })).toThrow(/margin must be >= 0/);
    expect(() => hardNegativeWeights(x, x, { beta: -1 })).toThrow(/beta must be >= 0/);
    expect(() => hardestPositives(x, tensor([[1]]), 1)).toThrow(/positives.*axis M is 1/);
  });
});
