import type { Estimate, Severity } from "./finding.ts";
import type { FindingId } from "./ids.ts";

/** From which value on a finding is mild or serious, and why. */
export interface Threshold {
  readonly mild: number;
  readonly serious: number;
  /** Whether large or small values are bad. */
  readonly bad: "high" | "low";
  readonly why: string;
}

/**
 * Where findings begin. A grade is given only when the whole 95 % interval has passed its threshold, so that a small
 * sample raises no alarm by luck.
 */
export const THRESHOLDS = {
  /** Share of the squared distance between rows of A and B that the centroids explain: gap² / (gap² + tr Σ_a + tr Σ_b). */
  "modality-gap": {
    mild: 0.05,
    serious: 0.2,
    bad: "high",
    why: "Sets that share one space have about 0. Image and text of CLIP have about 0.4 (a centroid distance of 0.82; Liang et al. 2022).",
  },
  /** Chance that a matched pair is more similar than an unmatched one. */
  "misaligned-pairs": {
    mild: 0.99,
    serious: 0.9,
    bad: "low",
    why: "Encoders that were trained together reach 0.99 and more on their own kind of data; at 0.9, of 1,000 wrong items about 100 look better than the right one, and at 0.5 similarity says nothing.",
  },
  /** How many more queries per query find their partner first after a rotation, beyond what a shift gives. */
  "rotation-mismatch": {
    mild: 0.05,
    serious: 0.2,
    bad: "high",
    why: "Spaces that agree gain nothing from a rotation. Encoders that were trained apart may gain almost everything.",
  },
  /** Share of neighbours from the other set over the share in one common cloud. */
  "domain-shift": {
    mild: 0.8,
    serious: 0.4,
    bad: "low",
    why: "Two samples of one cloud have about 1, sets that lie apart 0. At 0.4 a row meets less than half of the foreign neighbours that it should.",
  },
  /** Effective rank over the most that it can be, min(D, N - 1). */
  "dimensional-collapse": {
    mild: 0.2,
    serious: 0.05,
    bad: "low",
    why: "Well-trained encoders use about 30 to 80 % of their directions; below 5 % a much narrower vector would say the same.",
  },
  /** Mean cosine of two random rows. */
  anisotropy: {
    mild: 0.3,
    serious: 0.7,
    bad: "high",
    why: "Embeddings trained with a contrastive loss have about 0 to 0.3, images or texts of CLIP about 0.5, mean-pooled language models 0.6 to 0.99 (Ethayarajh 2019).",
  },
  /** Logarithm of the mean Gaussian potential, between -4 for rows spread evenly and 0 for rows at one point. */
  "poor-uniformity": {
    mild: -2,
    serious: -1,
    bad: "high",
    why: "Rows spread evenly over many directions have nearly -4, rows at one point 0; sentence encoders trained with a contrastive loss have about -2.5 to -3.5.",
  },
  /** Skewness of N_10. */
  hubness: {
    mild: 1.4,
    serious: 4,
    bad: "high",
    why: "1.4 is the usual limit from which data count as hubby (Feldbauer, Flexer 2019); above 4 a few items crowd the result lists.",
  },
  /** How far the accuracy of nearest neighbours is from the most frequent label towards 1. */
  "weak-labels": {
    mild: 0.5,
    serious: 0.15,
    bad: "low",
    why: "0 is what naming the most frequent label gives, 1 is perfect; at 0.5 nearest neighbours mend half of the errors.",
  },
  /** How many queries in one are lost when products are taken in place of cosines; without pairs, spread of lengths. */
  "norm-differences": {
    mild: 0.05,
    serious: 0.3,
    bad: "high",
    why: "With vectors of one length, products and cosines rank alike and nothing is lost. Lengths that vary by chance cost a few per cent; nothing is lost by whoever takes cosines, so only a large loss is serious.",
  },
  /** Share of rows that repeat an earlier one. */
  "duplicate-rows": {
    mild: 0.01,
    serious: 0.1,
    bad: "high",
    why: "A few repeats are normal. Where a tenth of the rows repeat, two equal answers compete and one of them is counted wrong.",
  },
  /** Share of rows far from all others, far too long or short, not finite or all zero. */
  "outlier-rows": {
    mild: 0.01,
    serious: 0.1,
    bad: "high",
    why: "Fewer than 1 row in 100 is normal. More points to broken inputs: empty texts, pictures that failed to load, another encoder.",
  },
} as const satisfies Readonly<Record<FindingId, Threshold>>;

/** Spread of vector lengths (standard deviation over mean) from which on it is worth a word, where no pairs tell its cost. */
export const NORM_SPREAD_MILD = 0.3;

/** The worst grade whose threshold the whole interval has passed. */
export function severityOf(id: FindingId, { low, high }: Pick<Estimate, "low" | "high">): Severity {
  const { mild, serious, bad }: Threshold = THRESHOLDS[id];
  const passed = (limit: number): boolean => (bad === "high" ? low >= limit : high <= limit);
  return passed(serious) ? "serious" : passed(mild) ? "mild" : "none";
}
