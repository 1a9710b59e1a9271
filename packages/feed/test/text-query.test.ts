import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSqliteStore, type PaperFilter, paperRecord } from "../src/index.ts";
import { type ReadingPorts, readingPorts } from "../src/store/sqlite/reading.ts";
import { anyOf, match, pickWords } from "../src/store/sqlite/text-query.ts";

const counts = (having: Record<string, number>, papers = 100_000) => ({
  papers,
  having: new Map(Object.entries(having)),
});
const picked = (having: Record<string, number>, words = Object.keys(having), papers?: number) => {
  const { by, beside, expected } = pickWords(words, counts(having, papers));
  return { by: [...by].sort(), beside: [...beside].sort(), expected };
};

describe("the words that papers are looked for by", () => {
  it("are the rarest, until enough papers have them; the others count in scores", () => {
    expect(picked({ image: 30_000, whitening: 200, contrastive: 9_000, gap: 900 })).toEqual({
      by: ["gap", "whitening"],
      beside: ["contrastive", "image"],
      expected: 1_100,
    });
  });

  it("bring in a frequent word where rarer ones find next to nothing", () => {
    expect(picked({ zyzzyva: 3, image: 30_000 })).toEqual({
      by: ["image", "zyzzyva"],
      beside: [],
      expected: 30_003,
    });
  });

  it("are never those of more than half the papers, unless there is no other", () => {
    expect(picked({ we: 90_000, gap: 3 })).toEqual({ by: ["gap"], beside: [], expected: 3 });
    expect(picked({ we: 90_000, the: 95_000 })).toEqual({ by: ["we"], beside: [], expected: 90_000 });
    expect(picked({ abstract: 50, gap: 1 }, undefined, 60).by).toEqual(["abstract", "gap"]);
  });

  it("are all that no paper is known to have", () => {
    expect(picked({ gap: 3 }, ["gap", "nosuch"]).by).toEqual(["gap", "nosuch"]);
  });
});

describe("questions to the index", () => {
  let folder: string;
  let ports: ReadingPorts;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "concord-text-query-"));
    const path = join(folder, "store.sqlite");
    const store = openSqliteStore(path);
    const words = ["gap", "image", "text", "sound", "depth"];
    await store.papers.upsert(
      Array.from({ length: 200 }, (_, i) =>
        paperRecord.parse({
          id: `2601.${String(i).padStart(5, "0")}`,
          title: words.filter((_, w) => i % (w + 2) === 0).join(" ") || "other",
          abstract: words.filter((_, w) => i % (2 * w + 3) === 1).join(" image ") || "none",
          authors: [{ name: i % 4 === 0 ? "Ada Lovelace" : "Bo" }],
          announced: `2026-01-${String(1 + (i % 28)).padStart(2, "0")}`,
          categories: i % 3 === 0 ? ["cs.CV"] : ["cs.LG"],
          topics: i % 5 === 0 ? ["image-text"] : [],
          links: i % 2 === 0 ? { code: "https://example.org/code" } : {},
          sources: ["test"],
        }),
      ),
    );
    await store.close();
    ports = readingPorts(path);
  });

  afterAll(async () => {
    await ports.close();
    await rm(folder, { recursive: true });
  });

  const ask = (question: { query: string; times?: number }, filter: PaperFilter = {}, expected = 0) =>
    ports.gate.read((db) => match(db, { ...question, filter, expected, limit: 200 }));

  it("score what is found by all words, as if it was looked for by all of them", async () => {
    const whole = new Map(
      (await ask(anyOf(["sound", "depth", "text"], []))).map((hit) => [hit.id, hit.score]),
    );
    const some = await ask(anyOf(["sound", "depth"], ["text"]));
    expect(some.length).toBeGreaterThan(50);
    expect(some.length).toBeLessThan(whole.size);
    for (const { id, score } of some) expect(score).toBeCloseTo(whole.get(id) as number, 10);
    const alone = new Map((await ask(anyOf(["sound", "depth"], []))).map((hit) => [hit.id, hit.score]));
    expect(some.map(({ id }) => id).sort()).toEqual([...alone.keys()].sort());
    expect(some.some(({ id, score }) => score > (alone.get(id) as number) + 1e-4)).toBe(true);
  });

  it.each<PaperFilter>([
    { category: "cs.CV" },
    { topic: "image-text" },
    { topic: "image-text", category: "cs.LG", hasCode: true },
    { from: "2026-01-03", to: "2026-01-09" },
    { from: "2026-01-20", category: "cs" },
    { author: "ada lovelace" },
    { hasCode: false, to: "2026-01-15" },
    { runnable: true },
  ])("find the same under %j, whether papers are looked up one by one or in a list", async (filter) => {
    const unfiltered = await ask(anyOf(["image"], []));
    const each = await ask(anyOf(["image"], []), filter, 0);
    const listed = await ask(anyOf(["image"], []), filter, Number.POSITIVE_INFINITY);
    expect(each).toEqual(listed);
    expect(each.length).toBeLessThan(unfiltered.length);
    if (filter.runnable === undefined) expect(each.length).toBeGreaterThan(0);
  });
});
