import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { clipStatistics } from "@concord/data";
import { randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { epochsFor, type Inputs } from "../../harness/inputs.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { type LanguageBindConfig, paperConfig, smokeConfig } from "./config.ts";
import { experiment } from "./experiment.ts";
import { ownRun } from "./own-data.ts";
import { splitRows } from "./own-samples.ts";
import type { TrainingSamples } from "./task.ts";

const config: LanguageBindConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, own: { heldOut: 0.25, vocabulary: 400, context: 12, audio: [12, 24] } },
  encoder: { ...smokeConfig.encoder, width: 16, outputs: 16 },
  text: { kind: "bag-of-words", width: 16, hidden: [16], wordDeviation: 1 },
};

const contextOf = (inputs: Inputs) => contextInMemory(config, 3, inputs);

/** A PNG of one value: RGB bytes, or one 16-bit grey sample. */
function png(side: number, pixel: readonly number[]): Buffer {
  const chunk = (type: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(content.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const isGrey = pixel.length === 2;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([isGrey ? 16 : 8, isGrey ? 0 : 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(pixel.length * side, Buffer.from(pixel))]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A tone as a WAV file: mono, 16 bit, 8 kHz. */
function wav(hertz: number, samples: number): Buffer {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + 2 * samples, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(2 * samples, 40);
  const body = Buffer.alloc(2 * samples);
  for (let n = 0; n < samples; n++)
    body.writeInt16LE(Math.round(12_000 * Math.sin((2 * Math.PI * hertz * n) / 8000)), 2 * n);
  return Buffer.concat([head, body]);
}

const KINDS = ["red", "green", "blue", "yellow"] as const;
const COLOURS = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 0],
] as const;

let folder: string;
let given: (more?: Inputs) => Inputs;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "languagebind-"));
  for (const name of ["pictures", "sounds", "maps"]) await mkdir(join(folder, name));
  const tables: Record<string, string[]> = {
    pictures: ["image,caption,kind"],
    sounds: ["audio,caption,kind,image"],
    maps: ["depth,caption,kind"],
    clips: ["video,caption,kind"],
  };
  for (let i = 0; i < 32; i++) {
    const k = i % 4;
    const kind = KINDS[k] as string;
    await writeFile(join(folder, "pictures", `${i}.png`), png(20 + i, COLOURS[k] as readonly number[]));
    await writeFile(join(folder, "sounds", `${i}.wav`), wav(300 * (k + 1), 1600 + 100 * i));
    await writeFile(join(folder, "maps", `${i}.png`), png(20, [4 * (k + 1), i]));
    tables.pictures?.push(`${i}.png,a ${kind} card,${kind}`, `${i}.png,eine Karte ${kind},${kind}`);
    tables.sounds?.push(`${i}.wav,the sound of ${kind},${kind},${i}.png`);
    tables.maps?.push(`${i}.png,${kind} is there,${kind}`);
    const next = COLOURS[(k + 1) % 4] as readonly number[];
    await mkdir(join(folder, "pictures", `clip ${i}`));
    for (const [t, colour] of [COLOURS[k] as readonly number[], next].entries())
      await writeFile(join(folder, "pictures", `clip ${i}`, `${t}.png`), png(20, colour));
    // Half of the clips name their frames, the others the folder that these lie in.
    const clip = i % 8 < 4 ? `${i}.png|${(i + 1) % 32}.png` : `clip ${i}.mp4`;
    tables.clips?.push(`${clip},${kind} moves,${kind}`);
  }
  tables.sounds?.push("nowhere.wav,a sound,red,0.png", "../pairs.csv,a sound,red,0.png", "1.wav,,red,0.png");
  tables.maps?.push("../pictures/0.png,no depth map,red");
  tables.clips?.push("nowhere.mp4,a clip,red", "../pictures,a clip,red");
  for (const [name, rows] of Object.entries(tables))
    await writeFile(join(folder, `${name}.csv`), `${rows.join("\n")}\n`);
  await writeFile(join(folder, "maps", "colour.png"), png(4, [1, 2, 3]));
  const at = (name: string): string => join(folder, name);
  given = (more = {}) => ({
    pairs: at("pictures.csv"),
    images: at("pictures"),
    audio: at("sounds.csv"),
    "audio-files": at("sounds"),
    "label-column": "kind",
    "image-size": "24",
    epochs: "2",
    "bind-epochs": "2",
    ...more,
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** First and last frame of a clip have the colours of its kind and of the next, however the clip is given. */
function expectColours({ inputs, captions }: TrainingSamples): void {
  const plane = 24 * 24;
  const { mean, deviation } = clipStatistics;
  captions.forEach((caption, row) => {
    const kind = KINDS.indexOf(caption.split(" ")[0] as (typeof KINDS)[number]);
    for (const [t, k] of [
      [0, kind],
      [2, (kind + 1) % 4],
    ] as const) {
      const seen = [0, 1, 2].map((c) => {
        const value = inputs.data[((row * 3 + t) * 3 + c) * plane + plane / 2] as number;
        return Math.abs(Math.round(255 * (value * (deviation[c] as number) + (mean[c] as number))));
      });
      expect(seen).toEqual(COLOURS[k]);
    }
  });
}

/** Maps hold 1024 (k + 1) + i millimetres, the k-th kind in the i-th file. */
function expectMillimetres({ inputs, captions }: TrainingSamples): void {
  const plane = 24 * 24;
  captions.forEach((caption, row) => {
    const value = inputs.data[row * 3 * plane + plane / 2] as number;
    const millimetres = 10_000 * (value * clipStatistics.deviation[0] + clipStatistics.mean[0]);
    const base = 1024 * (1 + KINDS.indexOf(caption.split(" ")[0] as (typeof KINDS)[number]));
    expect(millimetres).toBeGreaterThan(base - 0.1);
    expect(millimetres).toBeLessThan(base + 31.1);
  });
}

/** Sounds from 0.2 s on have at least 18 frames of 10 ms: those shorter than 24 go on with their first ones. */
function expectRepeated({ inputs }: TrainingSamples): void {
  const [bins, frames] = [12, 24];
  const row = (sample: number, channel: number, bin: number): number[] => {
    const start = ((sample * 3 + channel) * bins + bin) * frames;
    return Array.from(inputs.data.subarray(start, start + frames));
  };
  const periods = Array.from({ length: 24 }, (_, sample) => {
    const all = Array.from({ length: bins }, (_unused, bin) => row(sample, 0, bin));
    const repeatsAfter = (period: number): boolean =>
      all.every((values) => values.slice(period).every((value, t) => value === values[t]));
    let period = 18;
    while (period < frames && !repeatsAfter(period)) period++;
    // Shorter clips are the same in three channels.
    if (period < frames) for (const channel of [1, 2]) expect(row(sample, channel, 3)).toEqual(all[3]);
    return period;
  });
  // The shortest clip has 18 frames; 100 samples of 8 kHz more make 1 or 2 frames more.
  expect(periods.filter((period) => period < frames).length).toBeGreaterThan(1);
}

describe("on own data", () => {
  it("binds sounds and depth maps that never met, and measures what it can", async () => {
    const context = contextOf(
      given({
        depth: join(folder, "maps.csv"),
        "depth-files": join(folder, "maps"),
        video: join(folder, "clips.csv"),
        "video-files": join(folder, "pictures"),
      }),
    );
    const prepared = await experiment.prepare(context);
    const { evaluation, training, pictures } = prepared.task;
    expect(pictures.captions).toHaveLength(48);
    expect(evaluation.rgb?.captions).toHaveLength(8);
    expect(training.audio?.inputs.shape).toEqual([24, 3, 12, 24]);
    expect(training.audio?.pictures?.shape).toEqual([24, 3, 24, 24]);
    expect(training.depth?.pictures).toBeNull();
    expect(training.video?.inputs.shape).toEqual([24, 3, 3, 24, 24]);
    expectColours(training.video as TrainingSamples);
    expectMillimetres(training.depth as TrainingSamples);
    expectRepeated(training.audio as TrainingSamples);
    const notes = context.notes.join("\n");
    expect(notes).toMatch(/sounds\.csv: 3 rows were skipped/);
    expect(notes).toMatch(/sounds\.csv:34: file not found/);
    expect(notes).toMatch(/sounds\.csv:35: path leads outside/);
    expect(notes).toMatch(/sounds\.csv:36: empty caption/);
    expect(notes).toMatch(/clips\.csv:34: no folder of frames of this name/);
    expect(notes).toMatch(/clips\.csv:35: path leads outside/);
    const { metrics } = await experiment.runArm("languagebind", prepared, context);
    for (const id of ["audio-text-r5", "audio-label", "depth-audio-r5", "audio-rgb-r5"])
      expect(metrics[id], id).toBeGreaterThanOrEqual(0);
    const declared = new Set(experiment.metrics.map(({ id }) => id));
    expect(Object.keys(metrics).filter((id) => !declared.has(id))).toEqual([]);
  });

  it("binds to pictures where rows name them, and says so where they do not", async () => {
    const context = contextOf(given());
    const prepared = await experiment.prepare(context);
    const { metrics } = await experiment.runArm("image-bound", prepared, context);
    expect(metrics["audio-rgb-r5"]).toBeGreaterThanOrEqual(0);
    const without = { ...prepared.task.training.audio, pictures: null } as never;
    const task = { ...prepared.task, training: { audio: without } };
    await expect(experiment.runArm("image-bound", { ...prepared, task }, context)).rejects.toThrow(
      /audio come without pictures.*--arms start,languagebind/,
    );
    await expect(experiment.runArm("languagebind-tied", prepared, context)).rejects.toThrow(
      /generated world/,
    );
  });

  it("stops at the first unusable row in strict mode", async () => {
    await expect(experiment.prepare(contextOf(given({ strict: true })))).rejects.toThrow(
      /sounds\.csv:3[456]: /,
    );
  });

  it("says what is wrong with its inputs", async () => {
    const check = (inputs: Inputs, preset: "default" | "paper" = "default") =>
      experiment.validate?.(inputs, preset);
    await expect(check(given())).resolves.toBeUndefined();
    await expect(check({ pairs: join(folder, "pictures.csv") })).rejects.toThrow(
      /at least one sensor.*--audio/,
    );
    await expect(check(given({ epochs: "many" }))).rejects.toThrow(/--epochs must be an integer from 1 to/);
    await expect(check(given({ "image-size": "25" }))).rejects.toThrow(/multiple of 4.* got 25/);
    await expect(check(given({ "image-size": "24" }), "paper")).rejects.toThrow(/multiple of 14/);
    await expect(check(given({ audio: join(folder, "maps", "0.png") }))).rejects.toThrow(
      /--audio: expected a \.csv/,
    );
    await expect(check(given({ audio: join(folder, "none.csv") }))).rejects.toThrow(
      /--audio: there is no file or folder/,
    );
    await writeFile(join(folder, "empty.csv"), "");
    await expect(experiment.prepare(contextOf(given({ audio: join(folder, "empty.csv") })))).rejects.toThrow(
      /empty\.csv has no rows: expected a heading with the columns audio and caption/,
    );
    await expect(experiment.prepare(contextOf(given({ "label-column": "sort" })))).rejects.toThrow(
      /--label-column: no file has a value in a column "sort"/,
    );
    await expect(check(given({ "audio-files": join(folder, "none") }))).rejects.toThrow(
      /no folder or archive/,
    );
    await expect(experiment.prepare(contextOf(given({ audio: join(folder, "maps.csv") })))).rejects.toThrow(
      /no column "audio"; there are "depth"/,
    );
  });

  it("keeps all captions of a picture on one side, and each held-out picture once", () => {
    const names = Array.from({ length: 40 }, (_, i) => `${i % 20}.png`);
    const { training, evaluation } = splitRows(randomKey(1), names, 0.25, "rgb");
    const [learned, held] = [training, evaluation].map((rows) => rows.map((i) => names[i]));
    expect(new Set(held).size).toBe(5);
    expect(held).toHaveLength(5);
    expect(learned).toHaveLength(30);
    expect(held?.filter((name) => learned?.includes(name))).toEqual([]);
    expect(() => splitRows(randomKey(1), ["a", "a", "b"], 0.25, "rgb")).toThrow(
      /2 usable files .* at least 3/,
    );
  });

  it("trains for as many steps as the preset does on generated samples", () => {
    expect(epochsFor(7, { epochs: 4, batchSize: 64 }, 3000, 10)).toBe(7);
    expect(epochsFor(undefined, { epochs: 4, batchSize: 64 }, 640, 64)).toBe(40);
    expect(epochsFor(undefined, { epochs: 4, batchSize: 64 }, undefined, 64)).toBe(4);
    expect(ownRun(paperConfig, { pairs: "x.csv" })?.config.encoder.inputSize).toEqual([224, 224]);
    expect(ownRun(config, {})).toBeNull();
  });
});
