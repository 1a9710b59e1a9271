import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSqliteStore, paperRecord } from "../src/index.ts";
import { rankByWords } from "../src/search/word-ranking.ts";
import { wordingScores } from "../src/search/wording.ts";
import { type ReadingPorts, readingPorts } from "../src/store/sqlite/reading.ts";
import type { PaperCounts } from "../src/store/sqlite/text-query.ts";

const counts = (papers: number, having: Record<string, number>): PaperCounts => ({
  papers,
  having: new Map(Object.entries(having)),
});
const text = (id: string, abstract: string, title = "") => ({ id, title, abstract });

describe("the wording of a query", () => {
  it("counts as its formula says", () => {
    // Forms "graph" (in a and c) and "networks" (in a), the pair "graph network" (in a and c); all texts have two words.
    const scores = wordingScores(
      "graph networks",
      [text("a", "graph networks"), text("b", "network graphs"), text("c", "graph networking")],
      counts(100, { graph: 12, network: 30 }),
    );
    const rarity = (n: number) => Math.log(1 + (100 - n + 0.5) / (n + 0.5));
    // Of three candidates with the stem "graph" two have the form, and two the pair: 8 of the 12 papers with the stem.
    const [graph, networks, pair] = [rarity(8), rarity(10), rarity(8)];
    // f = 1 in a text of mean length: f (k₁ + 1) / (f + k₁) = 1.
    expect(scores.get("a")).toBeCloseTo(0.3 * (graph + networks) + 0.3 * pair, 10);
    expect(scores.has("b")).toBe(false);
    // "networking" has the stem, not the form.
    expect(scores.get("c")).toBeCloseTo(0.3 * graph + 0.3 * pair, 10);
  });

  it("counts titles four times, pairs within a title or an abstract alone, and no word that only begins alike", () => {
    const one = wordingScores(
      "neural fields",
      [
        text("title", "of a thing", "neural fields"),
        text("abstract", "neural fields", "of a thing"),
        text("split", "fields of a", "thing neural"),
        text("apart", "neurons fiel of a thing"),
      ],
      counts(50, { neural: 4, field: 4 }),
    );
    expect(one.get("title")).toBeGreaterThan(one.get("abstract") as number);
    expect(one.get("abstract")).toBeGreaterThan(one.get("split") as number);
    expect(one.has("apart")).toBe(false);
  });

  it("is finite for odd queries and texts", () => {
    for (const query of ["", "???", "a a a a", "Ünïcode ﬁelds", "x".repeat(200)]) {
      for (const score of wordingScores(query, [text("a", ""), text("b", query)], counts(0, {})).values())
        expect(Number.isFinite(score)).toBe(true);
    }
    expect(wordingScores("graph", [], counts(10, { graph: 1 })).size).toBe(0);
  });
});

describe("ranking by words", () => {
  let folder = "";
  let ports: ReadingPorts;
  const filler = "about things that nobody asked for in this place";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "concord-wording-"));
    const store = openSqliteStore(join(folder, "store.sqlite"));
    const abstracts = [
      `diffusion of heat in generative models ${filler}`,
      `generative diffusion models of heat ${filler}`,
      `graphs ${filler} attention ${filler} network`,
      `graph attention ${filler} ${filler} ${filler}`,
      ...Array.from({ length: 30 }, (_, i) => `paper ${i} ${filler}`),
    ];
    await store.papers.upsert(
      abstracts.map((abstract, i) =>
        paperRecord.parse({
          id: `2601.${String(i).padStart(5, "0")}`,
          title: `Z${i}`,
          abstract,
          sources: ["test"],
        }),
      ),
    );
    await store.close();
    ports = readingPorts(join(folder, "store.sqlite"));
  });
  afterAll(async () => {
    await ports.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("puts words side by side before the same words apart, where the index cannot tell them", async () => {
    const query = "generative diffusion models of heat";
    const { hits: plain } = await ports.text.search(query);
    const [one, other] = ["2601.00000", "2601.00001"].map((id) => plain.find((hit) => hit.id === id)?.score);
    expect(Math.abs((one ?? 0) - (other ?? 1))).toBeLessThan(0.5);
    const { hits, words } = await rankByWords(ports, query);
    expect(hits[0]?.id).toBe("2601.00001");
    expect(words).toContain("diffusion");
    expect(hits.map(({ score }) => score)).toEqual(hits.map(({ score }) => score).toSorted((a, b) => b - a));
  });

  it("keeps papers with all the words of a short query before those with some", async () => {
    const { hits } = await rankByWords(ports, "graph attention network");
    expect(hits.slice(0, 2).map(({ id }) => id)).toEqual(["2601.00002", "2601.00003"]);
    expect(hits[1]?.score).toBeLessThanOrEqual(hits[0]?.score as number);
    expect(await rankByWords(ports, "nowhere")).toEqual({ hits: [], words: ["nowhere"] });
  });
});
