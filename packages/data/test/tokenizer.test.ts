import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomKey } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  attributeNames,
  captionedShapes,
  loadTokenizer,
  textTokenizer,
  trainBpeTokenizer,
  trainWordTokenizer,
  zeroShotClasses,
} from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";

const folder = await temporaryFolder();
const texts = ["The cat sat.", "the CAT, the dog", "a dog"];

describe("word tokenizer", () => {
  test("numbers words by frequency and cuts punctuation off", () => {
    const tokenizer = trainWordTokenizer(texts);
    // the 3, cat 2, dog 2, then "," "." a sat in alphabetical order.
    const words = ["[PAD]", "[UNK]", "the", "cat", "dog", ",", ".", "a", "sat"];
    expect(words.map((word) => tokenizer.tokenId(word))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(tokenizer.vocabularySize).toBe(9);
    expect(tokenizer.encode("The dog sat, unheard!")).toEqual([2, 4, 8, 5, 1, 1]);
    expect(tokenizer.decode([2, 3, 8])).toBe("the cat sat");
    expect(tokenizer.encode("")).toEqual([]);
  });

  test("a word is one token or unknown, never pieces of known words", () => {
    const tokenizer = trainWordTokenizer(["cat cats ## ##s a s"]);
    expect(tokenizer.encode("catscat")).toEqual([1]);
    expect(tokenizer.encode("cats")).toEqual([tokenizer.tokenId("cats")]);
    expect(tokenizer.encode("x".repeat(101))).toEqual([1]);
  });

  test("evens out case and Unicode form", () => {
    const tokenizer = trainWordTokenizer(["Caf\u00e9 \u5bb6"]);
    const [cafe, house] = tokenizer.encode("CAFE\u0301 \u5bb6");
    expect(cafe).toBe(tokenizer.tokenId("caf\u00e9"));
    expect(house).toBe(tokenizer.tokenId("\u5bb6"));
    expect(cafe).toBeGreaterThan(1);
  });

  test("keeps to the largest vocabulary and to the smallest count", () => {
    expect(trainWordTokenizer(texts, { maxVocabulary: 4 }).vocabularySize).toBe(4);
    const frequent = trainWordTokenizer(texts, { minCount: 2 });
    expect(frequent.vocabularySize).toBe(5);
    expect(frequent.encode("a cat sat")).toEqual([1, 3, 1]);
    expect(() => trainWordTokenizer(texts, { maxVocabulary: 2 })).toThrow(
      "maxVocabulary must be an integer > 2",
    );
  });

  test("names of object members are words like any other", () => {
    const tokenizer = trainWordTokenizer(["constructor __proto__ toString"]);
    expect(tokenizer.encode("constructor")).toEqual([tokenizer.tokenId("constructor")]);
    expect(tokenizer.encode("hasownproperty valueof")).toEqual([1, 1]);
  });

  test("knows all words of the generated world and of its prompts", () => {
    const { captions } = captionedShapes({ noise: 0 })
      .split(randomKey(1), "train", 3000)
      .batch(Array.from({ length: 3000 }, (_, i) => i));
    const tokenizer = trainWordTokenizer(captions);
    const prompts = attributeNames.flatMap((name) =>
      zeroShotClasses(name, { phrases: "all" }).flatMap((entry) => entry.prompts),
    );
    for (const text of [...captions, ...prompts]) expect(tokenizer.encode(text)).not.toContain(1);
  });
});

describe("batches of texts", () => {
  test("are padded, cut and masked", () => {
    const tokenizer = trainWordTokenizer(texts);
    const { ids, mask } = tokenizer.encodeBatch(["the cat sat .", "dog", ""]);
    expect(ids.shape).toEqual([3, 4]);
    expect([...ids.data]).toEqual([2, 3, 8, 6, 4, 0, 0, 0, 0, 0, 0, 0]);
    expect([...mask.data]).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    expect([...tokenizer.encodeBatch(["the cat sat", "dog"], { length: 2 }).ids.data]).toEqual([2, 3, 4, 0]);
    expect(() => tokenizer.encodeBatch(texts, { length: 0 })).toThrow(RangeError);
  });

  test("cutting keeps the special tokens", () => {
    const tokenizer = trainWordTokenizer(texts, { boundaries: true });
    const [start, end] = [2, 3];
    expect(tokenizer.encode("the cat")).toEqual([start, 4, 5, end]);
    expect(tokenizer.encode("the cat sat", 3)).toEqual([start, 4, end]);
    expect(tokenizer.encode("the cat sat", 2)).toEqual([start, end]);
    expect(() => tokenizer.encode("the cat", 1)).toThrow("1 tokens leave no room for 2 special tokens");
    expect(tokenizer.decode(tokenizer.encode("the cat"))).toBe("the cat");
  });

  test("have the ids of each text alone, for any text", () => {
    const tokenizer = trainWordTokenizer(texts, { boundaries: true });
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 30 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 2, max: 12 }),
        (some, length) => {
          const { ids, mask } = tokenizer.encodeBatch(some, { length });
          some.forEach((text, i) => {
            const alone = tokenizer.encode(text, length);
            const row = [...ids.data.subarray(i * length, (i + 1) * length)];
            expect(row.slice(0, alone.length)).toEqual(alone);
            expect(row.slice(alone.length).every((id) => id === tokenizer.padId)).toBe(true);
            const present = mask.data.subarray(i * length, (i + 1) * length);
            expect(present.reduce((sum, value) => sum + value, 0)).toBe(alone.length);
          });
        },
      ),
    );
  });
});

describe("byte-pair tokenizer", () => {
  // The classic example: in "low lower newest widest" the pairs e-s and es-t are the most frequent.
  const words = [
    "low",
    "low",
    "low",
    "low",
    "low",
    "lower",
    "lower",
    ...Array(6).fill("newest"),
    ...Array(3).fill("widest"),
  ];
  const corpus = words.map((word: string) => word);

  test("merges the most frequent pairs first", () => {
    const tokenizer = trainBpeTokenizer(corpus, { maxVocabulary: 259 + 4, boundaries: true });
    const { model } = tokenizer.json as { model: { merges: string[] } };
    // e-s and s-t, then es-t, occur 9 times; of equals the first in alphabetical order.
    expect(model.merges.slice(0, 2)).toEqual(["e s", "es t"]);
    expect(model.merges).toHaveLength(4);
    expect(tokenizer.vocabularySize).toBe(263);
    const newest = tokenizer.encode("newest");
    expect(newest.at(-2)).toBe(tokenizer.tokenId("est"));
  });

  test("gives back any lower-case text, whatever it was trained on", () => {
    const tokenizer = trainBpeTokenizer(corpus, { maxVocabulary: 300 });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), (text) => {
        const wanted = text.normalize("NFC").toLowerCase();
        const ids = tokenizer.encode(text);
        expect(ids.every((id) => id >= 0 && id < tokenizer.vocabularySize)).toBe(true);
        // The library drops the space before punctuation when it decodes; the characters are all there.
        const letters = (value: string): string => value.replace(/\s/g, "");
        expect(letters(tokenizer.decode(ids))).toBe(letters(wanted));
      }),
    );
  });

  test("uses fewer tokens the more merges it has", () => {
    const small = trainBpeTokenizer(corpus, { maxVocabulary: 260 });
    const large = trainBpeTokenizer(corpus, { maxVocabulary: 300 });
    expect(large.encode("lowest newest").length).toBeLessThan(small.encode("lowest newest").length);
    expect(() => trainBpeTokenizer(corpus, { maxVocabulary: 100 })).toThrow(
      "maxVocabulary must be an integer >= 259",
    );
  });
});

describe("tokenizer.json", () => {
  test.each([
    ["words", trainWordTokenizer(texts, { boundaries: true })],
    ["pairs", trainBpeTokenizer(texts)],
  ])("%s: is written and read", async (name, tokenizer) => {
    const path = join(folder, `${name}.json`);
    await tokenizer.save(path);
    const loaded = await loadTokenizer(path);
    expect(loaded.encodeBatch(["The dog, the cow", "x"])).toEqual(
      tokenizer.encodeBatch(["The dog, the cow", "x"]),
    );
    expect(loaded.padId).toBe(tokenizer.padId);
    const json = JSON.parse(await readFile(path, "utf8"));
    expect(json.version).toBe("1.0");
    expect(json.padding).toMatchObject({ pad_token: "[PAD]", pad_id: 0 });
  });

  test("a published file without padding settings works when its padding token is told", () => {
    const { padding: _, ...json } = trainWordTokenizer(["x <end>"]).json as Record<string, unknown>;
    expect(textTokenizer(json).padId).toBe(0);
    expect(textTokenizer(json, { padToken: "x" }).padId).toBeGreaterThan(1);
    expect(() => textTokenizer(json, { padToken: "<none>" })).toThrow("there is no padding token <none>");
  });

  test("a model folder tells the padding token, the sides and the longest input", async () => {
    const model = await temporaryFolder();
    const tokenizer = trainWordTokenizer(["a b c d e"], { boundaries: true });
    const id = (token: string): number => tokenizer.tokenId(token) as number;
    await tokenizer.save(join(model, "tokenizer.json"));
    expect((await loadTokenizer(model)).encode("a b")).toEqual(tokenizer.encode("a b"));
    await writeFile(
      join(model, "tokenizer_config.json"),
      JSON.stringify({
        padding_side: "left",
        truncation_side: "left",
        model_max_length: 4,
        pad_token: { content: "e" },
      }),
    );
    const folderTokenizer = await loadTokenizer(model);
    expect([folderTokenizer.maxLength, folderTokenizer.padId]).toEqual([4, id("e")]);
    const { ids, mask } = folderTokenizer.encodeBatch(["a b c d", "a"]);
    const [start, end] = [id("[CLS]"), id("[SEP]")];
    expect([...ids.data]).toEqual([start, id("c"), id("d"), end, id("e"), start, id("a"), end]);
    expect([...mask.data]).toEqual([1, 1, 1, 1, 0, 1, 1, 1]);
    expect(
      (await loadTokenizer(model, { paddingSide: "right" })).encodeBatch(["a b", "a"]).mask.data[7],
    ).toBe(0);
    await writeFile(join(model, "tokenizer_config.json"), '{"model_max_length": 1e30}');
    expect((await loadTokenizer(model)).maxLength).toBeUndefined();
    await writeFile(join(model, "tokenizer_config.json"), "{");
    await expect(loadTokenizer(model)).rejects.toThrow(`The tokenizer ${model} cannot be loaded`);
  });

  test("two texts as one input; the longer one gives way", () => {
    const tokenizer = trainWordTokenizer(["a b c d e"], { boundaries: true });
    const words = (ids: readonly number[]): string =>
      ids
        .map((id) =>
          ["[CLS]", "[SEP]", "a", "b", "c", "d", "e"].find((token) => tokenizer.tokenId(token) === id),
        )
        .join(" ");
    const whole = tokenizer.encodePair("a b c", "d e");
    expect(words(whole.ids)).toBe("[CLS] a b c [SEP] d e [SEP]");
    expect(whole.types).toEqual([0, 0, 0, 0, 0, 1, 1, 1]);
    const cut = tokenizer.encodePair("a b c", "d e", 6);
    expect(words(cut.ids)).toBe("[CLS] a b [SEP] d [SEP]");
    expect(cut.types).toEqual([0, 0, 0, 0, 1, 1]);
    expect(words(tokenizer.encodePair("a", "b", 3).ids)).toBe("[CLS] [SEP] [SEP]");
    expect(() => tokenizer.encodePair("a", "b", 2)).toThrow("2 tokens leave no room for 3 special tokens");
  });

  test("broken files are named", async () => {
    const path = join(folder, "broken.json");
    await writeFile(path, "{");
    await expect(loadTokenizer(path)).rejects.toThrow(`The tokenizer ${path} cannot be loaded`);
    await writeFile(path, "[]");
    await expect(loadTokenizer(path)).rejects.toThrow('an object with a "model" is needed');
    await expect(loadTokenizer(join(folder, "none.json"))).rejects.toThrow("ENOENT");
  });
});
