import { describe, expect, it } from "vitest";
import { fuseRanks, fuseScores } from "../src/search/fusion.ts";
import { markWords } from "../src/search/marking.ts";
import { tasteDirection } from "../src/search/taste.ts";
import { tasteWords } from "../src/search/taste-words.ts";

describe("marking", () => {
  it("keeps the text whole and leaves formulas alone", () => {
    const parts = markWords("Naïve and naive: the <b>NAIVE</b>", ["naive"]);
    expect(parts.map(({ text }) => text).join("")).toBe("Naïve and naive: the <b>NAIVE</b>");
    expect(parts.filter(({ hit }) => hit)).toHaveLength(3);
    expect(markWords("cost $x$ of x", ["x"])).toEqual([{ text: "cost $x$ of x", hit: false }]);
  });
});

describe("fusion and taste", () => {
  it("reciprocal ranks by hand", () => {
    const fused = fuseRanks(["a", "b"], ["b", "c"], { words: 1, meaning: 1 });
    expect(fused.map(({ id }) => id)).toEqual(["b", "a", "c"]);
    expect(fused[0]?.score).toBeCloseTo(1 / 62 + 1 / 61, 12);
  });

  it("scores by hand: words by their share of the best, and nearness beside it", () => {
    const words = [
      { id: "a", score: 8 },
      { id: "b", score: 4 },
      { id: "c", score: 4 },
    ];
    const fused = fuseScores(
      words,
      [
        { id: "c", score: 0.9 },
        { id: "d", score: 0.5 },
      ],
      0.5,
    );
    expect(fused).toEqual([
      { id: "a", score: 1, byWords: true, byMeaning: false },
      { id: "c", score: 0.5 + 0.45, byWords: true, byMeaning: true },
      { id: "b", score: 0.5, byWords: true, byMeaning: false },
      { id: "d", score: 0.25, byWords: false, byMeaning: true },
    ]);
    expect(fuseScores([], [])).toEqual([]);
  });

  it("the taste's direction solves the regression: its gradient vanishes", () => {
    // Two liked rows along x, one unliked along -x, one neutral along y.
    const rows = Float32Array.of(1, 0, 0.8, 0.6, -1, 0, 0, 1);
    const w = tasteDirection(rows, Int8Array.of(1, 1, -1, 0), 2);
    expect(w[0]).toBeGreaterThan(0.5);
    expect((w[0] as number) * 1 > (w[0] as number) * 0.8 + (w[1] as number) * 0.6).toBe(true);
  });

  it("words of liked papers, titles first, without those of unliked ones", () => {
    const words = tasteWords(
      [{ title: "Whitening of embeddings", abstract: "We whiten embeddings with graphs" }],
      [{ title: "Graphs", abstract: "graphs graphs" }],
    );
    expect(words.slice(0, 2)).toEqual(["embeddings", "whitening"]);
    expect(words).not.toContain("graphs");
    expect(words.join(" ").length).toBeLessThanOrEqual(200);
  });
});
