import { RandomStream, randomKey } from "@concord/tensor";
import { type PaperRecord, paperRecord } from "../src/index.ts";

/**
 * Papers whose titles and abstracts share no word of meaning: each of `concepts` has one word for titles and another
 * for abstracts. A paper is about four concepts. Words alone cannot find an abstract by its title; what goes with what
 * has to be learned.
 */
export function synonymWorld(
  count: number,
  options: { concepts?: number; seed?: number } = {},
): PaperRecord[] {
  const { concepts = 40, seed = 3 } = options;
  const random = new RandomStream(randomKey(seed));
  const all = Array.from({ length: concepts }, (_, i) => i);
  const filler = ["we", "study", "the", "of", "and", "results"];
  return Array.from({ length: count }, (_, i) => {
    const own = random.sample(all, 4);
    const text = (prefix: string, repeats: number) =>
      Array.from({ length: repeats }, () => [
        ...random.sample(own, own.length).map((c) => `${prefix}${c}x`),
        random.pick(filler),
        random.pick(filler),
      ])
        .flat()
        .join(" ");
    return paperRecord.parse({
      id: `2601.${String(i + 1).padStart(5, "0")}`,
      title: text("tit", 1),
      abstract: text("abs", 3),
      announced: i % 2 === 0 ? "2026-01-05" : "2026-01-06",
      categories: [i % 3 === 0 ? "cs.CL" : "cs.LG"],
      sources: ["test"],
    });
  });
}

/** Settings with which a world of a few hundred papers is learned in seconds. */
export const smallTraining = {
  maxVocabulary: 400,
  width: 48,
  batchSize: 64,
  steps: 120,
  learningRate: 1e-2,
  groupSize: 4,
  lengths: { anchor: 32, title: 8, excerpt: 8 },
  heldOut: 0.2,
} as const;
