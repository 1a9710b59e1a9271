export {
  type CollectedSet,
  type CollectOptions,
  collectSet,
  MAX_COVARIANCE_WIDTH,
  type RowBlock,
  type RowGroups,
} from "./collect.ts";
export { type DiagnoseSetsOptions, type DiagnosisInput, diagnoseSets, LEAST_ROWS } from "./diagnose-sets.ts";
export type {
  Diagnosis,
  DiagnosisPlots,
  Estimate,
  Finding,
  FindingScope,
  Histogram,
  Measure,
  RemedyResult,
  RetrievalDirection,
  SetSummary,
  Severity,
} from "./finding.ts";
export { FINDING_IDS, type FindingId } from "./ids.ts";
export type { PairedPlaces } from "./sample.ts";
export { severityOf, THRESHOLDS, type Threshold } from "./thresholds.ts";
