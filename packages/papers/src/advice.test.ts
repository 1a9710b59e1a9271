import { FINDING_IDS } from "@concord/align/findings";
import { describe, expect, it } from "vitest";
import { advise } from "./advice.ts";
import type { PaperCard } from "./card.ts";
import { loadCatalogue } from "./catalogue.ts";

const cards = await loadCatalogue();

function card(slug: string, addresses: PaperCard["addresses"], more: Partial<PaperCard> = {}): PaperCard {
  return { ...(cards[0] as PaperCard), slug, addresses, published: "2024-01-01", ...more };
}

const because = "It is made for this.";

describe("addresses of the cards", () => {
  it("are sentences about findings that exist", () => {
    for (const { slug, addresses } of cards) {
      for (const { finding, because } of addresses) {
        expect(FINDING_IDS, slug).toContain(finding);
        expect(because, slug).toMatch(/^[A-Z].{30,220}\.$/);
      }
    }
  });

  it("leave no relation between two sets without a paper", () => {
    const addressed = new Set(cards.flatMap(({ addresses }) => addresses.map(({ finding }) => finding)));
    for (const finding of [
      "modality-gap",
      "misaligned-pairs",
      "domain-shift",
      "anisotropy",
      "poor-uniformity",
      "dimensional-collapse",
      "weak-labels",
    ] as const)
      expect(addressed).toContain(finding);
  });
});

describe("advise", () => {
  it("names CLIP-Refine first for a gap between images and texts, and marks it as runnable", async () => {
    const advice = await advise([{ id: "modality-gap", severity: "serious" }], {
      modalities: ["image", "text"],
    });
    expect(advice[0]).toMatchObject({
      slug: "clip-refine",
      runnable: true,
      sharedModalities: ["image", "text"],
    });
  });

  it("names WhitenedCSE first for a narrow cone", async () => {
    const [first] = await advise([{ id: "anisotropy", severity: "serious" }]);
    expect(first?.slug).toBe("whitenedcse");
  });

  it("says nothing where nothing was found", async () => {
    expect(await advise([])).toEqual([]);
    expect(await advise([{ id: "hubness", severity: "none" }])).toEqual([]);
  });

  it("puts a paper made for the finding before one that touches it", async () => {
    const touches = card("touches", [
      { finding: "domain-shift", because },
      { finding: "hubness", because },
    ]);
    const made = card("made", [{ finding: "hubness", because }]);
    const advice = await advise([{ id: "hubness", severity: "serious" }], { cards: [touches, made] });
    expect(advice.map(({ slug, score }) => [slug, score])).toEqual([
      ["made", 1],
      ["touches", 0.5],
    ]);
  });

  it("weighs a serious finding more than a mild one, and counts a finding of two sets once, at its worst", async () => {
    const mild = card("mild", [{ finding: "anisotropy", because }]);
    const serious = card("serious", [{ finding: "hubness", because }]);
    const findings = [
      { id: "anisotropy", severity: "mild" },
      { id: "anisotropy", severity: "mild" },
      { id: "hubness", severity: "mild" },
      { id: "hubness", severity: "serious" },
      { id: "hubness", severity: "mild" },
    ] as const;
    const advice = await advise(findings, { cards: [mild, serious] });
    expect(advice.map(({ slug, score }) => [slug, score])).toEqual([
      ["serious", 1],
      ["mild", 0.25],
    ]);
    expect(advice[0]?.addresses).toEqual([{ finding: "hubness", severity: "serious", because }]);
  });

  it("prefers papers for the modalities at hand, then newer ones", async () => {
    const addresses = [{ finding: "hubness", because }] as const;
    const advice = await advise([{ id: "hubness", severity: "serious" }], {
      modalities: ["audio", "text"],
      cards: [
        card("images", addresses, { modalities: ["image"], published: "2025-01-01" }),
        card("half", addresses, { modalities: ["text"] }),
        card("newer", addresses, { modalities: ["audio", "text"], published: "2024-06-01" }),
        card("older", addresses, { modalities: ["audio", "text"] }),
      ],
    });
    expect(advice.map(({ slug, score }) => [slug, score])).toEqual([
      ["newer", 1],
      ["older", 1],
      ["half", 0.75],
      ["images", 0.5],
    ]);
  });
});
