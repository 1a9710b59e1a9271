import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { randomKey } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { captionedBatches, csvPairs, loadCaptionedImages, trainWordTokenizer } from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";

const data = resolve(
  process.env.CONCORD_TEST_DATA ?? join(import.meta.dirname, "../../../../shared/data"),
  "emoji",
);
const archive = join(data, "noto-64.tar");
const names = join(data, "cldr-en.jsonl.gz");
const present = existsSync(archive) && existsSync(names);
if (!present)
  console.warn(`skipped: real drawings with names, because ${archive} and ${names} are not there`);
const folder = await temporaryFolder();

describe.skipIf(!present)("real drawings with their names", () => {
  test("load from an archive and a CSV file, decode once and come in batches", async () => {
    const records = gunzipSync(await readFile(names))
      .toString()
      .trim()
      .split("\n")
      .map((line): { code: string; name: string } => JSON.parse(line));
    const file = join(folder, "noto.csv");
    const rows = records.map(({ code, name }) => `${code}.png,"${name.replaceAll('"', '""')}"`);
    await writeFile(file, `image,caption\n${[...rows, "nothing.png,nothing"].join("\n")}\n`);

    const { set, problems } = await loadCaptionedImages({ pairs: csvPairs(file), images: archive, size: 32 });
    expect(set.count).toBe(1906);
    expect(problems.records).toEqual([
      { file, line: records.length + 2, reason: "image file not found", value: "nothing.png" },
    ]);
    const grin = set.names.indexOf("1f600.png");
    expect(set.captions[grin]).toEqual(["grinning face"]);
    // White corners, a yellow face in the middle.
    const { data: pixels } = await set.pixels([grin]);
    expect([pixels[0], pixels[1024], pixels[2048]]).toEqual([255, 255, 255]);
    const cheek = 22 * 32 + 6;
    expect(pixels[cheek]).toBeGreaterThan(200);
    expect(pixels[2048 + cheek]).toBeLessThan(120);

    const tokenizer = trainWordTokenizer(set.captions.flat(), { maxVocabulary: 1000 });
    await using batches = captionedBatches(set, { key: randomKey(0), batchSize: 64, tokenizer, length: 8 });
    const batch = await batches.batch(30);
    expect(batch.images.shape).toEqual([64, 3, 32, 32]);
    const known = batch.tokens.data.filter((id) => id > 1).length;
    const used = batch.mask.data.reduce((sum, value) => sum + value, 0);
    expect(known / used).toBeGreaterThan(0.7);
  });
});
