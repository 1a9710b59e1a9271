import { type NDArray, randomKey, sum, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { cutmix, drawCutmix, drawMixup, mix, mixup, mosaic, mosaicBoxes } from "../../src/index.ts";
import { randomMatrix, toMatrix } from "../support.ts";
import { expectClose, gradientOf, integers, run, wide } from "./support.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("mix", () => {
  it("takes one weight, or one an item, and backgrounds that broadcast", async () => {
    const video = wide([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]); // biome-ignore format: [B, T, W]
    const background = wide([[[10, 20]], [[30, 40]]]); // biome-ignore format: [B, 1, W]
    const one = await run((x, b) => mix(x as Tensor, b as Tensor, 0.25), video, background);
    expectClose(one, [3.25, 6.5, 4.75, 8, 11.25, 14.5, 12.75, 16], 1e-12);
    const each = await run((x, b, w) => mix(x as Tensor, b as Tensor, w as Tensor), video, background, wide([0, 1])); // biome-ignore format: one line
    expectClose(each, [1, 2, 3, 4, 30, 40, 30, 40], 1e-12);
    expect(() => mix(tensor([1]), tensor([2]), 1.1)).toThrow(/\[0, 1\], got 1.1/);
    expect(() => mix(tensor([[1]]), tensor([[2]]), tensor([1, 0]))).toThrow(/B is 2/);
  });
});

describe("mixup", () => {
  it("mixes inputs and targets with the same partners, differentiably", async () => {
    const x = wide([[1, 0], [0, 1], [2, 2]]); // biome-ignore format: a matrix
    const mixed = (a: Tensor, partners: Tensor, weights: Tensor) => mixup(a, { partners, weights });
    const rest = [integers([2, 0, 1]), wide([0.5, 0.25, 0])] as const;
    expectClose(await run(mixed as never, x, ...rest), [1.5, 1, 0.25, 0.75, 2, 2], 1e-12);
    const slope = await gradientOf(
      ((a: Tensor, p: Tensor, w: Tensor) => sum(mixed(a, p, w))) as never,
      x,
      ...rest,
    );
    expectClose(slope, [0.75, 0.75, 0.75, 0.75, 1.5, 1.5], 1e-12);
  });

  it("draws permutations and weights of Beta(α, α), the same for the same key", () => {
    const draw = drawMixup(randomKey(3), 4000, { alpha: 0.75, keepMajor: false });
    expect(Array.from(draw.partners.data as Int32Array).sort((a, b) => a - b)).toEqual(range(4000));
    const w = Array.from(draw.weights.data as Float32Array);
    const average = w.reduce((a, b) => a + b, 0) / w.length;
    // Mean ½ and variance 1 / (4 (2α + 1)) = 0.1; four standard errors of 4000 draws.
    expect(Math.abs(average - 0.5)).toBeLessThan(0.02);
    expect(Math.abs(w.reduce((s, v) => s + (v - 0.5) ** 2, 0) / w.length - 0.1)).toBeLessThan(0.006);
    const major = drawMixup(randomKey(3), 4000).weights.data as Float32Array;
    expectClose(
      Array.from(major),
      w.map((value) => Math.min(value, 1 - value)),
      1e-7,
    );
    expect(drawMixup(randomKey(4), 8).weights.data).not.toEqual(major.slice(0, 8));
    // Shapes near 0 give only 0 and 1, never NaN.
    const tiny = Array.from(drawMixup(randomKey(1), 200, { alpha: 1e-6, keepMajor: false }).weights.data as Float32Array); // biome-ignore format: one line
    expect(tiny.every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(() => drawMixup(randomKey(0), 0)).toThrow(/batch/);
    expect(() => drawMixup(randomKey(0), 4, { alpha: 0 })).toThrow(/alpha must be > 0, got 0/);
  });
});

describe("cutmix", () => {
  it("pastes a box of the partner, whose share is the weight", async () => {
    const draw = drawCutmix(randomKey(6), 5, 6, 8);
    const images: NDArray<"float32"> = {
      dtype: "float32",
      shape: [5, 2, 6, 8],
      data: Float32Array.from({ length: 480 }, (_, i) => Math.floor(i / 96)),
    };
    const paste = (x: Tensor, partners: Tensor, weights: Tensor, masks: Tensor) =>
      cutmix(x, { partners, weights, masks });
    const result = await run(paste as never, images, draw.partners, draw.weights, draw.masks);
    const values = Array.from(result.data as Float32Array);
    for (const b of range(5)) {
      const partner = Number(draw.partners.data[b]);
      const shown = values.slice(b * 96, (b + 1) * 96);
      expect(shown.every((value) => value === b || value === partner)).toBe(true);
      if (partner === b) continue;
      const share = shown.filter((value) => value === partner).length / 96;
      expect(share).toBeCloseTo(Number(draw.weights.data[b]), 6);
    }
    expect(Array.from(draw.weights.data as Float32Array).some((value) => value > 0.05)).toBe(true);
    expect(() => drawCutmix(randomKey(0), 2, 0, 4)).toThrow(/height and width/);
  });
});

describe("mosaic", () => {
  it("lays pictures out row by row, with boxes that find them again", async () => {
    const [C, H, W, side] = [2, 2, 3, 2];
    const images: NDArray<"float32"> = {
      dtype: "float32",
      shape: [8, C, H, W],
      data: randomMatrix(2, 8, C * H * W).data,
    };
    const result = await run((x) => mosaic(x as Tensor, side), images);
    expect(result.shape).toEqual([2, C, side * H, side * W]);
    const boxes = toMatrix(mosaicBoxes(side));
    for (const picture of range(8)) {
      const [n, tile] = [Math.floor(picture / 4), picture % 4];
      const [x0, y0, x1, y1] = boxes[tile] as [number, number, number, number];
      const found: number[] = [];
      for (let c = 0; c < C; c++)
        for (let y = y0 * side * H; y < y1 * side * H; y++)
          for (let x = x0 * side * W; x < x1 * side * W; x++)
            found.push(Number(result.data[((n * C + c) * side * H + y) * side * W + x]));
      expect(found).toEqual(Array.from(images.data.slice(picture * C * H * W, (picture + 1) * C * H * W)));
    }
    expect(() => mosaic(tensor([[[[1]]]]), 2)).toThrow(/1 pictures do not fill mosaics of 2 × 2/);
    expect(() => mosaicBoxes(0)).toThrow(/side/);
  });
});
