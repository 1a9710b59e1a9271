/**
 * What can be wrong with embeddings, by stable names. Light: importing this loads no engine, so that a paper's card can
 * say which of them the paper addresses.
 */
export const FINDING_IDS = [
  "modality-gap",
  "misaligned-pairs",
  "rotation-mismatch",
  "domain-shift",
  "dimensional-collapse",
  "anisotropy",
  "poor-uniformity",
  "hubness",
  "weak-labels",
  "norm-differences",
  "duplicate-rows",
  "outlier-rows",
] as const;

export type FindingId = (typeof FINDING_IDS)[number];
