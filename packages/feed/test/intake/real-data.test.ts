import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { loadCatalogue } from "@concord/papers";
import { describe, expect, it } from "vitest";
import { dumpItem, type Item, parseAtom, parseHfDaily, parseTextList } from "../../src/intake/index.ts";
import { normaliseTitle } from "../../src/record.ts";

/** Samples that are not part of the project; CONCORD_SHARED says where they lie when not beside the checkout. */
const shared =
  process.env.CONCORD_SHARED ?? fileURLToPath(new URL("../../../../../shared/", import.meta.url));
const at = (path: string) => `${shared.replace(/\/$/, "")}/${path}`;
const kinds = (items: Iterable<Item>) => [...items].map(({ kind }) => kind);

/** The files of an uncompressed tar archive, by name. */
function untar(bytes: Buffer): Map<string, string> {
  const files = new Map<string, string>();
  for (let start = 0; start + 512 <= bytes.length && bytes[start] !== 0; ) {
    const field = (from: number, length: number) =>
      bytes.toString("latin1", start + from, start + from + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    files.set(field(0, 100).replace(/^\.\//, ""), bytes.toString("utf8", start + 512, start + 512 + size));
    start += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

const samples = existsSync(at("data/papers"));
if (!samples) console.log(`Real samples are skipped: ${at("data/papers")} is not there.`);

describe.skipIf(!samples)("real samples", () => {
  it("answers of arXiv's query interface are read without a loss", () => {
    const files = untar(gunzipSync(readFileSync(at("data/papers/arxiv-atom-responses.tar.gz"))));
    const pages = [...files].filter(([name]) => name.endsWith(".xml"));
    expect(pages.length).toBe(16);
    for (const [name, text] of pages) {
      const feed = parseAtom(text);
      expect([name, feed.errors.length]).toEqual([name, name.startsWith("id_abc") ? 1 : 0]);
      expect(kinds(feed.items).filter((kind) => kind !== "paper")).toEqual([]);
    }
    expect(parseAtom(files.get("q_testing_s0_m100.xml") ?? "")).toMatchObject({
      entries: 100,
      totalResults: 214_881,
    });
  });

  it("Daily Papers are read without a loss", () => {
    const list = parseHfDaily(readFileSync(at("data/papers/hf-daily-papers.shape.json"), "utf8"), null);
    expect(kinds(list.items)).toEqual(Array(35).fill("paper"));
  });

  it.each([
    ["arxiv-2009-2019", 9000],
    ["arxiv-2025-2026", 15_623],
  ])("of %s every 20th record is read", (name, count) => {
    const lines = gunzipSync(readFileSync(at(`data/papers/${name}.jsonl.gz`)))
      .toString()
      .trim()
      .split("\n");
    expect(lines).toHaveLength(count);
    const refused = lines
      .filter((_, index) => index % 20 === 0)
      .map((line, index) => dumpItem(line, `line ${index * 20 + 1}`))
      .filter((item) => item.kind !== "paper");
    expect(refused).toEqual([]);
  });
});

const page = at("seed/daily-papers-page.txt");
if (!existsSync(page)) console.log(`The seed page is skipped: ${page} is not there.`);

describe.skipIf(!existsSync(page))("the seed page", () => {
  it("holds the 24 papers of the catalogue, one of them without count and date", async () => {
    const list = parseTextList(readFileSync(page, "utf8"), { day: "2025-12-10", today: "2026-11-21" });
    const records = [...list.items].map((item) => (item.kind === "paper" ? item.record : null));
    const cards = await loadCatalogue();
    expect(records).toHaveLength(24);
    expect(records.map((record) => normaliseTitle(record?.title ?? "")).sort()).toEqual(
      cards.map(({ title }) => normaliseTitle(title)).sort(),
    );
    const cardOf = new Map(cards.map((card) => [normaliseTitle(card.title), card]));
    for (const record of records) {
      const card = cardOf.get(normaliseTitle(record?.title ?? ""));
      if (record?.authorCount === null) expect(record.published).toBeNull();
      else expect([record?.authorCount, record?.published]).toEqual([card?.authorCount, card?.published]);
    }
    expect(records.filter((record) => record?.authorCount === null)).toHaveLength(1);
  });
});
