import type { FindingId } from "./ids.ts";

export type Severity = "none" | "mild" | "serious";

/** A measured number with its 95 % interval; equal ends where all rows were counted and nothing is estimated. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** One number of a finding. */
export interface Measure extends Estimate {
  /** The field's name for it, e.g. "effective rank". */
  readonly name: string;
  /** How it reads: a share as per cent, else a plain number. */
  readonly format: "share" | "number";
}

/** Which set a finding is about. */
export type FindingScope = "a" | "b" | "both";

/** A number, what it says, whether it is bad, what it costs and what helps. */
export interface Finding {
  readonly id: FindingId;
  readonly scope: FindingScope;
  readonly severity: Severity;
  /** What is so, in plain words without a term of the field: "The two sets live apart". */
  readonly title: string;
  /** The field's term: "modality gap". */
  readonly term: string;
  /** The number that decides the severity. */
  readonly value: number;
  readonly interval: { readonly low: number; readonly high: number };
  /** The deciding number first, then what else was measured. */
  readonly measures: readonly Measure[];
  /** The numbers in one plain sentence. */
  readonly sentence: string;
  /** What the term means, for somebody who never heard it. */
  readonly explanation: string;
  /** What is usual for healthy data, and from which value on it is mild or serious. */
  readonly normal: string;
  /** What it costs, measured by mending it and measuring again; null where nothing was measured. */
  readonly cost: string | null;
  /** What to do. */
  readonly remedy: string;
  /** Which rows the numbers are of. */
  readonly basis: string;
}

/** The rows of one set that were looked at. */
export interface SetSummary {
  readonly name: string;
  /** Rows that were measured. */
  readonly rows: number;
  /** Rows left out: not finite, or all zero. */
  readonly skipped: { readonly broken: number; readonly zero: number };
  readonly width: number;
  /** Rows in the random sample that pairwise numbers are of; equal to `rows` when all are in it. */
  readonly sampled: number;
}

/** Retrieval in one direction. */
export interface RetrievalDirection {
  readonly from: string;
  readonly to: string;
  readonly queries: number;
  readonly gallery: number;
  readonly recall: readonly { readonly k: number; readonly estimate: Estimate }[];
  readonly meanReciprocalRank: Estimate;
  readonly medianRank: Estimate;
}

/** A change in closed form, fitted on one half of the pairs or rows and measured on the other. */
export interface RemedyResult {
  readonly id: "mean-shift" | "whitening" | "procrustes" | "local-scaling";
  /** What it does, in plain words. */
  readonly label: string;
  /** What was measured: share of queries that find their partner first, or of rows labelled right. */
  readonly metric: "recall@1" | "knn-accuracy";
  readonly before: Estimate;
  readonly after: Estimate;
  /** after - before on the same queries. */
  readonly change: Estimate;
  readonly queries: number;
  readonly gallery: number;
}

export interface Histogram {
  /** [bins + 1] ascending. */
  readonly edges: readonly number[];
  /** [bins] */
  readonly counts: readonly number[];
}

/** What the plots of a report show. */
export interface DiagnosisPlots {
  /** Sampled rows on the first two principal axes of both sets together; of one set with labels, by label. */
  readonly map: {
    readonly sets: readonly {
      readonly label: string;
      readonly points: readonly (readonly [number, number])[];
    }[];
    /** Whether point i of the two sets is one pair. */
    readonly paired: boolean;
    /** Share of the variance on each axis. */
    readonly shares: readonly [number, number];
  };
  /** Cosines of matched and of random other pairs; with one set, of random rows, and of rows of one label. */
  readonly similarities: readonly { readonly label: string; readonly histogram: Histogram }[];
  /** Share of the variance of each direction, largest first. */
  readonly spectrum: readonly { readonly label: string; readonly shares: readonly number[] }[];
  /** Squared difference of the two centroids in each dimension as a share of their sum, largest first. */
  readonly gapByDimension: readonly { readonly dimension: number; readonly share: number }[] | null;
  /** N_10: how often each item of the gallery is among the ten nearest. */
  readonly hubness: readonly { readonly label: string; readonly occurrences: readonly number[] }[];
}

/** What `diagnose` says about one or two sets of vectors. */
export interface Diagnosis {
  readonly kind: "pairs" | "two sets" | "one set";
  readonly labelled: boolean;
  readonly sets: readonly SetSummary[];
  /** Pairs in all, and those in the sample. */
  readonly pairs: { readonly total: number; readonly sampled: number } | null;
  /** The verdict in one or two plain sentences. */
  readonly headline: string;
  /** Serious ones first. */
  readonly findings: readonly Finding[];
  readonly retrieval: readonly RetrievalDirection[];
  readonly remedies: readonly RemedyResult[];
  readonly plots: DiagnosisPlots;
}
