export * from "./losses/contrastive.ts";
export * from "./losses/divergence.ts";
export * from "./losses/geometry.ts";
export * from "./metrics/geometry.ts";
export * from "./metrics/retrieval.ts";
export { normalizeRows } from "./metrics/rows.ts";
export * from "./metrics/zero-shot.ts";
export * from "./similarity.ts";
