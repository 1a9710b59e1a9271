import { foldIn, type Key, randomKey } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AttributeName,
  attributeNames,
  type CaptionedShape,
  captionedShapes,
  captionedShapesAttributes,
  captionedShapesCombinations,
  fillerWords,
  toFloatImages,
  zeroShotClasses,
} from "../src/index.ts";

const anyKey: fc.Arbitrary<Key> = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff));
const key = randomKey(7);

describe("the world of captioned shapes", () => {
  test("has 5120 combinations, and no synonym names two values of an attribute", () => {
    expect(captionedShapesCombinations).toBe(5120);
    const counts = attributeNames.map((name) => captionedShapesAttributes[name].length);
    expect(counts).toEqual([10, 8, 4, 2, 8]);
    const phrases = attributeNames.flatMap((name) =>
      captionedShapesAttributes[name].flatMap((value) => value.phrases),
    );
    expect(new Set(phrases).size).toBe(phrases.length);
    for (const name of attributeNames) {
      for (const value of captionedShapesAttributes[name]) {
        expect(value.phrases.length).toBeGreaterThanOrEqual(2);
        expect(value.phrases.length).toBeLessThanOrEqual(3);
      }
    }
    expect(new Set(fillerWords).size).toBe(20);
    expect(phrases.filter((phrase) => fillerWords.includes(phrase))).toEqual([]);
  });

  test("is a function of the key: same bytes again, in batches as alone", () => {
    const world = captionedShapes();
    fc.assert(
      fc.property(fc.array(anyKey, { minLength: 1, maxLength: 4 }), (keys) => {
        const batch = world.batch(keys);
        keys.forEach((one, i) => {
          const item = captionedShapes().item(one);
          expect(batch.images.data.subarray(i * 1728, (i + 1) * 1728)).toEqual(item.image.data);
          expect(batch.captions[i]).toBe(item.caption);
          for (const name of attributeNames)
            expect(batch.attributes[name].data[i]).toBe(item.attributes[name]);
        });
      }),
      { numRuns: 20 },
    );
    // Frozen: generated data must not change from one version to the next without notice.
    const { caption, attributes, image } = world.item(randomKey(1));
    expect({ caption, attributes, checksum: checksum(image.data) }).toMatchInlineSnapshot(`
      {
        "attributes": {
          "background": 7,
          "colour": 0,
          "quadrant": 3,
          "shape": 2,
          "size": 0,
        },
        "caption": "tiny shows crimson wedge this in lower right downhill",
        "checksum": 189684,
      }
    `);
  });

  test("gives pictures in [0, 1] of the wanted size, for every key", () => {
    fc.assert(
      fc.property(anyKey, fc.integer({ min: 16, max: 40 }), (one, size) => {
        const { image } = captionedShapes({ size }).item(one);
        expect(image.shape).toEqual([3, size, size]);
        expect(image.data.every((value) => value >= 0 && value <= 1)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("draws every value about equally often", () => {
    const { attributes } = captionedShapes({ noise: 0 }).split(key, "train", 4000).batch(range(4000));
    for (const name of attributeNames) {
      const classes = captionedShapesAttributes[name].length;
      const counts = new Array<number>(classes).fill(0);
      for (const value of attributes[name].data) counts[value] = (counts[value] ?? 0) + 1;
      // Five standard deviations of a binomial count.
      const spread = 5 * Math.sqrt(4000 * (1 / classes) * (1 - 1 / classes));
      for (const count of counts) expect(Math.abs(count - 4000 / classes)).toBeLessThan(spread);
    }
  });

  test("adds noise of the stated deviation", () => {
    const clean = captionedShapes({ noise: 0 }).item(key).image.data;
    const noisy = captionedShapes({ noise: 0.08 }).item(key).image.data;
    const differences = [...noisy].flatMap((value, i) =>
      (clean[i] ?? 0) > 0.3 && (clean[i] ?? 0) < 0.7 ? [value - (clean[i] ?? 0)] : [],
    );
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / differences.length;
    expect(differences.length).toBeGreaterThan(200);
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(Math.sqrt(variance) - 0.08)).toBeLessThan(0.012);
  });

  test("splits share no key, and a longer split begins with the shorter one", () => {
    const world = captionedShapes();
    const keys = ["train", "validation", "test"].flatMap((name) => {
      const split = world.split(key, name, 3000);
      return range(3000).map((i) => split.itemKey(i).join());
    });
    expect(new Set(keys).size).toBe(9000);
    const short = world.split(key, "train", 5);
    const long = world.split(key, "train", 50);
    for (const i of range(5)) expect(short.itemKey(i)).toEqual(long.itemKey(i));
    expect(() => short.item(5)).toThrow('5 is not an item of split "train" with 5 items');
    expect(() => world.split(key, "train", 0)).toThrow("count must be an integer >= 1, got 0");
  });

  test("collects a split as bytes with captions and labels", async () => {
    const split = captionedShapes().split(key, "train", 300);
    const set = split.collect();
    const batch = split.batch([299, 0]);
    const pixels = toFloatImages(await set.pixels([299, 0]));
    const error = pixels.data.map((value, i) => Math.abs(value - (batch.images.data[i] as number)));
    expect(Math.max(...error)).toBeLessThan(0.51 / 255);
    expect([set.captions[299], set.captions[0]]).toEqual(batch.captions.map((caption) => [caption]));
    expect(set.labels.colour?.indices[299]).toBe(batch.attributes.colour.data[0]);
    expect(set.labels.shape?.values[7]).toBe("heart");
    expect(set.names[299]).toBe("train/299");
  });

  test("refuses options out of range", () => {
    expect(() => captionedShapes({ size: 8 })).toThrow("size must be an integer from 16 to 512, got 8");
    expect(() => captionedShapes({ noise: -1 })).toThrow("noise must be in [0, 1], got -1");
    expect(() => captionedShapes({ jitter: Number.NaN })).toThrow("jitter must be in [0, 1], got NaN");
  });
});

describe("captions", () => {
  test("of the narrow style name colour, shape and background with one fixed word each", () => {
    const narrow = captionedShapes({ captions: "narrow" });
    const rich = captionedShapes();
    fc.assert(
      fc.property(anyKey, (one) => {
        const item = narrow.item(one);
        const named = (["colour", "shape", "background"] as const).map(
          (name) => captionedShapesAttributes[name][item.attributes[name]]?.name,
        );
        expect(item.caption).toBe(named.join(" "));
        // The style changes nothing but the caption.
        expect(rich.item(one).image.data).toEqual(item.image.data);
      }),
      { numRuns: 20 },
    );
  });

  test("of the rich style use synonyms, lose 5 % of the words and have one to three fillers", () => {
    const { captions, attributes } = captionedShapes({ noise: 0 })
      .split(key, "train", 4000)
      .batch(range(4000));
    const fillers = new Set(fillerWords);
    const fillerCounts = [0, 0, 0, 0, 0];
    let told = 0;
    let mentioned = 0;
    const synonyms = new Set<string>();
    captions.forEach((caption, i) => {
      const words = caption.split(" ");
      const count = words.filter((word) => fillers.has(word)).length;
      fillerCounts[count] = (fillerCounts[count] ?? 0) + 1;
      for (const name of ["shape", "colour", "size", "background"] as const) {
        const value = captionedShapesAttributes[name][attributes[name].data[i] as number];
        told++;
        const said = value?.phrases.find((phrase) => words.includes(phrase));
        if (said !== undefined) {
          mentioned++;
          synonyms.add(said);
        }
      }
    });
    expect(mentioned / told).toBeGreaterThan(0.94);
    expect(mentioned / told).toBeLessThan(0.96);
    expect(fillerCounts[0]).toBe(0);
    expect(fillerCounts[4]).toBe(0);
    for (const count of fillerCounts.slice(1, 4)) expect(count / 4000).toBeCloseTo(1 / 3, 1);
    const single = (["shape", "colour", "size", "background"] as const).flatMap((name) =>
      captionedShapesAttributes[name].flatMap((value) => value.phrases),
    );
    expect(synonyms.size).toBe(single.length);
  });

  test("zero-shot label sets fill the templates in class order", () => {
    const colours = zeroShotClasses("colour");
    expect(colours.map((entry) => entry.name).slice(0, 2)).toEqual(["red", "orange"]);
    expect(colours[0]?.prompts).toEqual(["a photo of red"]);
    const all = zeroShotClasses("size", { templates: ["a {value} thing", "{value}"], phrases: "all" });
    expect(all[1]?.prompts).toEqual(["a large thing", "large", "a big thing", "big", "a huge thing", "huge"]);
    expect(() => zeroShotClasses("size", { templates: ["a photo"] })).toThrow("lacks the placeholder");
  });
});

describe("the truth of the world", () => {
  // Simple measurements on the pictures and the nearest class mean: no attribute may be a label without a trace.
  const world = captionedShapes({ noise: 0 });
  const train = range(1500).map((i) => world.item(foldIn(foldIn(key, 1), i)));
  const test_ = range(500).map((i) => world.item(foldIn(foldIn(key, 2), i)));

  test.each([
    ["shape", 0.8],
    ["colour", 0.97],
    ["quadrant", 0.99],
    ["size", 0.95],
    ["background", 0.97],
  ] as const)("%s can be read off clean pictures in at least %f of the cases", (name, least) => {
    expect(nearestMeanAccuracy(name, train, test_)).toBeGreaterThan(least);
  });
});

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function checksum(values: Float32Array): number {
  return values.reduce((sum, value, i) => (sum * 31 + Math.round(value * 1e6) + i) % 1_000_003, 0);
}

function nearestMeanAccuracy(
  name: AttributeName,
  train: readonly CaptionedShape[],
  held: readonly CaptionedShape[],
): number {
  const classes = captionedShapesAttributes[name].length;
  const sums: number[][] = [];
  const counts = new Array<number>(classes).fill(0);
  for (const item of train) {
    const label = item.attributes[name];
    const feature = measure(name, item);
    sums[label] = feature.map((value, i) => value + (sums[label]?.[i] ?? 0));
    counts[label] = (counts[label] ?? 0) + 1;
  }
  const means = sums.map((sum, label) => sum.map((value) => value / (counts[label] ?? 1)));
  const right = held.filter((item) => {
    const feature = measure(name, item);
    const distances = means.map((mean) => mean.reduce((d, m, i) => d + (m - (feature[i] ?? 0)) ** 2, 0));
    return distances.indexOf(Math.min(...distances)) === item.attributes[name];
  });
  return right.length / held.length;
}

/** Measurements of a picture: the object is what is colourful, the stripes are what is grey. */
function measure(name: AttributeName, { image }: CaptionedShape): number[] {
  const size = 24;
  const plane = size * size;
  const rgbAt = (i: number): number[] => [0, 1, 2].map((c) => image.data[i + c * plane] as number);
  const colourful = range(plane).map((i) => {
    const rgb = rgbAt(i);
    return Math.max(...rgb) - Math.min(...rgb) > 0.36 ? 1 : 0;
  });
  const area = Math.max(
    1,
    colourful.reduce<number>((sum, m) => sum + m, 0),
  );
  const meanOver = (value: (i: number) => number): number =>
    colourful.reduce<number>((sum, m, i) => sum + m * value(i), 0) / area;
  const centre = [meanOver((i) => i % size), meanOver((i) => Math.floor(i / size))] as const;
  const spread = Math.sqrt(
    meanOver((i) => ((i % size) - centre[0]) ** 2 + (Math.floor(i / size) - centre[1]) ** 2),
  );
  switch (name) {
    case "colour":
      return [0, 1, 2].map((c) => meanOver((i) => image.data[i + c * plane] as number));
    case "quadrant":
      return [...centre];
    case "size":
      return [
        Math.max(
          0,
          ...range(plane).map((i) =>
            colourful[i] ? Math.hypot((i % size) - centre[0], Math.floor(i / size) - centre[1]) : 0,
          ),
        ),
      ];
    case "shape": {
      // The mask on an 11 x 11 grid that moves and grows with the object.
      const step = spread / 3;
      return range(121).map((cell) => {
        const x = Math.round(centre[0] + ((cell % 11) - 5) * step);
        const y = Math.round(centre[1] + (Math.floor(cell / 11) - 5) * step);
        return x < 0 || y < 0 || x >= size || y >= size ? 0 : (colourful[y * size + x] ?? 0);
      });
    }
    case "background": {
      // Direction of the brightness gradient, doubled so that opposite directions agree.
      const grey = (x: number, y: number): number =>
        rgbAt(y * size + x).reduce((sum, value) => sum + value, 0);
      let cosine = 0;
      let sine = 0;
      for (const y of range(size - 2).map((v) => v + 1)) {
        for (const x of range(size - 2).map((v) => v + 1)) {
          if (colourful[y * size + x]) continue;
          const gx = grey(x + 1, y) - grey(x - 1, y);
          const gy = grey(x, y + 1) - grey(x, y - 1);
          cosine += gx * gx - gy * gy;
          sine += 2 * gx * gy;
        }
      }
      const norm = Math.hypot(cosine, sine);
      return [cosine / norm, sine / norm];
    }
  }
}
