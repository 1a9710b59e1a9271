import type { NDArray, Traced } from "@concord/tensor";
import {
  adamw,
  compile,
  mean,
  minimise,
  ndarray,
  normalArray,
  randomKey,
  relu,
  ShapeError,
  square,
  sub,
  type Tensor,
  toNumbers,
  treeEntries,
  treeLeaves,
  valueAndGrad,
  zerosArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  convInit,
  convStem,
  convStemInit,
  pointnet,
  pointnetInit,
  recurrentEncoder,
  recurrentEncoderInit,
  recurrentStack,
  recurrentStackInit,
  resnet,
  resnetInit,
  resnetPresets,
  resnetStatistics,
  temporalConv,
  temporalConvInit,
  unet2d,
  unet2dInit,
  unet3d,
  unet3dInit,
  unet3dLevels,
} from "./index.ts";

const key = randomKey(3);

function at(array: NDArray, ...index: number[]): number {
  return Number(array.data[index.reduce((offset, i, axis) => offset * (array.shape[axis] as number) + i, 0)]);
}

/** Every parameter must matter: no gradient may vanish everywhere. */
async function expectAllGradientsAlive<P, X>(
  params: P,
  x: X,
  output: (params: Traced<P>, x: Traced<X>) => Tensor,
): Promise<void> {
  const step = compile((p: Traced<P>, data: Traced<X>) =>
    valueAndGrad((q: Traced<P>) => mean(square(sub(output(q, data), 0.3))))(p),
  );
  const { gradients } = (await step(params as never, x as never)) as unknown as { gradients: P };
  for (const [path, gradient] of treeEntries(gradients) as [string, NDArray][]) {
    const values = toNumbers(gradient);
    expect(values.every(Number.isFinite), path).toBe(true);
    expect(
      values.some((g) => Math.abs(g) > 1e-9),
      path,
    ).toBe(true);
  }
}

/** Adam must bring outputs close to a target that differs from example to example. */
async function expectToLearn<P, X>(
  params: P,
  x: X,
  output: (params: Traced<P>, x: Traced<X>) => Tensor,
  target: NDArray,
  steps = 60,
): Promise<void> {
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 0.01, weightDecay: 0 }),
    loss: (p, batch: { x: Traced<X>; target: Tensor }) => mean(square(sub(output(p, batch.x), batch.target))),
  });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await trainer.step({ x, target } as never)).loss);
  await trainer.close();
  expect(losses.at(-1)).toBeLessThan(0.2 * (losses[0] as number));
}

function countParameters(params: unknown): number {
  return (treeLeaves(params as never) as NDArray[]).reduce((sum, { data }) => sum + data.length, 0);
}

describe("convInit", () => {
  it("scales weights by the fan-in of a group", () => {
    const { weight } = convInit(key, { inputs: 64, outputs: 64, kernel: [3, 3], groups: 4 });
    expect(weight.shape).toEqual([64, 16, 3, 3]);
    const deviation = Math.sqrt(toNumbers(weight).reduce((sum, w) => sum + w * w, 0) / weight.data.length);
    expect(Math.abs(deviation - Math.sqrt(2 / (16 * 9)))).toBeLessThan(0.003);
    expect(() => convInit(key, { inputs: 6, outputs: 8, kernel: [1], groups: 4 })).toThrow(RangeError);
  });
});

describe("resnet", () => {
  const images = normalArray(randomKey(5), [4, 3, 12, 12]);
  const small = { block: "basic", blocks: [1, 2] } as const;
  const params = resnetInit(key, { preset: small, widths: [4, 6], stem: "small", outputs: 5 });
  const statistics = resnetStatistics(params);

  it.each([
    ["resnet18", 11_689_512],
    ["resnet34", 21_797_672],
    ["resnet50", 25_557_032],
  ] as const)("%s has the published number of parameters", (preset, count) => {
    expect(countParameters(resnetInit(key, { preset: resnetPresets[preset], outputs: 1000 }))).toBe(count);
  });

  it("halves the sides by each stage after the first, with the ImageNet stem to a quarter before", async () => {
    const run = compile((p: Traced<typeof params>, s: Traced<typeof statistics>, x: Tensor) =>
      resnet(p, s, x),
    );
    const { y, features } = await run(params, statistics, images);
    expect(y.shape).toEqual([4, 5]);
    expect(features.shape).toEqual([4, 6, 6, 6]);
    const deep = resnetInit(key, {
      preset: { block: "bottleneck", blocks: [1, 1] },
      widths: [2, 3],
      channels: 1,
    });
    const large = normalArray(randomKey(6), [2, 1, 32, 32]);
    const result = await compile((p: Traced<typeof deep>, s: Traced<typeof statistics>, x: Tensor) =>
      resnet(p, s, x),
    )(deep, resnetStatistics(deep), large);
    expect(result.features.shape).toEqual([2, 12, 4, 4]);
    expect(result.y.shape).toEqual([2, 12]);
  });

  it("uses every parameter, with basic blocks and with bottlenecks", async () => {
    await expectAllGradientsAlive(
      params,
      { statistics, images },
      (p, x) => resnet(p, x.statistics, x.images).y,
    );
    const deep = resnetInit(key, {
      preset: { block: "bottleneck", blocks: [1, 1] },
      widths: [2, 3],
      outputs: 2,
      stem: "small",
    });
    const state = { statistics: resnetStatistics(deep), images };
    await expectAllGradientsAlive(deep, state, (p, x) => resnet(p, x.statistics, x.images).y);
  });

  it("learns", async () => {
    const target = normalArray(randomKey(7), [4, 5]);
    const x = { statistics, images };
    await expectToLearn(params, x, (p, data) => resnet(p, data.statistics, data.images).y, target);
  });

  it("normalises by the running statistics outside training", async () => {
    const run = compile((s: Traced<typeof statistics>, p: Traced<typeof params>, x: Tensor) => {
      const trained = resnet(p, s, x, { momentum: 1 });
      const used = resnet(p, trained.statistics, x, { training: false });
      return {
        trained: trained.y,
        used: used.y,
        before: s,
        after: trained.statistics,
        kept: used.statistics,
      };
    });
    const { trained, used, before, after, kept } = await run(statistics, params, images);
    // The running variance is the unbiased one, n / (n - 1) of the batch's with n of 144 and more.
    toNumbers(used).forEach((value, i) => {
      expect(Math.abs(value - (toNumbers(trained)[i] as number))).toBeLessThan(0.03);
    });
    expect(kept).toEqual(after);
    for (const [path, array] of treeEntries(before) as [string, NDArray][]) {
      const moved = new Map(treeEntries(after) as [string, NDArray][]).get(path);
      expect(toNumbers(moved as NDArray), path).not.toEqual(toNumbers(array));
    }
  });

  it("refuses other channels, and widths that do not match the stages", () => {
    const run = compile((p: Traced<typeof params>, s: Traced<typeof statistics>, x: Tensor) =>
      resnet(p, s, x),
    );
    return Promise.all([
      expect(run(params, statistics, zerosArray([1, 2, 8, 8]))).rejects.toThrow(ShapeError),
      expect(() => resnetInit(key, { preset: small, widths: [4] })).toThrow(/one width for each of 2 stages/),
    ]);
  });
});

describe("unet", () => {
  const images = normalArray(randomKey(5), [2, 1, 7, 10]);

  it.each(["transposed", "resize"] as const)("keeps the size of odd images (%s)", async (upsampling) => {
    const params = unet2dInit(key, { channels: 1, widths: [8, 8, 16], outputs: 3, upsampling });
    const run = compile((p: Traced<typeof params>, x: Tensor) => ({
      instance: unet2d(p, x),
      group: unet2d(p, x, { norm: "group", groups: 4, activation: relu }).y,
    }));
    const { instance, group } = await run(params, images);
    expect(instance.y.shape).toEqual([2, 3, 7, 10]);
    expect(instance.features.shape).toEqual([2, 16, 2, 3]);
    expect(toNumbers(group)).not.toEqual(toNumbers(instance.y));
    await expectAllGradientsAlive(params, images, (p, x) => unet2d(p, x as never).y);
  });

  it("learns to segment volumes", async () => {
    const params = unet3dInit(key, { channels: 1, widths: [4, 6], outputs: 2 });
    const volumes = normalArray(randomKey(6), [2, 1, 4, 5, 6]);
    // Something that takes a neighbourhood: which voxels are larger than the one behind them.
    const target = zerosArray([2, 2, 4, 5, 6]);
    for (let i = 0; i < target.data.length; i++)
      target.data[i] =
        i % 6 > 0 && Number(volumes.data[i % 240]) > Number(volumes.data[(i % 240) - 1]) ? 1 : 0;
    await expectAllGradientsAlive(params, volumes, (p, x) => unet3d(p, x as never).y);
    await expectToLearn(params, volumes, (p, x) => unet3d(p, x as never).y, target, 100);
  });

  it("shows every level, with as many convolutions as wanted", async () => {
    const params = unet3dInit(key, { channels: 1, widths: [4, 6, 8], outputs: 2, convolutions: 1 });
    expect([...params.encoder, ...params.decoder.map(({ layers }) => layers)].map((l) => l.length)).toEqual([
      1, 1, 1, 1, 1,
    ]);
    const volumes = normalArray(randomKey(7), [2, 1, 4, 8, 6]);
    const run = compile((p: Traced<typeof params>, x: Tensor) => {
      return { features: unet3d(p, x).features, levels: unet3dLevels(p.encoder, x) };
    });
    const { features, levels } = await run(params, volumes);
    expect(levels.map(({ shape }) => shape)).toEqual([
      [2, 4, 4, 8, 6],
      [2, 6, 2, 4, 3],
      [2, 8, 1, 2, 2],
    ]);
    expect(toNumbers(features)).toEqual(toNumbers(levels[2] as NDArray));
    await expectAllGradientsAlive(params, volumes, (p, x) => unet3d(p, x as never).y);
    expect(() => unet2dInit(key, { channels: 1, widths: [4, 4], outputs: 1, convolutions: 0 })).toThrow(
      /convolutions a level must be an integer >= 1, got 0/,
    );
  });

  it("refuses one level, and groups that do not divide the width", async () => {
    expect(() => unet2dInit(key, { channels: 1, widths: [4], outputs: 1 })).toThrow(/at least two levels/);
    const params = unet2dInit(key, { channels: 1, widths: [4, 6], outputs: 1 });
    const run = compile(
      (p: Traced<typeof params>, x: Tensor) => unet2d(p, x, { norm: "group", groups: 4 }).y,
    );
    await expect(run(params, images)).rejects.toThrow(/6 channels do not part into 4 groups/);
  });
});

describe("recurrent encoders", () => {
  const ids = ndarray([1, 2, 3, 0, 4, 5, 0, 0], { shape: [2, 4], dtype: "int32" });
  const otherPadding = ndarray([1, 2, 3, 6, 4, 5, 7, 8], { shape: [2, 4], dtype: "int32" });
  const swapped = ndarray([2, 1, 3, 0, 5, 4, 0, 0], { shape: [2, 4], dtype: "int32" });
  const mask = ndarray([1, 1, 1, 0, 1, 1, 0, 0], { shape: [2, 4] });
  const sizes = { vocabulary: 9, width: 3, hidden: 4, outputs: 3 };

  it.each([
    ["gru", 1, false, "last"],
    ["lstm", 2, true, "last"],
    ["gru", 2, true, "mean"],
  ] as const)(
    "%s, %i layers, both ways %s, %s: padding does not matter, order does",
    async (kind, layers, bidirectional, pooling) => {
      const params = recurrentEncoderInit(key, { ...sizes, kind, layers, bidirectional });
      const run = compile((p: Traced<typeof params>, i: Tensor, m: Tensor) =>
        recurrentEncoder(p, i, m, { pooling }),
      );
      const y = await run(params, ids, mask);
      expect(y.shape).toEqual([2, 3]);
      toNumbers(await run(params, otherPadding, mask)).forEach((value, i) => {
        expect(value).toBeCloseTo(toNumbers(y)[i] as number, 5);
      });
      const reordered = toNumbers(await run(params, swapped, mask));
      expect(reordered.some((v, i) => Math.abs(v - (toNumbers(y)[i] as number)) > 1e-3)).toBe(true);
      const x = { ids, mask };
      const output = (p: Traced<typeof params>, data: { ids: Tensor; mask: Tensor }): Tensor =>
        recurrentEncoder(p, data.ids, data.mask, { pooling });
      await expectAllGradientsAlive(params, x, output as never);
      await expectToLearn(params, x, output as never, normalArray(randomKey(8), [2, 3]));
    },
  );

  it("layers and directions stand side by side", async () => {
    const params = recurrentStackInit(key, {
      kind: "lstm",
      inputs: 5,
      hidden: 4,
      layers: 2,
      bidirectional: true,
    });
    expect(params.layers[1]?.[0]?.inputWeights.shape).toEqual([16, 8]);
    const run = compile((p: Traced<typeof params>, x: Tensor) => recurrentStack(p, x));
    const { states, last } = await run(params, normalArray(key, [6, 2, 5]));
    expect(states.shape).toEqual([6, 2, 8]);
    // Forwards the last state is that of step 5, backwards that of step 0.
    for (let b = 0; b < 2; b++)
      for (let h = 0; h < 8; h++) expect(at(last, b, h)).toBeCloseTo(at(states, h < 4 ? 5 : 0, b, h), 6);
    expect(() => recurrentStackInit(key, { kind: "gru", inputs: 2, hidden: 2, layers: 0 })).toThrow(
      RangeError,
    );
  });
});

describe("temporalConv", () => {
  const params = temporalConvInit(key, { channels: 2, widths: [4, 4, 3], outputs: 2 });
  const run = compile((p: Traced<typeof params>, x: Tensor) => temporalConv(p, x).sequence);
  const x = normalArray(randomKey(4), [1, 2, 40]);
  const changedAt = (t: number): NDArray => {
    const data = x.data.slice();
    data[t] = Number(data[t]) + 3;
    return ndarray(data, { shape: x.shape });
  };

  it("sees 2 (k - 1) (2ᴮ - 1) = 28 positions back and none ahead", async () => {
    const before = await run(params, x);
    const after = await run(params, changedAt(5));
    const moved = Array.from({ length: 40 }, (_, t) =>
      [0, 1, 2].some((d) => at(before, 0, d, t) !== at(after, 0, d, t)),
    );
    expect(moved.slice(0, 5)).toEqual([false, false, false, false, false]);
    expect(moved[5]).toBe(true);
    expect(moved.lastIndexOf(true)).toBeGreaterThan(5 + 14);
    expect(moved.lastIndexOf(true)).toBeLessThanOrEqual(5 + 28);
  });

  it("sees both sides when told so, and keeps the length", async () => {
    const both = compile(
      (p: Traced<typeof params>, v: Tensor) => temporalConv(p, v, { causal: false }).sequence,
    );
    const [before, after] = [await both(params, x), await both(params, changedAt(20))];
    expect(before.shape).toEqual([1, 3, 40]);
    const moved = (t: number): boolean => [0, 1, 2].some((d) => at(before, 0, d, t) !== at(after, 0, d, t));
    expect([18, 19, 20, 21, 22].some((t) => t < 20 && moved(t))).toBe(true);
    expect([18, 19, 20, 21, 22].some((t) => t > 20 && moved(t))).toBe(true);
  });

  it.each(["last", "mean"] as const)("uses every parameter and learns (%s)", async (pooling) => {
    const data = normalArray(randomKey(9), [3, 2, 8]);
    const output = (p: Traced<typeof params>, v: Tensor): Tensor => temporalConv(p, v, { pooling }).y;
    await expectAllGradientsAlive(params, data, output as never);
    await expectToLearn(params, data, output as never, normalArray(randomKey(8), [3, 2]));
  });
});

describe("pointnet", () => {
  const params = pointnetInit(key, { points: [8, 16], head: [8], outputs: 3 });
  const cloud = normalArray(randomKey(4), [2, 5, 3]);
  const run = compile((p: Traced<typeof params>, x: Tensor) => pointnet(p, x).y);

  it("has the paper's widths unless told otherwise", () => {
    const { points, head } = pointnetInit(key, { outputs: 40 });
    expect(points.layers.map(({ weight }) => weight.shape[1])).toEqual([64, 64, 64, 128, 1024]);
    expect(head.layers.map(({ weight }) => weight.shape[1])).toEqual([512, 256, 40]);
  });

  it("does not depend on the order of points", async () => {
    const reversed = zerosArray([2, 5, 3]);
    for (let b = 0; b < 2; b++)
      for (let n = 0; n < 5; n++)
        for (let c = 0; c < 3; c++) reversed.data[(b * 5 + n) * 3 + c] = at(cloud, b, 4 - n, c);
    const y = toNumbers(await run(params, cloud));
    toNumbers(await run(params, reversed)).forEach((value, i) => {
      expect(value).toBeCloseTo(y[i] as number, 5);
    });
  });

  it("ignores padding", async () => {
    const masked = compile((p: Traced<typeof params>, x: Tensor, mask: Tensor) => pointnet(p, x, { mask }).y);
    const mask = ndarray([1, 1, 1, 0, 0, 1, 1, 1, 0, 0], { shape: [2, 5], dtype: "bool" });
    const padded = ndarray(cloud.data.slice(), { shape: cloud.shape });
    for (const b of [0, 1]) for (let i = 9; i < 15; i++) padded.data[b * 15 + i] = 100;
    const y = toNumbers(await masked(params, cloud, mask));
    expect(toNumbers(await masked(params, padded, mask))).toEqual(y);
    expect(toNumbers(await run(params, padded))).not.toEqual(y);
  });

  it("uses every parameter and learns", async () => {
    const output = (p: Traced<typeof params>, x: Tensor): Tensor => pointnet(p, x).y;
    await expectAllGradientsAlive(params, cloud, output as never);
    await expectToLearn(params, cloud, output as never, normalArray(randomKey(8), [2, 3]));
  });
});

describe("convStem", () => {
  it("makes tokens row by row and uses every parameter", async () => {
    const params = convStemInit(key, { channels: 1, filters: [4, 6], width: 5 });
    const images = normalArray(randomKey(4), [2, 1, 8, 12]);
    const run = compile((p: Traced<typeof params>, x: Tensor) => convStem(p, x));
    const tokens = await run(params, images);
    expect(tokens.shape).toEqual([2, 6, 5]);
    await expectAllGradientsAlive(params, images, (p, x) => convStem(p, x as never));
    await expectToLearn(
      params,
      images,
      (p, x) => convStem(p, x as never),
      normalArray(randomKey(8), [2, 6, 5]),
      150,
    );
  });
});
