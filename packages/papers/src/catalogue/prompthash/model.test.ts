import {
  compile,
  keyTensor,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  stack,
  type Tensor,
  type Traced,
  tensor,
  toNumbers,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { contextInMemory } from "../../harness/memory-context.ts";
import { type ArmRecipe, armById } from "./arms.ts";
import { smokeConfig } from "./config.ts";
import { type DualEncoderParams, dualEncoder } from "./encoders.ts";
import { Latest } from "./latest.ts";
import { type ArmParams, armModel, RANDOM_USES } from "./model.ts";
import { generatedTask } from "./task.ts";
import { trainHashing } from "./training.ts";

const [B, T, C, SIZE, WORDS] = [5, 6, 8, 16, 12];
const hashing = {
  ...smokeConfig.hashing,
  epochs: 1,
  batchSize: 8,
  auxiliaryBits: 24,
  residualDropout: 0,
  fusion: { ...smokeConfig.hashing.fusion, dropout: 0 },
};
const encoder = {
  width: C,
  image: { kind: "convolutional", filters: [4, 6] },
  text: { layers: 2, heads: 2 },
  tunedBlocks: 1,
} as const;
const dual = dualEncoder(encoder, { imageSize: SIZE, vocabulary: WORDS, context: T });
const start = dual.init(randomKey(1));
const ids = (seed: number, rows: number): NDArray =>
  ndarray(
    Array.from({ length: rows * T }, (_, i) => (i * 7 + seed * 3) % WORDS),
    { shape: [rows, T], dtype: "int32" },
  );
const images = (seed: number): NDArray => normalArray(randomKey(seed), [B, 3, SIZE, SIZE]);

type View = "paired" | "unimodal" | "training";

/** Features of an arm at its start. */
async function featuresOf(
  recipe: ArmRecipe,
  view: View,
  given: { readonly images?: NDArray; readonly tokens?: NDArray; readonly prompts?: NDArray } = {},
) {
  const model = armModel(dual, C, hashing, recipe);
  const params = model.init(randomKey(2), start, T);
  const texts = {
    tokens: given.tokens ?? ids(1, B),
    ends: ndarray([2, 3, 1, 5, 4], { dtype: "int32" }),
    prompts: given.prompts ?? ids(2, 1),
    emptyTokens: ids(3, 1),
    emptyEnds: ndarray([1], { dtype: "int32" }),
    emptyPrompt: ids(2, 1),
  };
  const run = compile(
    (p: Traced<ArmParams>, frozen: Traced<DualEncoderParams["frozen"]>, x: Tensor, t: never) => {
      const encoded = model.encode(p, frozen, x, t);
      const keys = stack(Array.from({ length: RANDOM_USES }, (_, use) => keyTensor(randomKey(4 + use))));
      const features =
        view === "training"
          ? model.training(p, encoded, keys, tensor(recipe.missing === "all" ? 1 : 0.5))
          : model[view](p, encoded);
      return { image: features.image, text: features.text };
    },
  );
  const { image, text } = await run(params, start.frozen, given.images ?? images(5), texts as never);
  const rows = (of: NDArray): number[][] =>
    Array.from({ length: B }, (_, i) => Array.from(toNumbers(of)).slice(i * C, (i + 1) * C));
  return { image: rows(image), text: rows(text) };
}

const { recipe } = armById("prompthash");

describe("codes of an item alone", () => {
  it("know nothing of the partner", async () => {
    const plain = await featuresOf(recipe, "unimodal");
    const otherText = await featuresOf(recipe, "unimodal", { tokens: ids(7, B) });
    const otherImage = await featuresOf(recipe, "unimodal", { images: images(6) });
    expect(otherText.image).toEqual(plain.image);
    expect(otherText.text).not.toEqual(plain.text);
    expect(otherImage.text).toEqual(plain.text);
    expect(otherImage.image).not.toEqual(plain.image);
  });

  it("of a picture know nothing of prompts that are built from labels", async () => {
    const plain = await featuresOf(recipe, "unimodal");
    const labelled = await featuresOf(recipe, "unimodal", { prompts: ids(8, B) });
    expect(labelled.image).toEqual(plain.image);
  });

  it("differ from those of pairs, which do know the partner", async () => {
    const plain = await featuresOf(recipe, "paired");
    const otherText = await featuresOf(recipe, "paired", { tokens: ids(7, B) });
    expect(otherText.image).not.toEqual(plain.image);
    expect((await featuresOf(recipe, "unimodal")).image).not.toEqual(plain.image);
  });

  it("are those of pairs where there is no fusion", async () => {
    const alone = armById("no-fusion").recipe;
    expect(await featuresOf(alone, "unimodal")).toEqual(await featuresOf(alone, "paired"));
  });
});

describe("training, without dropout", () => {
  const close = (a: readonly number[], b: readonly number[]): boolean =>
    a.every((value, i) => Math.abs(value - (b[i] as number)) < 1e-5);

  it("sees pairs, or items alone, as the arm says", async () => {
    const [paired, alone] = [await featuresOf(recipe, "paired"), await featuresOf(recipe, "unimodal")];
    const never = await featuresOf({ ...recipe, missing: "none" }, "training");
    const always = await featuresOf({ ...recipe, missing: "all" }, "training");
    for (const modality of ["image", "text"] as const)
      for (let i = 0; i < B; i++) {
        expect(close(never[modality][i] as number[], paired[modality][i] as number[])).toBe(true);
        expect(close(always[modality][i] as number[], alone[modality][i] as number[])).toBe(true);
      }
  });

  it("leaves the partner out for some of the samples", async () => {
    const [paired, alone] = [await featuresOf(recipe, "paired"), await featuresOf(recipe, "unimodal")];
    const some = await featuresOf(recipe, "training");
    const kinds = (["image", "text"] as const).flatMap((modality) =>
      some[modality].map((row, i) => {
        const kind = [paired, alone].findIndex((view) => close(row, view[modality][i] as number[]));
        expect(kind, `${modality} ${i} is neither`).toBeGreaterThanOrEqual(0);
        return kind;
      }),
    );
    expect(new Set(kinds)).toEqual(new Set([0, 1]));
  });
});

it("trains the prompt's context and the last blocks, each with its rate, and no frozen part", async () => {
  const task = generatedTask(randomKey(3), { pretraining: 8, queries: 4, training: 16, database: 16 });
  const own = dualEncoder(encoder, {
    imageSize: task.items.set.size,
    vocabulary: task.tokenizer.vocabularySize,
    context: task.context,
  });
  const begin = own.init(randomKey(1));
  const context = contextInMemory({}, 0);
  const run = (learningRates: typeof hashing.learningRates) => {
    const model = armModel(own, C, { ...hashing, learningRates }, recipe);
    return trainHashing(context, { model, start: begin, task, trainers: new Latest() });
  };
  const words = Array.from(toNumbers(begin.frozen.text.words.table));
  const still = await run({ hash: 0, fusion: 0, encoder: 0 });
  const moved = await run({ hash: 1e-2, fusion: 0, encoder: 1e-3 });
  const read = (array: unknown): number[] => Array.from(toNumbers(array as NDArray));
  const old = read(still.hash.promptContext);
  const change = Math.max(...read(moved.hash.promptContext).map((x, i) => Math.abs(x - (old[i] as number))));
  // Decay alone would take a ten-thousandth of entries of 0.02.
  expect(change).toBeGreaterThan(1e-3);
  expect(read(moved.encoder.text.projection)).not.toEqual(read(begin.tuned.text.projection));
  expect(read(moved.fusion?.input.weight)).toEqual(read(still.fusion?.input.weight));
  expect(read(still.encoder.text.projection)).toEqual(read(begin.tuned.text.projection));
  expect(Array.from(toNumbers(begin.frozen.text.words.table))).toEqual(words);
});

it("a vision transformer sees the whole picture, though its class token alone is read", async () => {
  const vision = dualEncoder(
    {
      width: 4,
      image: { kind: "vision-transformer", patchSize: 8, width: 6, layers: 2, heads: 2 },
      text: { layers: 1, heads: 2 },
      tunedBlocks: 1,
    },
    { imageSize: 16, vocabulary: 10, context: 5 },
  );
  const { frozen, tuned } = vision.init(randomKey(0));
  const encode = compile(
    (early: Traced<DualEncoderParams["frozen"]>, late: Traced<DualEncoderParams["tuned"]>, x: Tensor) =>
      vision.images(early, late, x),
  );
  const picture = normalArray(randomKey(1), [1, 3, 16, 16]);
  const features = await encode(frozen, tuned, picture);
  expect(features.shape).toEqual([1, 4]);
  // Each of the four patches matters.
  for (const corner of [0, 15, 15 * 16, 15 * 16 + 15]) {
    const other = { ...picture, data: picture.data.slice() };
    other.data[corner] = 5;
    expect(Array.from(toNumbers(await encode(frozen, tuned, other)))).not.toEqual(
      Array.from(toNumbers(features)),
    );
  }
});
