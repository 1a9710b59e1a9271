export { type AdaptResult, adapt } from "./adapt.ts";
export { AdaptDataError, AdaptFolderError, AdaptRequestError } from "./errors.ts";
export { type Comparison, METRICS, type MetricId, type MetricInfo } from "./evaluate.ts";
export type { ExportedTower } from "./export.ts";
export { defaultCacheFolder } from "./feature-cache.ts";
export { type AdaptPlan, planAdapt } from "./plan.ts";
export type { AdaptRecord, Outcome } from "./record.ts";
export type { AdaptOptions, AdaptProgress, AdaptRequest, RowLabels, TowerRequest } from "./request.ts";
export type { Look } from "./training.ts";
