import type { NDArray } from "@concord/tensor";
import {
  compile,
  evaluate,
  mean,
  ndarray,
  normalArray,
  randomKey,
  ShapeError,
  square,
  type Tensor,
  tensor,
  toNumbers,
  treeLeaves,
  valueAndGrad,
  zerosArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  attention,
  attentionInit,
  bagOfWords,
  bagOfWordsInit,
  convEncoder,
  convEncoderInit,
  linear,
  linearInit,
  mlp,
  mlpInit,
  patchify,
  textTransformer,
  textTransformerInit,
  visionTransformer,
  visionTransformerInit,
} from "./index.ts";

const key = randomKey(11);

/** Every parameter must matter: no gradient may vanish everywhere. */
async function expectAllGradientsAlive<P>(params: P, output: (params: P) => Tensor): Promise<void> {
  const step = compile((traced: never) => valueAndGrad((p: P) => mean(square(output(p))))(traced as P));
  const { value, gradients } = (await step(params as never)) as unknown as { value: NDArray; gradients: P };
  expect(Number.isFinite(value.data[0])).toBe(true);
  for (const gradient of treeLeaves(gradients as never) as NDArray[]) {
    expect(toNumbers(gradient).some((g) => g !== 0 && Number.isFinite(g))).toBe(true);
  }
}

describe("linear", () => {
  it("computes x W + b", async () => {
    const params = {
      weight: tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      bias: tensor([0.5, -0.5]),
    };
    const y = await linear(params, tensor([[1, 0, -1]])).data();
    expect(toNumbers(y)).toEqual([-3.5, -4.5]);
  });

  it("names both tensors when the widths differ", () => {
    expect(() => linear({ weight: tensor([[1], [2]]) }, tensor([[1, 2, 3]]))).toThrow(ShapeError);
    expect(() => linear({ weight: tensor([[1], [2]]) }, tensor([[1, 2, 3]]))).toThrow(
      /weight .* axis D_in is 2, but D_in of x needs 3/,
    );
  });

  it("has no bias when told so", () => {
    expect(linearInit(key, { inputs: 3, outputs: 2, bias: false })).not.toHaveProperty("bias");
  });
});

describe("attention", () => {
  it("equals a slow loop over heads and positions", async () => {
    const [B, N, D, heads] = [2, 3, 4, 2];
    const params = attentionInit(key, D);
    const x = normalArray(randomKey(2), [B, N, D]);
    const y = await compile((p: never, v: Tensor) => attention(p, v, { heads }))(params as never, x);
    const at = (array: NDArray, ...index: number[]): number =>
      Number(array.data[index.reduce((offset, i, axis) => offset * (array.shape[axis] as number) + i, 0)]);
    const affine = (layer: { weight: NDArray; bias?: NDArray }, row: number[]): number[] =>
      Array.from({ length: layer.weight.shape[1] as number }, (_, j) =>
        row.reduce((total, v, i) => total + v * at(layer.weight, i, j), layer.bias ? at(layer.bias, j) : 0),
      );
    const size = D / heads;
    for (let b = 0; b < B; b++) {
      const packed = Array.from({ length: N }, (_, n) =>
        affine(
          params.qkv,
          Array.from({ length: D }, (_, d) => at(x, b, n, d)),
        ),
      );
      for (let n = 0; n < N; n++) {
        const mixed: number[] = [];
        for (let h = 0; h < heads; h++) {
          const part = (m: number, which: number): number[] =>
            (packed[m] as number[]).slice(which * D + h * size, which * D + (h + 1) * size);
          const scores = packed.map(
            (_, m) => part(n, 0).reduce((s, q, i) => s + q * (part(m, 1)[i] as number), 0) / Math.sqrt(size),
          );
          const total = scores.reduce((s, v) => s + Math.exp(v), 0);
          for (let i = 0; i < size; i++)
            mixed.push(scores.reduce((s, v, m) => s + (Math.exp(v) / total) * (part(m, 2)[i] as number), 0));
        }
        affine(params.output, mixed).forEach((expected, d) =>
          expect(at(y, b, n, d)).toBeCloseTo(expected, 5),
        );
      }
    }
  });

  it("refuses a width that does not part into heads", () => {
    const traced = attentionInit(key, 6) as never;
    expect(() => attention(traced, tensor([[[1, 2, 3, 4, 5, 6]]]), { heads: 4 })).toThrow(
      /does not part into 4 heads/,
    );
  });
});

describe("image encoders", () => {
  const images = normalArray(randomKey(5), [2, 3, 9, 9]);

  it("convEncoder maps odd sizes and uses every parameter", async () => {
    const params = convEncoderInit(key, { imageSize: 9, filters: [4, 5], outputs: 7 });
    const y = await compile((p: never, x: Tensor) => convEncoder(p, x))(params as never, images);
    expect(y.shape).toEqual([2, 7]);
    await expectAllGradientsAlive(params, (p) =>
      convEncoder(p as never, tensor(images.data, { shape: images.shape })),
    );
  });

  it("patchify keeps the pixels of a patch together", async () => {
    const image = ndarray(
      Array.from({ length: 16 }, (_, i) => i),
      { shape: [1, 1, 4, 4] },
    );
    const { patches } = await evaluate({ patches: patchify(tensor(image.data, { shape: image.shape }), 2) });
    expect(toNumbers(patches)).toEqual([0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]);
  });

  it("visionTransformer uses every parameter", async () => {
    const params = visionTransformerInit(key, {
      imageSize: 9,
      patchSize: 3,
      width: 8,
      layers: 2,
      outputs: 5,
    });
    await expectAllGradientsAlive(params, (p) =>
      visionTransformer(p as never, tensor(images.data, { shape: images.shape }), { patchSize: 3, heads: 2 }),
    );
  });
});

describe("text encoders", () => {
  const ids = ndarray(
    [
      [1, 2, 3, 0],
      [4, 5, 0, 0],
    ],
    { dtype: "int32" },
  );
  const otherPadding = ndarray(
    [
      [1, 2, 3, 6],
      [4, 5, 7, 8],
    ],
    { dtype: "int32" },
  );
  const mask = ndarray([
    [1, 1, 1, 0],
    [1, 1, 0, 0],
  ]);

  it("bagOfWords ignores padding and order", async () => {
    const params = bagOfWordsInit(key, { vocabulary: 9, width: 4, hidden: [6], outputs: 3 });
    const run = compile((p: never, i: Tensor, m: Tensor) => bagOfWords(p, i, m));
    const y = await run(params as never, ids, mask);
    expect(toNumbers(await run(params as never, otherPadding, mask))).toEqual(toNumbers(y));
    const swapped = toNumbers(
      await run(
        params as never,
        ndarray(
          [
            [3, 1, 2, 0],
            [5, 4, 0, 0],
          ],
          { dtype: "int32" },
        ),
        mask,
      ),
    );
    toNumbers(y).forEach((v, i) => {
      expect(swapped[i]).toBeCloseTo(v, 5);
    });
  });

  it("textTransformer ignores padding but not order", async () => {
    const params = textTransformerInit(key, { vocabulary: 9, context: 4, width: 8, layers: 2, outputs: 3 });
    const run = compile((p: never, i: Tensor, m: Tensor) => textTransformer(p, i, m, { heads: 2 }));
    const y = toNumbers(await run(params as never, ids, mask));
    const padded = toNumbers(await run(params as never, otherPadding, mask));
    y.forEach((v, i) => {
      expect(padded[i]).toBeCloseTo(v, 5);
    });
    const swapped = toNumbers(
      await run(
        params as never,
        ndarray(
          [
            [3, 1, 2, 0],
            [5, 4, 0, 0],
          ],
          { dtype: "int32" },
        ),
        mask,
      ),
    );
    expect(y.some((v, i) => Math.abs(v - (swapped[i] as number)) > 1e-4)).toBe(true);
    await expectAllGradientsAlive(params, (p) =>
      textTransformer(
        p as never,
        tensor(ids.data, { shape: ids.shape, dtype: "int32" }),
        tensor(mask.data, { shape: mask.shape }),
        { heads: 2 },
      ),
    );
  });
});

describe("mlp", () => {
  it("has no activation after the last layer", async () => {
    const params = mlpInit(key, [2, 3]);
    const y = await compile((p: never, x: Tensor) => mlp(p, x))(params as never, ndarray([[0, 0]]));
    expect(toNumbers(y)).toEqual(toNumbers(params.layers[0]?.bias ?? zerosArray([3])));
  });
});
