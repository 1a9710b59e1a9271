import type { NDArray, Tensor, Traced } from "@concord/tensor";
import {
  compile,
  full,
  gather,
  gradients,
  layerNorm,
  mul,
  normalArray,
  randomKey,
  reshape,
  sum,
  tensor,
  toNumbers,
  triu,
  where,
  zeros,
} from "@concord/tensor";
import { describe, expect, test } from "vitest";
import {
  attention,
  attentionInit,
  attentionWithWeights,
  transformer,
  transformerBlocks,
  transformerInit,
} from "./attention.ts";

const [B, N, M, D, heads] = [2, 3, 4, 6, 2];
const params = attentionInit(randomKey(1), D);
const queries = normalArray(randomKey(2), [B, N, D]);
const keys = normalArray(randomKey(3), [B, M, D]);
const values = normalArray(randomKey(4), [B, M, D]);

/** Rows of x times a block of columns of the map to queries, keys and values. */
function mapped(x: NDArray, rows: number, part: number): number[][] {
  const weight = toNumbers(params.qkv.weight as NDArray);
  const bias = params.qkv.bias ? toNumbers(params.qkv.bias as NDArray) : new Array(3 * D).fill(0);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: D }, (_, j) => {
      let total = bias[part * D + j] as number;
      for (let i = 0; i < D; i++)
        total += Number(x.data[row * D + i]) * (weight[i * 3 * D + part * D + j] as number);
      return total;
    }),
  );
}

/** Head-averaged weights, written out. */
function weightsByHand(): number[] {
  const [q, k] = [mapped(queries, B * N, 0), mapped(keys, B * M, 1)];
  const size = D / heads;
  const result = new Array<number>(B * N * M).fill(0);
  for (let b = 0; b < B; b++)
    for (let n = 0; n < N; n++)
      for (let h = 0; h < heads; h++) {
        const scores = Array.from({ length: M }, (_, m) => {
          let score = 0;
          for (let i = h * size; i < (h + 1) * size; i++) score += q[b * N + n]![i]! * k[b * M + m]![i]!;
          return Math.exp(score / Math.sqrt(size));
        });
        const total = scores.reduce((a, c) => a + c);
        for (let m = 0; m < M; m++) result[(b * N + n) * M + m]! += scores[m]! / total / heads;
      }
  return result;
}

type Results = Record<string, NDArray>;

describe("attention that returns its weights", () => {
  test("averages softmax weights over heads", async () => {
    const run = compile((p: never, q: Tensor, k: Tensor, v: Tensor) =>
      attentionWithWeights(p, { queries: q, keys: k, values: v }, { heads }),
    );
    const { weights, output } = (await run(params as never, queries, keys, values)) as unknown as Results;
    expect(weights!.shape).toEqual([B, N, M]);
    expect(output!.shape).toEqual([B, N, D]);
    weightsByHand().forEach((wanted, i) => expect(Number(weights!.data[i])).toBeCloseTo(wanted, 5));
  });

  test("is self-attention when queries, keys and values are one", async () => {
    const run = compile((p: never, x: Tensor) => ({
      self: attention(p, x, { heads }),
      general: attentionWithWeights(p, { queries: x }, { heads }).output,
    }));
    const { self, general } = (await run(params as never, queries)) as unknown as Results;
    expect(toNumbers(self!)).toEqual(toNumbers(general!));
  });

  test("hides masked keys, lets a function act on the weights, and passes their gradient", async () => {
    const run = compile((p: never, q: Tensor, k: Tensor) => {
      const keep = tensor([true, true, false, true], { shape: [1, 1, 1, M], dtype: "bool" });
      const mask = where(keep, 0, tensor(-1e30));
      const { weights } = attentionWithWeights(p, { queries: q, keys: k }, { heads, mask });
      const doubled = attentionWithWeights(
        p,
        { queries: q, keys: k },
        { heads, mask, onWeights: (plain) => mul(plain, 2) },
      );
      const gradient = gradients(sum(mul(weights, weights)), [q, k]);
      return { weights, doubled: doubled.weights, dq: gradient[0]!, dk: gradient[1]! };
    });
    const { weights, doubled, dq, dk } = (await run(params as never, queries, keys)) as unknown as Results;
    const list = toNumbers(weights!);
    list.forEach((w, i) => {
      if (i % M === 2) expect(w).toBe(0);
      expect(Number(doubled!.data[i])).toBeCloseTo(2 * w, 6);
    });
    for (let row = 0; row < B * N; row++)
      expect(list.slice(row * M, row * M + M).reduce((a, c) => a + c)).toBeCloseTo(1, 5);
    expect(toNumbers(dq!).some((g) => Math.abs(g) > 1e-4)).toBe(true);
    const byKey = toNumbers(dk!);
    for (let b = 0; b < B; b++)
      expect(byKey.slice((b * M + 2) * D, (b * M + 3) * D).every((g) => g === 0)).toBe(true);
  });

  test("says which sequence does not fit", () => {
    expect(() =>
      attentionWithWeights(params as never, { queries: zeros([1, 2, 6]), keys: zeros([2, 3, 6]) }, { heads }),
    ).toThrow("attention: keys has shape [2, 3, 6]: axis B is 2, but B of queries needs 1");
  });
});

test("a transformer is its blocks one after another, and a layer norm", async () => {
  const all = {
    ...transformerInit(randomKey(8), { width: D, layers: 2 }),
    finalNorm: { gain: normalArray(randomKey(9), [D]), bias: normalArray(randomKey(10), [D]) },
  };
  const mode = { heads, mask: triu(full([N, N], -1e9), 1) };
  const run = compile((params: Traced<typeof all>, x: Tensor) => {
    const { layers, finalNorm } = params;
    const split = transformerBlocks(layers.slice(1), transformerBlocks(layers.slice(0, 1), x, mode), mode);
    return {
      whole: transformer(params, x, mode),
      parts: layerNorm(split, finalNorm.gain, finalNorm.bias),
    };
  });
  const { whole, parts } = await run(all, queries);
  expect(toNumbers(parts)).toEqual(toNumbers(whole));
  expect(toNumbers(whole).some((value) => value !== 0)).toBe(true);
});

describe("blocks of which some tokens are read", () => {
  const { layers } = transformerInit(randomKey(11), { width: D, layers: 2 });
  const places = [
    [2, 0],
    [1, 1],
  ];
  const upstream = normalArray(randomKey(12), [B, 2, D]);
  for (const [name, mask] of [
    ["without a mask", undefined],
    ["with one", triu(full([N, N], Number.NEGATIVE_INFINITY), 1)],
  ] as const)
    test(`are those of all tokens, gradients included, ${name}`, async () => {
      const run = compile((params: Traced<typeof layers>, x: Tensor, dy: Tensor) => {
        const mode = { heads, ...(mask && { mask }) };
        const flat = tensor(
          places.flatMap((row, b) => row.map((place) => b * N + place)),
          { dtype: "int32" },
        );
        const all = transformerBlocks(params, x, mode);
        const picked = reshape(gather(reshape(all, [B * N, D]), flat), [B, 2, D]);
        const read = transformerBlocks(params, x, { ...mode, read: tensor(places, { dtype: "int32" }) });
        const of = (y: Tensor) => ({
          y,
          dx: gradients(sum(mul(y, dy)), [x])[0] as Tensor,
          dw: gradients(sum(mul(y, dy)), [params[1]?.attention.qkv.weight as Tensor])[0] as Tensor,
        });
        return { picked: of(picked), read: of(read) };
      });
      const { picked, read } = await run(layers, queries, upstream);
      for (const part of ["y", "dx", "dw"] as const) {
        const [want, got] = [toNumbers(picked[part]), toNumbers(read[part])];
        expect(got.length).toBe(want.length);
        got.forEach((value, i) => expect(value).toBeCloseTo(want[i] as number, 4));
      }
    });

  test("say what does not fit", () => {
    const traced = layers as unknown as Traced<typeof layers>;
    const read = tensor([[0], [1], [2]], { dtype: "int32" });
    expect(() => transformerBlocks(traced, zeros([B, N, D]), { heads, read })).toThrow(/axis B/);
    expect(() => transformerBlocks([], zeros([B, N, D]), { heads, read })).toThrow(RangeError);
  });
});
