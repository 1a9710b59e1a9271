import { spawn } from "node:child_process";
import { randomKey } from "@concord/tensor";
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import {
  augmentImages,
  captionedShapes,
  clipStatistics,
  encodePng,
  imageDecoder,
  labelColumn,
  selectImages,
  splitImages,
  standardise,
  toByteImages,
  toFloatImages,
} from "../src/index.ts";
import { sampleImage } from "./sample-images.ts";

const key = randomKey(5);

describe("decoding", () => {
  const decode = async (bytes: Uint8Array, size = 4): Promise<number[]> => {
    await using decoder = imageDecoder({ size, workers: 1 });
    const reply = await decoder.decode({ kind: "bytes", bytes }, "pixels");
    if (!reply.ok || !reply.pixels) throw new Error(reply.ok ? "no pixels" : reply.reason);
    return [...reply.pixels];
  };

  test.each(["jpeg", "png", "webp"] as const)("%s becomes red, green and blue planes", async (format) => {
    const pixels = await decode(await sampleImage(format, { r: 200, g: 100, b: 50 }));
    [200, 100, 50].forEach((value, channel) => {
      for (const pixel of pixels.slice(channel * 16, (channel + 1) * 16))
        expect(Math.abs(pixel - value)).toBeLessThan(4);
    });
  });

  test("transparency shows white", async () => {
    const pixels = await decode(await sampleImage("png", { r: 0, g: 0, b: 255, alpha: 0.5 }));
    for (const [i, value] of [127, 127, 255].entries())
      expect(Math.abs((pixels[i * 16] as number) - value)).toBeLessThan(3);
  });

  test("the middle of a wide image is kept, upright, from grey and from 16 bits as well", async () => {
    // Thirds of black, white and black: the middle square is white.
    const grey = Buffer.alloc(30 * 10, 0);
    for (let i = 0; i < grey.length; i++) if (i % 30 >= 10 && i % 30 < 20) grey[i] = 255;
    const raw = { raw: { width: 30, height: 10, channels: 1 } } as const;
    const wide = await sharp(grey, raw).png().toBuffer();
    const deep = await sharp(grey, raw).toColourspace("grey16").png().toBuffer();
    const turned = await sharp(grey, raw).rotate(90).withMetadata({ orientation: 8 }).jpeg().toBuffer();
    for (const image of [wide, deep, turned]) {
      const pixels = await decode(image);
      expect(pixels).toHaveLength(48);
      for (const centre of [5, 6, 9, 10]) expect(pixels[centre]).toBeGreaterThan(240);
    }
  });

  test("says why an image cannot be decoded, and stays usable", async () => {
    await using decoder = imageDecoder({ size: 4, workers: 1, maxPixels: 500 });
    const png = await sampleImage("png", { r: 1, g: 2, b: 3 }, { width: 30, height: 30 });
    const wrong: readonly (readonly [Uint8Array, string])[] = [
      [Buffer.from("GIF89a"), "not a JPEG, PNG or WebP image"],
      [png, "exceeds pixel limit"],
      [png.subarray(0, 40), "PNG image cannot be decoded"],
    ];
    for (const [bytes, reason] of wrong) {
      const reply = await decoder.decode({ kind: "bytes", bytes }, "pixels");
      expect(reply).toMatchObject({ ok: false, reason: expect.stringContaining(reason) });
    }
    const missing = { kind: "file", path: "/nowhere.png", offset: 0, length: 3 } as const;
    expect(await decoder.decode(missing, "pixels")).toMatchObject({ ok: false });
    const small = await sampleImage("png", { r: 1, g: 2, b: 3 });
    expect(await decoder.decode({ kind: "bytes", bytes: small }, "pixels")).toMatchObject({ ok: true });
    await expect(decoder.decode({ kind: "bytes", bytes: small }, "cacheFile")).rejects.toThrow(
      "cacheDirectory",
    );
    expect(() => imageDecoder({ size: 0 })).toThrow("size must be an integer from 1 to 2048, got 0");
  });

  test("a decoder that nobody closed lets the process end", async () => {
    const script = `
      import { imageDecoder } from "@concord/data";
      const decoder = imageDecoder({ size: 4, workers: 2 });
      const reply = await decoder.decode({ kind: "bytes", bytes: new Uint8Array(3) }, "pixels");
      console.log(reply.ok);
    `;
    const child = spawn(process.execPath, ["--conditions=source", "--input-type=module", "-e", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const timer = setTimeout(() => child.kill(), 20_000);
    const code = await new Promise((resolve) => child.on("close", resolve));
    clearTimeout(timer);
    expect([code, output]).toEqual([0, "false\n"]);
  });
});

describe("encoding", () => {
  test.each([1, 3] as const)("PNG keeps every sample of %i channels, and no others", async (channels) => {
    const data = Uint8Array.from({ length: 6 * channels }, (_, i) => 40 * i);
    const png = await encodePng({ width: 3, height: 2, channels, data });
    expect(await sharp(png).metadata()).toMatchObject({ format: "png", width: 3, height: 2, channels });
    const grey = channels === 1 ? sharp(png).toColourspace("b-w") : sharp(png);
    expect(new Uint8Array(await grey.raw().toBuffer())).toEqual(data);
  });

  test("refuses samples that do not fill the picture", async () => {
    const picture = { width: 3, height: 2, channels: 3, data: new Uint8Array(17) } as const;
    await expect(encodePng(picture)).rejects.toThrow("3 × 2 × 3 takes 18 samples, got 17");
  });
});

describe("augmentation", () => {
  const images = () => captionedShapes({ noise: 0 }).split(key, "train", 6).batch([0, 1, 2, 3, 4, 5]).images;

  test("is a function of the key and of the position, and leaves images alone by default", () => {
    const options = { flip: 0.5, shift: 3, brightness: 0.3, contrast: 0.3 };
    expect(augmentImages(images(), key, options)).toEqual(augmentImages(images(), key, options));
    expect(augmentImages(images(), key, options)).not.toEqual(augmentImages(images(), randomKey(6), options));
    expect(augmentImages(images(), key, {})).toEqual(images());
    const first = { dtype: "float32", shape: [1, 3, 24, 24], data: images().data.slice(0, 1728) } as const;
    expect(augmentImages(first, key, options).data).toEqual(
      augmentImages(images(), key, options).data.slice(0, 1728),
    );
  });

  test("a mirror image twice is the image", () => {
    const once = augmentImages(images(), key, { flip: 1 });
    expect(once.data[0]).toBe(images().data[23]);
    expect(augmentImages(once, key, { flip: 1 })).toEqual(images());
  });

  test("shifts repeat the edge and keep within their reach", () => {
    const line = Float32Array.from({ length: 3 * 64 }, (_, i) => (i % 8) / 8);
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({ min: 0, max: 4 }), (seed, shift) => {
        const image = { dtype: "float32", shape: [1, 3, 8, 8], data: line.slice() } as const;
        augmentImages(image, randomKey(seed), { shift });
        const offsets = [0, 1, 2, 3, 4, 5, 6, 7].map((x) => (image.data[x] as number) * 8 - x);
        const moved = offsets.find(
          (_, x) => (image.data[x] as number) > 0 && (image.data[x] as number) < 7 / 8,
        );
        expect(Math.abs(moved ?? 0)).toBeLessThanOrEqual(shift);
        for (let x = 0; x < 8; x++)
          expect((image.data[x] as number) * 8).toBe(Math.min(7, Math.max(0, x + (moved ?? 0))));
      }),
    );
  });

  test("brightness and contrast scale as stated and stay in [0, 1]", () => {
    const grey = { dtype: "float32", shape: [1, 3, 2, 2], data: new Float32Array(12).fill(0.5) } as const;
    // A grey image has no contrast: only the brightness shows.
    const factor = (augmentImages(grey, key, { brightness: 0.4, contrast: 1 }).data[0] as number) / 0.5;
    expect(Math.abs(factor - 1)).toBeLessThanOrEqual(0.4);
    expect(factor).not.toBe(1);
    const result = augmentImages(images(), key, { brightness: 1, contrast: 1 });
    expect(result.data.every((value) => value >= 0 && value <= 1)).toBe(true);
  });

  test("refuses wrong shapes and options", () => {
    const flat = { dtype: "float32", shape: [3, 2, 2], data: new Float32Array(12) } as const;
    expect(() => augmentImages(flat, key, {})).toThrow("images must be [B, 3, H, W], got [3, 2, 2]");
    expect(() => augmentImages(images(), key, { shift: 24 })).toThrow("shift must be an integer");
    expect(() => augmentImages(images(), key, { flip: 2 })).toThrow("flip must be in [0, 1], got 2");
  });
});

describe("image arrays", () => {
  test("bytes to floats and back", () => {
    const bytes = {
      dtype: "uint8",
      shape: [1, 3, 1, 2],
      data: Uint8Array.of(0, 1, 127, 128, 254, 255),
    } as const;
    const floats = toFloatImages(bytes);
    expect(floats.data[5]).toBe(1);
    expect(toByteImages(floats)).toEqual(bytes);
    const out = { dtype: "float32", shape: [1, 3, 1, 1], data: Float32Array.of(-0.5, 0.5, 1.5) } as const;
    expect([...toByteImages(out).data]).toEqual([0, 128, 255]);
  });

  test("standardising subtracts the mean and divides by the deviation of the channel", () => {
    const data = Float32Array.of(...clipStatistics.mean, ...clipStatistics.mean).map((value, i) =>
      i < 3 ? value : value + (clipStatistics.deviation[i - 3] as number),
    );
    const images = { dtype: "float32", shape: [2, 3, 1, 1], data } as const;
    [0, 0, 0, 1, 1, 1].forEach((value, i) => {
      expect(standardise({ ...images, data: data.slice() }, clipStatistics).data[i]).toBeCloseTo(value, 5);
    });
    const flat = { mean: [0, 0, 0], deviation: [1, 0, 1] } as const;
    expect(() => standardise(images, flat)).toThrow("deviations must be > 0");
  });
});

describe("image sets", () => {
  const set = captionedShapes().split(key, "train", 100).collect();

  test("are divided into disjoint parts that cover them", async () => {
    const { train, validation } = splitImages(set, key, { train: 0.9, validation: 0.1 });
    expect([train.count, validation.count]).toEqual([90, 10]);
    expect(new Set([...train.names, ...validation.names]).size).toBe(100);
    const index = set.names.indexOf(validation.names[3] as string);
    expect(await validation.pixels([3])).toEqual(await set.pixels([index]));
    expect(validation.labels.shape?.indices[3]).toBe(set.labels.shape?.indices[index]);
    expect(validation.captions[3]).toEqual(set.captions[index]);
    expect(splitImages(set, key, { train: 0.9, validation: 0.1 }).train.names).toEqual(train.names);
    expect(() => splitImages(set, key, { a: 0.9, b: 0.2 })).toThrow("a sum <= 1");
    expect(() => splitImages(set, key, { a: 0.001 })).toThrow(
      'part "a" with share 0.001 of 100 images is empty',
    );
  });

  test("refuse images that they do not have", async () => {
    expect(() => selectImages(set, [100])).toThrow("100 is not an image of a set of 100");
    await expect(set.pixels([-1])).rejects.toThrow("-1 is not an image of a set of 100");
  });

  test("label columns number values as they come", () => {
    const column = labelColumn(["b", undefined, "a", "b"]);
    expect(column.values).toEqual(["b", "a"]);
    expect([...column.indices]).toEqual([0, -1, 1, 0]);
  });
});
