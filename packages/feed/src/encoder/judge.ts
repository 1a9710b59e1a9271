import { Bm25 } from "./bm25.ts";
import { placesByProduct, qualityOf, type RetrievalQuality } from "./retrieval.ts";
import type { TextEncoder } from "./text-encoder.ts";

export interface JudgedText {
  readonly title: string;
  readonly abstract: string;
}

/** Place of each paper's abstract when its title is looked for among the abstracts of all, by an encoder. */
export async function titlePlaces(encoder: TextEncoder, papers: readonly JudgedText[]): Promise<number[]> {
  const titles = await encoder.encode(papers.map(({ title }) => title));
  const abstracts = await encoder.encode(papers.map(({ abstract }) => abstract));
  return placesByProduct(
    titles,
    abstracts,
    encoder.width,
    papers.map((_, i) => i),
  );
}

/** The same by words. */
export function wordQuality(papers: readonly JudgedText[]): RetrievalQuality {
  const words = new Bm25(papers.map(({ abstract }) => abstract));
  return qualityOf(
    papers.map(({ title }, i) => {
      const place = words.search(title, 10).findIndex(({ doc }) => doc === i);
      return place < 0 ? Number.POSITIVE_INFINITY : place + 1;
    }),
  );
}

/** 97.5th percentile of the normal distribution. */
const Z = 1.96;

/**
 * Whether one ranking is clearly worse than another over the same queries: the 95 % interval of the mean difference of
 * 1 / place (0 beyond the tenth) lies below zero.
 */
export function clearlyWorse(candidate: readonly number[], reference: readonly number[]): boolean {
  const gain = (place: number) => (place <= 10 ? 1 / place : 0);
  const differences = candidate.map((place, i) => gain(place) - gain(reference[i] as number));
  const n = differences.length;
  if (n < 2) return false;
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (n - 1);
  return mean + Z * Math.sqrt(variance / n) < 0;
}
