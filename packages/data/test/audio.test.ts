import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { randomKey } from "@concord/tensor";
import createFlac from "libflacjs";
import { Encoder } from "libflacjs/lib/encoder.js";
import { describe, expect, test } from "vitest";
import wavefile from "wavefile";
import {
  AudioError,
  audioBatches,
  decodeAudio,
  decodeFlac,
  decodeWav,
  fitLength,
  type LogMelOptions,
  loadAudioFolder,
  logMel,
  mixToMono,
  prefetch,
  resample,
  webdatasetSamples,
} from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";

interface Values {
  readonly muLaw: readonly number[];
  readonly aLaw: readonly number[];
  readonly signal: readonly number[];
  readonly logMel: readonly {
    readonly options: LogMelOptions;
    readonly values: readonly (readonly number[])[];
  }[];
}

/** Made by `fixtures/make-audio-values.py`. */
const values = JSON.parse(
  readFileSync(new URL("./fixtures/audio-values.json", import.meta.url), "utf8"),
) as Values;
const folder = await temporaryFolder();

function tone(hertz: number, rate: number, seconds: number): Float32Array {
  return Float32Array.from(
    { length: Math.round(rate * seconds) },
    (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate),
  );
}

/** A WAV file by an independent library. */
function wav(channels: readonly ArrayLike<number>[], rate: number, bits: string): Uint8Array {
  const file = new wavefile.WaveFile();
  const samples = channels.map((channel) => Array.from(channel));
  file.fromScratch(channels.length, rate, bits, channels.length === 1 ? (samples[0] as number[]) : samples);
  return file.toBuffer();
}

async function flac(
  channels: readonly Int32Array<ArrayBuffer>[],
  rate: number,
  bits: 16 | 24,
): Promise<Uint8Array> {
  const library = createFlac("min");
  if (!library.isReady()) await new Promise<void>((done) => library.on("ready", () => done()));
  const encoder = new Encoder(library, {
    sampleRate: rate,
    channels: channels.length,
    bitsPerSample: bits,
    compression: 5,
    totalSamples: channels[0]?.length ?? 0,
  });
  encoder.encode([...channels]);
  encoder.encode();
  const bytes = Uint8Array.from(encoder.getSamples());
  encoder.destroy();
  return bytes;
}

describe("WAV", () => {
  const left = [0, 1, -1, 0.5, -0.25];
  const right = [0.1, 0.2, 0.3, 0.4, 0.5];

  test.each([
    ["8", 128, 127],
    ["16", 32_768, 32_767],
    ["24", 2 ** 23, 2 ** 23 - 1],
    ["32", 2 ** 31, 2 ** 31 - 1],
  ] as const)("PCM of %s bits", (bits, scale, most) => {
    const integers = (channel: readonly number[]): number[] =>
      channel.map((x) => Math.max(-scale, Math.min(most, Math.round(x * scale))) + (bits === "8" ? 128 : 0));
    const clip = decodeWav(wav([integers(left), integers(right)], 22_050, bits));
    expect([clip.sampleRate, clip.channels.length]).toEqual([22_050, 2]);
    // Half a quantisation step, a whole one at +1, which two's complement lacks, and the rounding of float32.
    for (const [c, channel] of [left, right].entries())
      channel.forEach((x, i) => {
        expect(Math.abs((clip.channels[c]?.[i] as number) - x)).toBeLessThanOrEqual(
          (x === 1 ? 1.001 : 0.501) / scale + 2 ** -24,
        );
      });
  });

  test("floats as they are", () => {
    expect([...(decodeWav(wav([left], 8000, "32f")).channels[0] ?? [])]).toEqual(left);
    expect([...(decodeWav(wav([left], 8000, "64")).channels[0] ?? [])]).toEqual(left);
  });

  test.each([
    [7, "muLaw"],
    [6, "aLaw"],
  ] as const)("G.711 with tag %i: all 256 codes", (tag, name) => {
    const bytes = wav([Array.from({ length: 256 }, (_, i) => i)], 8000, "8");
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint16(20, tag, true);
    expect(Array.from(decodeWav(bytes).channels[0] ?? [], (x) => x * 32_768 + 0)).toEqual(values[name]);
  });

  test("any truncation and any changed byte gives sound or an AudioError", () => {
    const bytes = wav([[1, 2, 3, 4, 5, 6, 7, 8]], 8000, "16");
    let refused = 0;
    const attempt = (changed: Uint8Array): void => {
      try {
        decodeWav(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(AudioError);
        refused++;
      }
    };
    for (let length = 0; length < bytes.length; length++) attempt(bytes.subarray(0, length));
    expect(refused).toBe(bytes.length);
    for (let at = 0; at < bytes.length; at++)
      for (const flip of [1, 0x80, 0xff]) {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] as number) ^ flip;
        attempt(changed);
      }
    expect(refused).toBeGreaterThan(bytes.length);
    expect(() => decodeWav(bytes, { maxSamples: 7 })).toThrow("more than 7 samples");
  });
});

describe("FLAC", () => {
  const noise = Int32Array.from({ length: 9000 }, (_, i) =>
    Math.round(3000 * Math.sin(i * 0.05) + ((i * 7919) % 101)),
  );

  test.each([16, 24] as const)("%i bits and two channels come back exactly", async (bits) => {
    const channels = [noise, noise.map((x) => -x)];
    const clip = await decodeFlac(await flac(channels, 44_100, bits));
    expect([clip.sampleRate, clip.channels.length]).toEqual([44_100, 2]);
    channels.forEach((channel, c) => {
      expect(Array.from(clip.channels[c] ?? [], (x) => x * 2 ** (bits - 1))).toEqual([...channel]);
    });
  });

  test("truncations and changed bytes give sound or an AudioError; limits hold", async () => {
    const bytes = await flac([noise], 8000, 16);
    await expect(decodeFlac(bytes.subarray(0, bytes.length / 2))).rejects.toThrow(AudioError);
    await expect(decodeFlac(bytes, { maxSamples: 5000 })).rejects.toThrow("more than 5000 samples");
    await expect(decodeFlac(new Uint8Array(100))).rejects.toThrow("not a FLAC file");
    let refused = 0;
    for (let at = 4; at < bytes.length; at += Math.ceil(bytes.length / 60)) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ 0xff;
      for (const hostile of [changed, bytes.subarray(0, at)])
        await decodeFlac(hostile).catch((error: unknown) => {
          expect(error).toBeInstanceOf(AudioError);
          refused++;
        });
    }
    expect(refused).toBeGreaterThan(60);
    // The decoder is still sound after all that.
    expect((await decodeFlac(bytes)).channels[0]?.length).toBe(9000);
  }, 20_000);
});

describe("resampling", () => {
  test.each([
    [44_100, 16_000],
    [8000, 16_000],
    [16_000, 44_100],
    [48_000, 22_050],
    [16_000, 16_001],
  ])("a tone at %i Hz is the same tone at %i Hz", (from, to) => {
    const result = resample(tone(440, from, 0.5), from, to);
    expect(result.length).toBe(Math.ceil((Math.round(from * 0.5) * to) / from));
    const exact = tone(440, to, 0.5);
    // Away from the ends, where the filter reaches beyond the signal.
    const margin = Math.ceil(40 * Math.max(1, to / from));
    for (let i = margin; i < result.length - margin; i++)
      expect(Math.abs((result[i] as number) - (exact[i] as number))).toBeLessThan(2e-4);
  });

  test("what the lower rate cannot hold is removed: a tone above its Nyquist frequency falls by 80 dB", () => {
    const result = resample(tone(6000, 16_000, 0.5), 16_000, 8000).subarray(100, -100);
    expect(Math.max(...result.map(Math.abs))).toBeLessThan(0.5e-4);
    expect(() => resample(new Float32Array(3), 8000.5, 8000)).toThrow("rates must be integers");
  });
});

describe("features", () => {
  test.each(values.logMel)("log-mel agrees with SciPy for $options", ({ options, values: expected }) => {
    const result = logMel(Float32Array.from(values.signal), options);
    expect(result.shape).toEqual([expected.length, expected[0]?.length]);
    // float32 of numbers up to 25, rounded to 6 digits in the file.
    expected.flat().forEach((x, i) => {
      expect(Math.abs((result.data[i] as number) - x)).toBeLessThan(5e-6);
    });
  });

  test("options out of range are refused", () => {
    const signal = new Float32Array(1000);
    const bad =
      (options: Partial<LogMelOptions>): (() => unknown) =>
      () =>
        logMel(signal, { sampleRate: 8000, ...options });
    expect(bad({ fftSize: 500 })).toThrow("power of two");
    expect(bad({ windowLength: 513 })).toThrow("windowLength 513 is over fftSize 512");
    expect(bad({ highest: 5000 })).toThrow("no band from 0 to 5000 Hz");
    expect(bad({ fftSize: 2048, windowLength: 400 })).toThrow("cannot be mirrored");
  });

  test("mixing and fitting", () => {
    const clip = { sampleRate: 1, channels: [Float32Array.of(1, 2), Float32Array.of(3, -2)] };
    expect([...mixToMono(clip)]).toEqual([2, 0]);
    const signal = Float32Array.of(1, 2, 3, 4, 5);
    expect([...fitLength(signal, 3)]).toEqual([1, 2, 3]);
    expect([...fitLength(signal, 3, 0.5)]).toEqual([2, 3, 4]);
    expect([...fitLength(signal, 3, 1)]).toEqual([3, 4, 5]);
    expect([...fitLength(signal, 7)]).toEqual([1, 2, 3, 4, 5, 0, 0]);
  });
});

describe("a folder of sounds", () => {
  test("classes, bad files counted, batches that the key decides", async () => {
    const root = join(folder, "sounds");
    for (const name of ["high", "low"]) await mkdir(join(root, name), { recursive: true });
    const pcm = (signal: Float32Array): Int32Array<ArrayBuffer> =>
      Int32Array.from(signal, (x) => Math.round(x * 32_767));
    await writeFile(join(root, "high", "a.wav"), wav([pcm(tone(2000, 8000, 1))], 8000, "16"));
    await writeFile(join(root, "high", "b.flac"), await flac([pcm(tone(2000, 16_000, 1))], 16_000, 16));
    await writeFile(join(root, "low", "c.wav"), wav([pcm(tone(200, 8000, 0.1))], 8000, "16"));
    await writeFile(join(root, "low", "broken.wav"), "RIFF....WAVE");
    await writeFile(join(root, "low", "text.wav"), "hello");
    const { set, problems } = await loadAudioFolder({ root, sampleRate: 8000 });
    expect(set.names).toEqual(["high/a.wav", "high/b.flac", "low/c.wav"]);
    expect(set.classes.values).toEqual(["high", "low"]);
    expect(problems.countByReason).toEqual({
      "truncated within its headings": 1,
      "not a WAV or FLAC file": 1,
    });
    await expect(loadAudioFolder({ root, sampleRate: 8000, strict: true })).rejects.toMatchObject({
      name: "RowError",
    });
    await expect(loadAudioFolder({ root, sampleRate: 8000, maxMemoryBytes: 1000 })).rejects.toThrow(
      "over the limit of 1000",
    );

    const options = { key: randomKey(3), batchSize: 3, seconds: 0.25 };
    await using source = prefetch(audioBatches(set, options));
    const { audio, classes, indices } = await source.batch(4);
    expect(audio.shape).toEqual([3, 2000]);
    expect(Array.from(indices.data, (i) => set.classes.indices[i])).toEqual([...classes.data]);
    expect((await audioBatches(set, options).batch(4)).audio.data).toEqual(audio.data);
    expect((await audioBatches(set, options).batch(5)).audio.data).not.toEqual(audio.data);
    const features = audioBatches(set, {
      ...options,
      logMel: { bands: 16, fftSize: 256, windowLength: 256, hop: 100 },
    });
    expect((await features.batch(0)).audio.shape).toEqual([3, 16, 21]);
  });

  const data = resolve(
    process.env.CONCORD_TEST_DATA ?? join(import.meta.dirname, "../../../../shared/data"),
    "audio",
  );
  const archive = join(data, "esc10.tar.gz");
  if (!existsSync(archive)) console.warn(`skipped: recorded sounds, because ${archive} is not there`);
  test.skipIf(!existsSync(archive))("recorded sounds, mu-law at 8 kHz, brought to 16 kHz", async () => {
    let clips = 0;
    for await (const { parts } of webdatasetSamples(archive, { endings: ["wav"] })) {
      const bytes = parts.get("wav")?.bytes;
      if (!bytes) continue;
      const clip = await decodeAudio(bytes);
      expect(clip.sampleRate).toBe(8000);
      const mono = resample(mixToMono(clip), 8000, 16_000);
      const { shape, data: mel } = logMel(mono, { sampleRate: 16_000, bands: 40 });
      expect(shape).toEqual([40, 1 + Math.floor(mono.length / 160)]);
      expect(mel.every(Number.isFinite)).toBe(true);
      if (++clips === 10) break;
    }
    expect(clips).toBe(10);
  });
});
