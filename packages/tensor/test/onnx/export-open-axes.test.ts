import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/index.ts";
import {
  add,
  arange,
  batchNormInference,
  broadcastTo,
  cast,
  concat,
  conv2d,
  expandDims,
  exportOnnx,
  gather,
  lessOrEqual,
  matmul,
  maxPool2d,
  mean,
  mul,
  ndarray,
  OnnxExportError,
  ones,
  relu,
  reshape,
  slice,
  softmax,
  split,
  sum,
  transpose,
  where,
} from "../../src/index.ts";
import type { Fn, Inputs } from "./support.ts";
import { expectEqualAtSizes, numbers, parseModel } from "./support.ts";

describe("axes of open size", () => {
  it("a convolutional network: batch, and height and width in steps of its stride", async () => {
    const fn: Fn<{ w: Tensor; v: Tensor; n: Tensor[] }> = ({ w, v, n }, { image }) => {
      const x = conv2d(image as Tensor, w, { stride: 2, padding: 1 });
      const [gain, shift, average, variance] = n as [Tensor, Tensor, Tensor, Tensor];
      const normal = batchNormInference(x, gain, shift, { mean: average, variance: mul(variance, variance) });
      const y = conv2d(maxPool2d(relu(normal), 2), v);
      const { shape } = y;
      return {
        pooled: mean(y, { axes: [2, 3] }),
        tokens: transpose(reshape(y, [shape[0] as number, shape[1] as number, -1]), [0, 2, 1]),
      };
    };
    const model = await expectEqualAtSizes(
      fn as never,
      {
        inputs: { image: { shape: ["batch", 3, "height", "width"] } },
        params: {
          w: numbers([4, 3, 3, 3], 1),
          v: numbers([5, 4, 1, 1], 2),
          n: [1, 2, 3, 4].map((seed) => numbers([4], seed)),
        },
        axes: { height: { multipleOf: 4 }, width: { multipleOf: 4, minimum: 8 } },
      },
      [
        { batch: 1, height: 8, width: 12 },
        { batch: 3, height: 20, width: 8 },
      ],
    );
    const [, tokens] = parseModel(model).graph?.output ?? [];
    expect(tokens?.type?.tensorType?.shape?.dim.map(({ value }) => value.value)).toEqual([
      "batch",
      "height/4*width/4",
      5n,
    ]);
  });

  it("attention with a causal mask, a class token and stored positions", async () => {
    const [heads, size] = [2, 3];
    const fn: Fn<{ table: Tensor; positions: Tensor; token: Tensor; qkv: Tensor }> = (p, { ids, mask }) => {
      const [B, T] = (ids as Tensor).shape as [number, number];
      const words = add(gather(p.table, ids as Tensor), slice(p.positions, [0, 0], [T, heads * size]));
      const x = concat([broadcastTo(p.token, [B, 1, heads * size]), words], 1);
      const [q, k, v] = split(matmul(x, p.qkv), 3).map((part) =>
        transpose(reshape(part, [B, T + 1, heads, size]), [0, 2, 1, 3]),
      ) as [Tensor, Tensor, Tensor];
      const at = arange(T + 1, "int64");
      const causal = lessOrEqual(expandDims(at, 0), expandDims(at, 1));
      const whole = concat([ones([B, 1]), cast(mask as Tensor, "float32")], 1);
      const scores = matmul(q, k, { transposeB: true, scale: 0.5 });
      const hidden = mul(add(reshape(whole, [B, 1, 1, T + 1]), -1), 1e4);
      const weights = softmax(where(causal, add(scores, hidden), -1e4));
      return { states: reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [B * (T + 1), heads * size]) };
    };
    await expectEqualAtSizes(
      fn as never,
      {
        inputs: {
          ids: { shape: ["batch", "tokens"], dtype: "int64" },
          mask: { shape: ["batch", "tokens"], dtype: "int32" },
        },
        params: {
          table: numbers([9, 6], 1),
          positions: numbers([12, 6], 2),
          token: numbers([1, 1, 6], 3),
          qkv: numbers([6, 18], 4),
        },
        axes: { tokens: { maximum: 12 } },
      },
      [
        { batch: 1, tokens: 1 },
        { batch: 3, tokens: 7 },
        { batch: 2, tokens: 12 },
      ],
    );
  });

  it("sums over the batch, products of sizes, scalars", async () => {
    const fn: Fn<object> = (_, { x, y }) => {
      const [N, M] = [(x as Tensor).shape[0] as number, (y as Tensor).shape[0] as number];
      const pairs = add(reshape(x as Tensor, [N, 1, 3]), reshape(y as Tensor, [1, M, 3]));
      return {
        total: sum(x as Tensor, { axes: 0 }),
        flat: reshape(pairs, [N * M * 3]),
        rows: reshape(pairs, [N * M, 3]),
        doubled: reshape(concat([pairs, pairs], 0), [2 * N, 3 * M]),
        filled: mul(ones([N, 2 * M + 1]), 3),
      };
    };
    await expectEqualAtSizes(fn as never, { inputs: { x: { shape: ["n", 3] }, y: { shape: ["m", 3] } } }, [
      { n: 1, m: 1 },
      { n: 4, m: 2 },
      { n: 2, m: 9 },
    ]);
  });

  const inputs = { x: { shape: ["batch", "tokens"] } };
  const x = (given: Inputs): Tensor => given.x as Tensor;

  it.each([
    [
      "a number that depends on a size",
      (_: object, given: Inputs) => mul(sum(x(given), { axes: 1 }), 1 / (x(given).shape[1] as number)),
      /the constant input 1 of node 'Mul_\d+.*' \(Mul\) holds values that depend on 'tokens'/,
    ],
    [
      "values that depend on a size",
      (_: object, given: Inputs) =>
        add(x(given), ndarray(Array.from({ length: x(given).shape[1] as number }, (_, i) => i * i))),
      /\(Add\) holds values that depend on 'tokens'/,
    ],
    [
      "a size that is no multilinear function",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return reshape(broadcastTo(reshape(x(given), [B, T, 1]), [B, T, T]), [B, T * T]);
      },
      /constant input 1 of node 'Reshape.*, entry 1, is .* no whole-numbered multilinear function/,
    ],
    [
      "half a size",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return sum(slice(x(given), [0, 0], [B, Math.floor(T / 2)]), { axes: 1 });
      },
      /constant input 2 of node 'Slice.*entry 1, is [\d, ]+ at .* multilinear/,
    ],
    [
      "a graph that changes",
      (_: object, given: Inputs) =>
        (x(given).shape[1] as number) % 4 === 3 ? relu(x(given)) : mul(x(given), 2),
      /the graph changes with|has \d+, \d+/,
    ],
    [
      "an attribute",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return maxPool2d(reshape(x(given), [B, 1, T, 1]), [T, 1]);
      },
      /an attribute of node 'MaxPool_\d+.*' \(MaxPool\) depends on 'tokens'/,
    ],
  ])("refuses %s", (_, fn, message) => {
    expect(() => exportOnnx(fn, { inputs })).toThrow(message);
    expect(() => exportOnnx(fn, { inputs })).toThrow(OnnxExportError);
    // The same is fine where the size is fixed.
    expect(exportOnnx(fn, { inputs: { x: { shape: ["batch", 5] } } }).length).toBeGreaterThan(0);
  });

  it("refuses axes that it cannot tell apart or do not exist", () => {
    const fn = (_: object, given: Inputs) => relu(x(given));
    expect(() => exportOnnx(fn, { inputs, axes: { time: {} } })).toThrow(
      /names 'time', but no input has such an axis/,
    );
    expect(() => exportOnnx(fn, { inputs, axes: { tokens: { maximum: 2 } } })).toThrow(
      /at least three sizes/,
    );
    expect(() => exportOnnx(fn, { inputs: { x: { shape: ["a", "b", "c", "d", "e", "f"] } } })).toThrow(
      /6 axes of open size \(a, b, c, d, e, f\), at most 5/,
    );
    expect(() => exportOnnx(fn as never, { inputs, params: { w: "text" } })).toThrow(
      /'w' must be an array, got string/,
    );
  });
});
