import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { targetSize } from "../../src/encoders/image-pixels.ts";
import { type Filter, resample } from "../../src/encoders/resample.ts";
import { type Encoder, EncoderError, type OpenEncoderOptions, openEncoder } from "../../src/index.ts";
import {
  imageFiles,
  imageModel,
  SIDE,
  temporaryFolder,
  textFiles,
  textModel,
  tokenizer,
  WIDTH,
  writeFiles,
} from "../support/tiny-encoders.ts";

interface Fixture {
  readonly width: number;
  readonly height: number;
  readonly pixels: readonly number[];
  readonly resized: Readonly<Record<string, readonly number[]>>;
  readonly clip: readonly number[];
}
const fixture: Fixture = JSON.parse(await readFile(new URL("fixtures/pillow.json", import.meta.url), "utf8"));
const { width, height } = fixture;
const source = { pixels: Uint8Array.from(fixture.pixels), width, height, channels: 3 };
const root = await temporaryFolder();
let count = 0;

async function open(
  files: Readonly<Record<string, Uint8Array | string | object>>,
  options: OpenEncoderOptions = {},
): Promise<Encoder> {
  const folder = join(root, `encoder-${count++}`);
  await writeFiles(folder, files);
  return openEncoder(folder, { threads: 1, workers: 1, ...options });
}

const raw = { raw: { width, height, channels: 3 } } as const;
let picture: Uint8Array;
beforeAll(async () => {
  picture = await sharp(source.pixels, raw).png().toBuffer();
});

it.each(Object.keys(fixture.resized))("resizes as Pillow does: %s", (name) => {
  const [filter, size] = name.split(" ") as [Filter, string];
  const [w, h] = size.split("x").map(Number) as [number, number];
  const result = resample(source, w, h, filter);
  expect([result.width, result.height]).toEqual([w, h]);
  expect(Array.from(result.pixels)).toEqual(fixture.resized[name]);
});

it("prepares pictures at another size as the same settings twice as large would", async () => {
  await using encoder = await open(imageFiles(imageModel()));
  const settings = { size: { shortest_edge: 2 * SIDE }, crop_size: { height: 2 * SIDE, width: 2 * SIDE } };
  const free = imageModel({ sides: ["height", "width"] });
  await using large = await open(imageFiles(free, settings));
  const item = [{ bytes: picture }];
  const wanted = (await large.preprocess(item)).feeds.pixel_values;
  const size = [2 * SIDE, 2 * SIDE];
  expect((await encoder.preprocess(item, { size })).feeds.pixel_values).toEqual(wanted);
  expect(wanted?.shape).toEqual([1, 3, ...size]);
  await expect(encoder.preprocess(item, { size: [16] })).rejects.toThrow(/two whole numbers from 1 to 4096/);
  await expect(encoder.preprocess(item, { size: [16, 1e9] })).rejects.toThrow(/two whole numbers/);
  await using texts = await open(textFiles(textModel()));
  await expect(texts.preprocess([{ text: "a" }], { size })).rejects.toThrow(
    /of pictures and scans; this is a model of text/,
  );
});

it.each([
  [{ width: 29, height: 21 }, { shortest: 8 }, { width: 11, height: 8 }],
  [{ width: 100, height: 333 }, { shortest: 224 }, { width: 224, height: 745 }],
  [
    { width: 7, height: 9 },
    { width: 4, height: 3 },
    { width: 4, height: 3 },
  ],
  [{ width: 7, height: 9 }, null, { width: 7, height: 9 }],
])("%j resized to %j is %j", (size, resize, expected) => {
  expect(targetSize(size, { resize })).toEqual(expected);
});

describe("an image encoder", () => {
  it("sees what CLIP's own preprocessing makes of a picture", async () => {
    await using encoder = await open(imageFiles(imageModel()));
    expect(encoder).toMatchObject({ modality: "image", width: WIDTH, notes: [] });
    expect(encoder.graph).toMatchObject({ output: "image_embeds", pooling: "none" });
    const { feeds, problems } = await encoder.preprocess([{ bytes: picture }]);
    expect(problems).toEqual([]);
    expect(feeds.pixel_values?.shape).toEqual([1, 3, SIDE, SIDE]);
    // The fixture has six decimals.
    const values = Array.from(feeds.pixel_values?.data as Float32Array);
    expect(values).toEqual(fixture.clip.map((value) => expect.closeTo(value, 5)));
  });

  it("encodes files and bytes in their order, and names those that are no pictures", async () => {
    await using encoder = await open(imageFiles(imageModel()));
    const colours = ["red", "green", "blue"].map((background) =>
      sharp({ create: { width: 30, height: 20, channels: 3, background } }),
    );
    const files = Object.fromEntries(
      await Promise.all(
        colours.map(async (image, i) => [`${i}.jpg`, await image.jpeg().toBuffer()] as const),
      ),
    );
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>';
    const folder = join(root, "pictures");
    await writeFiles(folder, { ...files, "text.jpg": "no picture", "empty.png": "", "v.svg": svg });
    const paths = ["0.jpg", "none.jpg", "1.jpg", "text.jpg", "empty.png", "v.svg", "2.jpg"];
    const cut = (files["0.jpg"] as Uint8Array).slice(0, 200);
    const items = [...paths.map((name) => ({ path: join(folder, name) })), { bytes: cut }, { text: "red" }];
    const { values, rows, problems } = await encoder.encode(items, { batch: 2 });
    expect(rows).toEqual([0, 2, 6]);
    expect(problems.map(({ index }) => index)).toEqual([1, 3, 4, 5, 7, 8]);
    const reasons = [
      "no such file",
      "cannot be decoded",
      "empty",
      "svg is not supported",
      "decoded",
      "expected a picture",
    ];
    for (const [i, reason] of reasons.entries()) expect(problems[i]?.reason).toContain(reason);
    const alone = await encoder.encode([items[6] as { path: string }]);
    expect(Array.from(values.subarray(2 * WIDTH))).toEqual(
      Array.from(alone.values, (v) => expect.closeTo(v, 5)),
    );
  });

  it("turns pictures upright, and puts transparent ones on white", async () => {
    await using encoder = await open(
      imageFiles(imageModel(), {
        do_normalize: false,
        do_rescale: false,
        size: { height: SIDE, width: SIDE },
      }),
    );
    const half = await sharp({ create: { width: 8, height: 8, channels: 3, background: "black" } })
      .composite([
        { input: { create: { width: 4, height: 8, channels: 3, background: "white" } }, left: 0, top: 0 },
      ])
      .withMetadata({ orientation: 3 })
      .png()
      .toBuffer();
    const clear = await sharp({ create: { width: 8, height: 8, channels: 4, background: "#00000000" } })
      .png()
      .toBuffer();
    const { feeds } = await encoder.preprocess([{ bytes: half }, { bytes: clear }]);
    const data = feeds.pixel_values?.data as Float32Array;
    expect([data[0], data[SIDE - 1]]).toEqual([0, 255]);
    expect(data.subarray(3 * SIDE * SIDE).every((value) => value === 255)).toBe(true);
  });

  it.each([
    ["numbers for sizes", { size: SIDE, crop_size: SIDE }],
    ["a square", { size: { height: SIDE, width: SIDE }, do_center_crop: false }],
    ["ConvNeXt's ratio", { size: { shortest_edge: SIDE }, crop_pct: 0.875, do_center_crop: undefined }],
    ["no resizing", { do_resize: false }],
  ])("understands %s", async (_, preprocessor) => {
    await using encoder = await open(imageFiles(imageModel(), preprocessor));
    const { feeds } = await encoder.preprocess([{ bytes: picture }]);
    expect(feeds.pixel_values?.shape).toEqual([1, 3, SIDE, SIDE]);
    expect(Array.from(feeds.pixel_values?.data ?? [Number.NaN], Number).every(Number.isFinite)).toBe(true);
  });

  it("fills up batches of a fixed size, and makes pictures grey for one channel", async () => {
    await using encoder = await open(
      imageFiles(imageModel({ batch: 2, channels: 1 }), { image_mean: 0.5, image_std: [0.5] }),
    );
    const items = Array.from({ length: 5 }, () => ({ bytes: picture }));
    const { values, rows } = await encoder.encode(items);
    expect(rows).toEqual([0, 1, 2, 3, 4]);
    for (let row = 1; row < 5; row++)
      expect(values.slice(row * WIDTH, (row + 1) * WIDTH)).toEqual(values.slice(0, WIDTH));
  });

  it("says what it assumes without a preprocessor's file", async () => {
    const { "preprocessor_config.json": _, ...files } = imageFiles(imageModel());
    await using encoder = await open(files);
    expect(encoder.notes.join()).toContain("no preprocessor_config.json");
  });

  it("is one of the models of a folder with several", async () => {
    const files = {
      ...imageFiles(imageModel()),
      "tokenizer.json": tokenizer.json,
      "onnx/text_model.onnx": textModel({ outputs: { text_embeds: "whole" } }),
    };
    await using pictures = await open(files, { modality: "image" });
    await using texts = await open(files, { modality: "text" });
    expect([pictures.graph.output, texts.graph.output]).toEqual(["image_embeds", "text_embeds"]);
    await expect(open(files)).rejects.toThrow(
      "Say which kind of input is meant: text, image, volume or audio",
    );
  });

  it.each([
    [
      "another size than the model's",
      { crop_size: 5 },
      "leads to pictures of 5 × 5, but 'pixel_values' takes 8 × 8",
    ],
    [
      "a size that is none",
      { size: { longest_edge: 9 } },
      "expected a number, { height, width } or { shortest_edge }",
    ],
    ["a huge size", { size: 1e9 }, "'size' must be a whole number from 1 to 4096"],
    ["two means", { image_mean: [1, 2] }, "'image_mean' must be 3 numbers"],
    ["no deviation", { image_std: [1, 0, 1] }, "'image_std' must not contain 0"],
    ["an unknown filter", { resample: 9 }, "'resample' must be a whole number from 0 to 5"],
  ])("refuses %s", async (_, preprocessor, message) => {
    const opening = open(imageFiles(imageModel(), preprocessor));
    await expect(opening).rejects.toThrow(EncoderError);
    await expect(opening).rejects.toThrow(message);
  });
});
