import { RandomStream, randomKey } from "@concord/tensor";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeDepthMap, ImageFileError, kaldiFbank } from "../src/index.ts";

const noise = (length: number): Float32Array => {
  const random = new RandomStream(randomKey(3));
  return Float32Array.from({ length }, () => random.uniform(-0.5, 0.5));
};

/** One energy by the definition: plain sums over samples and frequencies. */
function energyOf(
  signal: Float32Array,
  frame: number,
  bin: number,
  bins: number,
  sampleRate: number,
): number {
  const [length, shift] = [0.025 * sampleRate, 0.01 * sampleRate];
  const size = 2 ** Math.ceil(Math.log2(length));
  const samples = Array.from(signal.subarray(frame * shift, frame * shift + length));
  const mean = samples.reduce((a, b) => a + b, 0) / length;
  const centred = samples.map((x) => x - mean);
  const windowed = centred.map(
    (x, n) =>
      (x - 0.97 * (centred[Math.max(0, n - 1)] as number)) *
      (0.5 - 0.5 * Math.cos((2 * Math.PI * n) / (length - 1))),
  );
  const mel = (hertz: number): number => 1127 * Math.log(1 + hertz / 700);
  const [from, to] = [mel(20), mel(sampleRate / 2)];
  const [left, right] = [bin, bin + 2].map((i) => from + (i * (to - from)) / (bins + 1)) as [number, number];
  const centre = (left + right) / 2;
  let energy = 0;
  for (let k = 0; k < size / 2; k++) {
    const place = mel((k * sampleRate) / size);
    if (place <= left || place >= right) continue;
    const [re, im] = [Math.cos, Math.sin].map((wave) =>
      windowed.reduce((sum, x, n) => sum + x * wave((2 * Math.PI * k * n) / size), 0),
    ) as [number, number];
    const height = place < centre ? (place - left) / (centre - left) : (right - place) / (right - centre);
    energy += height * (re * re + im * im);
  }
  return Math.log(energy);
}

describe("kaldiFbank", () => {
  it("is the definition, frame by frame", () => {
    const signal = noise(16_000 * 0.08);
    const { shape, data } = kaldiFbank(signal, { sampleRate: 16_000, bins: 126 });
    // 1280 samples, frames of 400 every 160: those that reach over the end are left out.
    expect(shape).toEqual([6, 126]);
    // float32 of a logarithm near 0 to 5.
    for (const [frame, bin] of [
      [0, 0],
      [0, 17],
      [3, 80],
      [5, 125],
    ] as const)
      expect(data[frame * 126 + bin]).toBeCloseTo(energyOf(signal, frame, bin, 126, 16_000), 4);
  });

  it("puts a tone into the bin of its frequency and ignores a constant", () => {
    const tone = (offset: number): Float32Array =>
      Float32Array.from(
        { length: 1600 },
        (_, n) => offset + 0.3 * Math.sin((2 * Math.PI * 1000 * n) / 16_000),
      );
    const [plain, shifted] = [tone(0), tone(0.4)].map((x) => kaldiFbank(x, { sampleRate: 16_000, bins: 40 }));
    const row = Array.from((plain as { data: Float32Array }).data.subarray(0, 40));
    const mel = (hertz: number): number => 1127 * Math.log(1 + hertz / 700);
    const wanted = Math.round((41 * (mel(1000) - mel(20))) / (mel(8000) - mel(20))) - 1;
    expect(Math.abs(row.indexOf(Math.max(...row)) - wanted)).toBeLessThanOrEqual(1);
    row.forEach((value, m) => {
      expect((shifted as { data: Float32Array }).data[m]).toBeCloseTo(value, 2);
    });
  });

  it("gives the smallest energy for silence, and says what is wrong", () => {
    const silent = kaldiFbank(new Float32Array(800), { sampleRate: 16_000 });
    expect(new Set(silent.data)).toEqual(new Set([Math.fround(Math.log(1.1920928955078125e-7))]));
    expect(() => kaldiFbank(new Float32Array(399), { sampleRate: 16_000 })).toThrow(
      /399 samples is shorter than a frame of 400/,
    );
    expect(() => kaldiFbank(noise(800), { sampleRate: 16_000, bins: 0 })).toThrow(/bins must be/);
    expect(() => kaldiFbank(noise(800), { sampleRate: 8000, highest: 5000 })).toThrow(
      /no bins from 20 to 5000/,
    );
  });
});

describe("decodeDepthMap", () => {
  const png = (values: readonly number[], width: number): Promise<Buffer> =>
    sharp(Uint16Array.from(values), { raw: { width, height: values.length / width, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();

  it("gives 16-bit samples as they are", async () => {
    const values = [0, 1, 255, 256, 4321, 65_535];
    const map = await decodeDepthMap(await png(values, 3));
    expect(map.shape).toEqual([2, 3]);
    expect(Array.from(map.data)).toEqual(values);
  });

  it("refuses other pictures, broken ones and large ones", async () => {
    const rgb = sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } });
    await expect(decodeDepthMap(await rgb.clone().png().toBuffer())).rejects.toThrow(
      /16-bit grey PNG, got png with 3 channels of uchar/,
    );
    await expect(decodeDepthMap(await rgb.clone().jpeg().toBuffer())).rejects.toThrow(ImageFileError);
    const whole = await png(
      Array.from({ length: 4096 }, (_, i) => (i * 7919) % 65_536),
      64,
    );
    await expect(decodeDepthMap(whole.subarray(0, whole.length >> 1))).rejects.toThrow(ImageFileError);
    await expect(decodeDepthMap(whole, { maxPixels: 100 })).rejects.toThrow(/pixel limit/);
    await expect(decodeDepthMap(new Uint8Array(0))).rejects.toThrow(ImageFileError);
  });
});
