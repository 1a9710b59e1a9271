import { join } from "node:path";
import { expect, it } from "vitest";
import { type Encoder, openEncoder } from "../../src/index.ts";
import { audioModel, temporaryFolder, vectorModel, WIDTH, writeFiles } from "../support/tiny-encoders.ts";

const root = await temporaryFolder();
let count = 0;
async function open(model: Uint8Array, settings?: object): Promise<Encoder> {
  const folder = join(root, String(count++));
  await writeFiles(folder, {
    "onnx/model.onnx": model,
    ...(settings ? { "preprocessor_config.json": settings } : {}),
  });
  return openEncoder(folder, { threads: 1 });
}

/** A 16-bit WAV file of some channels. */
function wav(channels: readonly Float32Array[], rate: number): Uint8Array {
  const [first = new Float32Array()] = channels;
  const size = first.length * channels.length * 2;
  const bytes = Buffer.alloc(44 + size);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + size, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(channels.length, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * channels.length * 2, 28);
  bytes.writeUInt16LE(channels.length * 2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(size, 40);
  for (let i = 0; i < first.length; i++)
    for (const [c, channel] of channels.entries())
      bytes.writeInt16LE(Math.round((channel[i] as number) * 32767), 44 + 2 * (i * channels.length + c));
  return bytes;
}

const tone = (seconds: number, rate: number, amplitude: number): Float32Array =>
  Float32Array.from(
    { length: seconds * rate },
    (_, i) => 0.1 + amplitude * Math.sin((2 * Math.PI * 440 * i) / rate),
  );

it("encodes files and samples of any rate, and padding does not show", async () => {
  await using encoder = await open(audioModel(), { sampling_rate: 8000, do_normalize: false });
  expect(encoder).toMatchObject({ modality: "audio", width: WIDTH });
  const stereo = [tone(1, 16_000, 0.5), tone(1, 16_000, 0.3)];
  await writeFiles(root, { "s.wav": wav(stereo, 16_000), "bad.wav": "no sound" });
  const items = [
    { samples: tone(1, 8000, 0.4), sampleRate: 8000 },
    { path: join(root, "s.wav") },
    { samples: tone(0.25, 8000, 0.2), sampleRate: 8000 },
    { path: join(root, "bad.wav") },
    { path: join(root, "none.wav") },
    { samples: Float32Array.of(Number.NaN), sampleRate: 8000 },
  ];
  const { values, rows, problems } = await encoder.encode(items);
  expect(rows).toEqual([0, 1, 2]);
  const reasons = ["cannot be decoded as WAV or FLAC", "no such file", "not finite"];
  expect(problems.map(({ reason }) => reason)).toEqual(reasons.map((text) => expect.stringContaining(text)));
  const row = (i: number) => Array.from(values.subarray(i * WIDTH, (i + 1) * WIDTH));
  // The mean of both channels at half the rate is the first sound, up to 16 bits and the edges of resampling.
  expect(row(1)).toEqual(row(0).map((value) => expect.closeTo(value, 2)));
  const alone = await encoder.encode([items[2] as (typeof items)[0]]);
  expect(row(2)).toEqual(Array.from(alone.values, (value) => expect.closeTo(value, 5)));
  const { feeds } = await encoder.preprocess(items.slice(0, 3));
  expect(feeds.input_values?.shape).toEqual([3, 8000]);
  expect(feeds.attention_mask?.data.filter((bit) => Number(bit) === 1)).toHaveLength(8000 + 8000 + 2000);
});

it("brings sounds to mean 0 and variance 1 where the file says so, each alone where there is no mask", async () => {
  await using encoder = await open(audioModel(false), { sampling_rate: 8000, do_normalize: true });
  const items = [0.1, 0.9].map((amplitude, i) => ({
    samples: tone(1 + i, 8000, amplitude),
    sampleRate: 8000,
  }));
  const { feeds } = await encoder.preprocess([items[0] as (typeof items)[0]]);
  const data = Array.from(feeds.input_values?.data ?? [], Number);
  expect(data.reduce((sum, v) => sum + v, 0) / data.length).toBeCloseTo(0, 5);
  expect(data.reduce((sum, v) => sum + v * v, 0) / data.length).toBeCloseTo(1, 3);
  const { values } = await encoder.encode(items);
  // Whole periods of a tone differ in nothing but amplitude and length.
  expect(Array.from(values.subarray(0, WIDTH))).toEqual(
    Array.from(values.subarray(WIDTH), (v) => expect.closeTo(v, 3)),
  );
});

it("encodes vectors as they are", async () => {
  await using encoder = await open(vectorModel());
  expect(encoder).toMatchObject({ modality: "vector", width: WIDTH });
  const { values, rows, problems } = await encoder.encode([
    { vector: [1, 2, 3, 4, 5] },
    { vector: [1, 2] },
    { vector: [1, 2, 3, 4, Number.NaN] },
    { vector: new Float32Array(5).fill(2) },
  ]);
  expect(rows).toEqual([0, 3]);
  expect(problems.map(({ reason }) => reason)).toEqual([
    "the vector has 2 values; the model takes 5",
    "the vector's value 4 is NaN",
  ]);
  expect(Math.hypot(...values.subarray(0, WIDTH))).toBeCloseTo(1, 5);
});
