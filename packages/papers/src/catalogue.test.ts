import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { PaperCard } from "./card.ts";
import {
  arxivAbsUrl,
  arxivPdfUrl,
  hasExperiment,
  loadCard,
  loadCatalogue,
  loadExperiment,
  MODALITIES,
  NoExperimentError,
  TOPICS,
  UnknownPaperError,
} from "./catalogue.ts";

const cards = await loadCatalogue();
const folders = readdirSync(new URL("./catalogue/", import.meta.url));
const list = new URL("../../../../shared/design/catalogue.csv", import.meta.url);

/** Rows 'slug,arxiv,"title",authors,published' below a header line. */
function readList(
  csv: string,
): Record<string, Pick<PaperCard, "arxivId" | "title" | "authorCount" | "published">> {
  const rows = csv.trim().split(/\r?\n/).slice(1);
  return Object.fromEntries(
    rows.map((row) => {
      const match = /^([^,]+),([^,]+),"(.*)",(\d+),([^,]+)$/.exec(row);
      if (!match) throw new Error(`Unexpected row in the list of papers: ${row}`);
      const [, slug = "", arxivId = "", title = "", authorCount = "", published = ""] = match;
      return [slug, { arxivId, title, authorCount: Number(authorCount), published }];
    }),
  );
}

describe("the catalogue", () => {
  it("has one card for each of its 24 folders", () => {
    expect(cards).toHaveLength(24);
    expect(cards.map((card) => card.slug).sort()).toEqual(folders.sort());
    expect(new Set(cards.map((card) => card.arxivId)).size).toBe(24);
  });

  it("is sorted newest first", () => {
    const dates = cards.map((card) => card.published);
    expect(dates).toEqual([...dates].sort().reverse());
  });

  it("agrees with the list of papers beside the repository", (context) => {
    if (!existsSync(list)) {
      context.skip("no ../shared/design/catalogue.csv beside the repository");
      return;
    }
    const facts = Object.fromEntries(
      cards.map(({ slug, arxivId, title, authorCount, published }) => [
        slug,
        { arxivId, title, authorCount, published },
      ]),
    );
    expect(facts).toEqual(readList(readFileSync(list, "utf8")));
  });

  it("uses every topic and modality of its vocabulary", () => {
    expect(new Set(cards.flatMap((card) => card.topics))).toEqual(new Set(TOPICS));
    expect(new Set(cards.flatMap((card) => card.modalities))).toEqual(new Set(MODALITIES));
  });
});

describe.each(cards)("card $slug", (card) => {
  it("has a summary of two or three sentences and 150 to 700 characters", () => {
    const sentences = card.summary.split(/(?<=[.?])\s+(?=[A-Z])/);
    expect(sentences.length).toBeGreaterThanOrEqual(2);
    expect(sentences.length).toBeLessThanOrEqual(3);
    expect(card.summary.length).toBeGreaterThanOrEqual(150);
    expect(card.summary.length).toBeLessThanOrEqual(700);
    expect(card.summary).toMatch(/\.$/);
  });

  it("says in one sentence what it is for", () => {
    expect(card.useFor).toMatch(/^[A-Z].*[.?]$/);
    expect(card.useFor.split(/(?<=[.?])\s+(?=[A-Z])/)).toHaveLength(1);
  });

  it("has no em dash and no repeated topic", () => {
    expect(JSON.stringify(card)).not.toContain("\u2014");
    expect(new Set(card.topics).size).toBe(card.topics.length);
  });

  it("has as many values as columns in every published row", () => {
    for (const table of card.publishedResults) {
      for (const row of table.rows) expect(row.values, row.label).toHaveLength(table.columns.length);
    }
  });
});

describe("card clip-refine", () => {
  it("names arms of its experiment in the published rows, and each of them once or more", async () => {
    const card = await loadCard("clip-refine");
    const arms = card.publishedResults.flatMap((table) => table.rows.flatMap((row) => row.arm ?? []));
    expect(new Set(arms)).toEqual(
      new Set([
        "pre-trained",
        "contrastive",
        "self-kd",
        "hycd",
        "hycd-align",
        "clip-refine",
        "rafa-no-noise",
      ]),
    );
  });
});

describe("loadCard", () => {
  it("finds a card by its slug", async () => {
    const card = await loadCard("swav");
    expect(card.arxivId).toBe("2006.09882");
    expect(arxivAbsUrl(card)).toBe("https://arxiv.org/abs/2006.09882");
    expect(arxivPdfUrl(card)).toBe("https://arxiv.org/pdf/2006.09882");
  });

  it.each([
    ["swaw", ["swav"]],
    ["clip", ["clip-refine", "clim"]],
    ["Clip-Refin", ["clip-refine"]],
    ["language", ["languagebind"]],
    ["zzzzzzzz", []],
    ["", []],
  ])("suggests the nearest slugs for %j", async (typed, suggestions) => {
    const error = await loadCard(typed).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnknownPaperError);
    expect((error as UnknownPaperError).suggestions).toEqual(suggestions);
  });

  it.each(["../catalogue/swav", "swav/../voco", "swav\0", "..", "x".repeat(100_000)])(
    "refuses a slug that could leave the catalogue",
    async (slug) => {
      await expect(loadCard(slug)).rejects.toThrow(/^Unknown paper "/);
      await expect(hasExperiment(slug)).resolves.toBe(false);
      const error = await loadExperiment(slug).catch((reason: unknown) => reason);
      expect((error as Error).message.length).toBeLessThan(200);
    },
  );
});

describe("loadExperiment", () => {
  it("loads what hasExperiment promises, and says plainly when a paper cannot be run", async () => {
    for (const { slug } of cards) {
      if (await hasExperiment(slug)) {
        expect((await loadExperiment(slug)).slug).toBe(slug);
      } else {
        await expect(loadExperiment(slug)).rejects.toThrow(NoExperimentError);
      }
    }
  });
});
