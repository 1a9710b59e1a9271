import { RandomStream, randomKey, toNumbers, uniformArray } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  blur,
  distortColours,
  makeGrey,
} from "./colour-distortion.ts";
import { createBatchSource, openCrops } from "./crop-source.ts";
import { type MultiCropOptions, multiCrop, multiCropBatch } from "./multi-crop.ts";
import { drawCropBox, resizeCrop } from "./random-resized-crop.ts";
import { shapeClasses, shapesWorld } from "./shapes-world.ts";

const noise = (seed: number, length: number): Float32Array =>
  uniformArray(randomKey(seed), [length]).data as Float32Array;

describe("random resized crops", () => {
  it("stay inside and cover the wanted shares with ratios from 3/4 to 4/3, evenly", () => {
    const random = new RandomStream(randomKey(1));
    const shares: number[] = [];
    const ratios: number[] = [];
    for (let i = 0; i < 3000; i++) {
      const box = drawCropBox(random, 300, 200, { minScale: 0.05, maxScale: 0.14 });
      expect(box.left >= 0 && box.top >= 0).toBe(true);
      expect(box.left + box.width <= 300 && box.top + box.height <= 200).toBe(true);
      shares.push((box.width * box.height) / 60_000);
      ratios.push(Math.log(box.width / box.height));
    }
    // Sides are whole pixels, hence the slack.
    expect(Math.min(...shares)).toBeGreaterThan(0.047);
    expect(Math.max(...shares)).toBeLessThan(0.145);
    expect(Math.max(...ratios.map(Math.abs))).toBeLessThan(Math.log(4 / 3) + 0.03);
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    // Standard errors are 0.0005 and 0.003.
    expect(mean(shares)).toBeCloseTo(0.095, 2);
    expect(mean(ratios)).toBeCloseTo(0, 1);
  });

  it("fall back to the centre where no draw fits", () => {
    const random = new RandomStream(randomKey(1));
    const whole = { minScale: 1, maxScale: 1 };
    expect(drawCropBox(random, 90, 10, whole)).toEqual({ left: 38, top: 0, width: 13, height: 10 });
    expect(drawCropBox(random, 10, 90, whole)).toEqual({ left: 0, top: 38, width: 10, height: 13 });
  });

  it("are the sums of triangles, one for each way, that interpolation is made of", () => {
    const [height, width, size] = [9, 14, 5];
    const data = noise(2, 3 * height * width);
    const box = { left: 1, top: 2, width: 11, height: 4 };
    const target = new Float32Array(3 * size * size);
    resizeCrop({ data, height, width }, box, target, size, false);
    const weight = (length: number, i: number, x: number): number => {
      const scale = length / size;
      return Math.max(0, 1 - Math.abs(x + 0.5 - (i + 0.5) * scale) / Math.max(1, scale));
    };
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++) {
          let [sum, total] = [0, 0];
          for (let y = 0; y < box.height; y++)
            for (let x = 0; x < box.width; x++) {
              const w = weight(box.height, i, y) * weight(box.width, j, x);
              sum += w * (data[(c * height + box.top + y) * width + box.left + x] as number);
              total += w;
            }
          expect(target[(c * size + i) * size + j]).toBeCloseTo(sum / total, 5);
        }
  });

  it("leave an image of the same size as it is, or mirror it", () => {
    const data = noise(3, 3 * 16);
    const target = new Float32Array(48);
    const whole = { left: 0, top: 0, width: 4, height: 4 };
    resizeCrop({ data, height: 4, width: 4 }, whole, target, 4, false);
    expect([...target]).toEqual([...data]);
    resizeCrop({ data, height: 4, width: 4 }, whole, target, 4, true);
    expect([...target.subarray(0, 4)]).toEqual([...data.subarray(0, 4)].reverse());
  });
});

/** Hue in turns, saturation and value of a colour, by the textbook. */
function hsv([r, g, b]: readonly [number, number, number]): [number, number, number] {
  const [top, low] = [Math.max(r, g, b), Math.min(r, g, b)];
  const chroma = top - low;
  const sixths =
    chroma === 0 ? 0 : top === r ? (g - b) / chroma : top === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  return [(((sixths / 6) % 1) + 1) % 1, top === 0 ? 0 : chroma / top, top];
}

describe("colours", () => {
  const plane = 50;
  const image = noise(4, 3 * plane);
  const changed = (change: (copy: Float32Array) => void): Float32Array => {
    const copy = image.slice();
    change(copy);
    return copy;
  };
  const pixel = (x: Float32Array, i: number): [number, number, number] =>
    [0, 1, 2].map((c) => x[c * plane + i]) as [number, number, number];
  const luma = (x: Float32Array, i: number): number => {
    const [r, g, b] = pixel(x, i);
    return 0.2989 * r + 0.587 * g + 0.114 * b;
  };

  it("change as torchvision defines them", () => {
    const mean = Array.from({ length: plane }, (_, i) => luma(image, i)).reduce((a, b) => a + b, 0) / plane;
    const clip = (x: number): number => Math.min(1, Math.max(0, x));
    const bright = changed((x) => adjustBrightness(x, 1.6));
    const contrast = changed((x) => adjustContrast(x, 1.7));
    const saturated = changed((x) => adjustSaturation(x, 0.3));
    const grey = changed(makeGrey);
    image.forEach((value, at) => {
      const own = luma(image, at % plane);
      expect(bright[at]).toBeCloseTo(clip(1.6 * value), 5);
      expect(contrast[at]).toBeCloseTo(clip(1.7 * value - 0.7 * mean), 5);
      expect(saturated[at]).toBeCloseTo(clip(0.3 * value + 0.7 * own), 5);
      expect(grey[at]).toBeCloseTo(own, 5);
    });
  });

  it.each([0.13, -0.2, 0.5, 1])("turn the hue by %f of the circle, and nothing else", (turn) => {
    const turned = changed((x) => adjustHue(x, turn));
    for (let i = 0; i < plane; i++) {
      const [before, after] = [hsv(pixel(image, i)), hsv(pixel(turned, i))];
      const away = (((after[0] - before[0] - turn) % 1) + 1.5) % 1;
      expect(away).toBeCloseTo(0.5, 4);
      expect(after[1]).toBeCloseTo(before[1], 4);
      expect(after[2]).toBeCloseTo(before[2], 5);
    }
  });

  it("stay in [0, 1], change with their probability, and leave greys without hue", () => {
    const strong = { probability: 0.8, brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2, grey: 0.2 };
    let [same, grey] = [0, 0];
    for (let i = 0; i < 500; i++) {
      const copy = changed((x) => distortColours(x, new RandomStream(randomKey(i)), strong));
      expect(copy.every((value) => value >= 0 && value <= 1)).toBe(true);
      if (copy.every((value, at) => value === image[at])) same++;
      if (copy.subarray(0, plane).every((value, at) => value === copy[plane + at])) grey++;
    }
    // 500 draws: four standard errors are 7 points.
    expect(Math.abs(grey / 500 - 0.2)).toBeLessThan(0.07);
    expect(Math.abs(same / 500 - 0.16)).toBeLessThan(0.07);
    const none = { ...strong, probability: 0, grey: 0 };
    expect(changed((x) => distortColours(x, new RandomStream(randomKey(0)), none))).toEqual(image);
  });

  it("blur with a Gaussian, edges repeated", () => {
    const [size, sigma] = [7, 0.8];
    const single = noise(5, size * size);
    const blurred = single.slice();
    blur(blurred, size, sigma);
    const at = (y: number, x: number): number =>
      single[Math.min(size - 1, Math.max(0, y)) * size + Math.min(size - 1, Math.max(0, x))] as number;
    const reach = 3;
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        let [sum, total] = [0, 0];
        for (let dy = -reach; dy <= reach; dy++)
          for (let dx = -reach; dx <= reach; dx++) {
            const weight = Math.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
            sum += weight * at(y + dy, x + dx);
            total += weight;
          }
        expect(blurred[y * size + x]).toBeCloseTo(sum / total, 5);
      }
  });
});

const plain = {
  flip: 0.5,
  colour: { probability: 0, brightness: 0, contrast: 0, saturation: 0, hue: 0, grey: 0 },
  blur: { probability: 0, minSigma: 1, maxSigma: 1 },
  statistics: { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.25, 1] },
} as const;
const groups = [
  { count: 2, size: 8, minScale: 0.3, maxScale: 1 },
  { count: 3, size: 4, minScale: 0.1, maxScale: 0.3 },
];

describe("multi-crop", () => {
  const image = (seed: number) => ({ data: noise(seed, 3 * 12 * 10), height: 12, width: 10 });

  it("has the paper's crops by default: 2 of 224 and 6 of 96 pixels", () => {
    const crops = multiCrop({ data: noise(1, 3 * 60 * 80), height: 60, width: 80 }, randomKey(1));
    expect(crops.map(({ shape }) => shape.join("×"))).toEqual([
      ...Array.from({ length: 2 }, () => "3×224×224"),
      ...Array.from({ length: 6 }, () => "3×96×96"),
    ]);
    expect(crops.every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });

  it("has the released code's probabilities, ranges and statistics by default", () => {
    const given: MultiCropOptions = {
      groups,
      flip: 0.5,
      colour: { probability: 0.8, brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2, grey: 0.2 },
      blur: { probability: 0.5, minSigma: 0.1, maxSigma: 2 },
      statistics: { mean: [0.485, 0.456, 0.406], deviation: [0.228, 0.224, 0.225] },
    };
    const some = Array.from({ length: 20 }, (_, i) => image(i));
    expect(multiCropBatch(some, randomKey(5), { groups })).toEqual(multiCropBatch(some, randomKey(5), given));
  });

  it("stands crop by crop, each crop a function of key, place and image alone", () => {
    const options: MultiCropOptions = { groups };
    const both = multiCropBatch([image(1), image(2)], randomKey(3), options);
    const alone = multiCropBatch([image(1)], randomKey(3), options);
    expect(both.map(({ shape }) => shape)).toEqual([
      [4, 3, 8, 8],
      [6, 3, 4, 4],
    ]);
    for (const [g, size] of [8, 4].entries()) {
      const length = 3 * size * size;
      const rows = groups[g]?.count as number;
      for (let v = 0; v < rows; v++) {
        const one = alone[g]?.data.slice(v * length, (v + 1) * length);
        expect(both[g]?.data.slice(2 * v * length, (2 * v + 1) * length)).toEqual(one);
      }
      const crops = Array.from({ length: rows }, (_, v) =>
        alone[g]?.data.slice(v * length, (v + 1) * length).join(),
      );
      expect(new Set(crops).size).toBe(rows);
    }
    expect(multiCropBatch([image(1)], randomKey(4), options)[0]?.data).not.toEqual(alone[0]?.data);
  });

  it("standardises by channel, bytes after their scale", () => {
    const bytes = Uint8Array.from(noise(6, 300), (x) => Math.round(255 * x));
    const whole: MultiCropOptions = {
      ...plain,
      flip: 0,
      groups: [{ count: 1, size: 10, minScale: 1, maxScale: 1 }],
    };
    // A crop of the whole of a square is drawn only at ratio 1; all others fall back to it.
    const [crops] = multiCropBatch(
      [{ data: bytes, height: 10, width: 10, scale: 1 / 255 }],
      randomKey(1),
      whole,
    );
    const expected = Array.from(
      bytes,
      (byte, i) => (byte / 255 - 0.5) / ([0.5, 0.25, 1][Math.floor(i / 100)] as number),
    );
    toNumbers(crops as never).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 5));
  });

  it("refuses what makes no crops", () => {
    const crop = (more: object) => () => multiCropBatch([image(1)], randomKey(1), { groups, ...more });
    expect(crop({ groups: [] })).toThrow(/at least one group/);
    expect(crop({ groups: [{ count: 0, size: 4, minScale: 0.1, maxScale: 1 }] })).toThrow(
      /got 0 of 4 pixels/,
    );
    expect(crop({ groups: [{ count: 1, size: 4, minScale: 0, maxScale: 1 }] })).toThrow(/area shares/);
    expect(crop({ groups: [{ count: 1, size: 4, minScale: 0.5, maxScale: 1.5 }] })).toThrow(/area shares/);
    expect(crop({ flip: Number.NaN })).toThrow(/flip must be in \[0, 1\], got NaN/);
    expect(crop({ blur: { probability: 0.5, minSigma: 0, maxSigma: 1 } })).toThrow(/minSigma/);
    expect(() =>
      multiCropBatch([{ data: noise(1, 7), height: 2, width: 2 }], randomKey(1), { groups }),
    ).toThrow(/3 channels, got 7 values/);
  });

  it("is the same out of a thread, and moves on from step to step", async () => {
    const world = shapesWorld(randomKey(1), 40, {
      size: 12,
      saturation: 0.5,
      clutter: 2,
      noise: 0.04,
      minRadius: 0.2,
      maxRadius: 0.4,
      minLevel: 0.4,
      maxLevel: 0.6,
      spread: 0.33,
      dark: 0.5,
    });
    const options = {
      pixels: world.pixels,
      count: 40,
      size: 12,
      batchSize: 16,
      key: randomKey(2),
      crops: { ...plain, groups },
    };
    await using here = createBatchSource(options);
    await using there = await openCrops(options, { workers: 1, until: 4 });
    expect(there.stepsPerEpoch).toBe(2);
    const seen: string[] = [];
    for (const step of [0, 1, 3]) {
      const [a, b] = [await here.batch(step), await there.batch(step)];
      expect(b.groups).toEqual(a.groups);
      seen.push((a.groups[0]?.data ?? []).join());
    }
    expect(new Set(seen).size).toBe(3);
  });
});

describe("Shapes-8", () => {
  const options = {
    size: 24,
    saturation: 1,
    clutter: 4,
    noise: 0.04,
    minRadius: 0.2,
    maxRadius: 0.33,
    minLevel: 0.4,
    maxLevel: 0.6,
    spread: 0.33,
    dark: 0.5,
  };

  it("draws each picture from the key and its number alone", () => {
    const long = shapesWorld(randomKey(1), 30, options);
    const short = shapesWorld(randomKey(1), 10, options);
    expect(long.pixels.subarray(0, short.pixels.length)).toEqual(short.pixels);
    expect(long.labels?.subarray(0, 10)).toEqual(short.labels);
    expect(shapesWorld(randomKey(2), 10, options).pixels).not.toEqual(short.pixels);
  });

  it("has eight classes, about as many pictures of each", () => {
    const { labels, classes } = shapesWorld(randomKey(3), 1600, { ...options, size: 4 });
    expect(classes).toEqual(shapeClasses);
    const counts = classes.map((_, c) => labels?.filter((label) => label === c).length ?? 0);
    // 200 each; four standard errors are 53.
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(53);
  });

  it("shows a shape that stands out from what lies behind it in every picture", () => {
    const { pixels, count } = shapesWorld(randomKey(4), 200, {
      ...options,
      saturation: 0,
      clutter: 0,
      noise: 0,
    });
    const plane = 24 * 24;
    for (let i = 0; i < count; i++) {
      const brightness = Array.from(
        { length: plane },
        (_, p) => [0, 1, 2].reduce((sum, c) => sum + (pixels[(3 * i + c) * plane + p] as number), 0) / 765,
      );
      expect(Math.max(...brightness) - Math.min(...brightness)).toBeGreaterThan(0.2);
    }
  });

  it("refuses worlds that cannot be", () => {
    expect(() => shapesWorld(randomKey(1), 0, options)).toThrow(/count must be an integer >= 1, got 0/);
    expect(() => shapesWorld(randomKey(1), 1, { ...options, saturation: 2 })).toThrow(/saturation/);
  });
});
