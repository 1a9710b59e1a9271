export { SEARCH_METRICS, type SearchMetric } from "@concord/align";
export type { FieldValue } from "@concord/data";
export * from "./adapt/index.ts";
export * from "./diagnose/index.ts";
export {
  type EmbeddedBlock,
  EmbedError,
  type EmbedFileOptions,
  type EmbedOptions,
  type EmbedProblem,
  type EmbedProgress,
  type EmbedSummary,
  embed,
  embedBlocks,
  signCodes,
} from "./embed/embed.ts";
export {
  type EmbedInput,
  EmbedInputError,
  type EmbedInputOptions,
  embedInputs,
  lineInputs,
  linesOf,
} from "./embed/inputs.ts";
export {
  type Encoded,
  type EncodeOptions,
  type Encoder,
  EncoderError,
  type EncoderFeeds,
  type EncoderGraph,
  type EncoderItem,
  type ItemProblem,
  MODALITIES,
  type Modality,
  POOLINGS,
  type Pooling,
  type PreprocessOptions,
  type ScanVoxels,
  type SoundSamples,
} from "./encoders/encoder.ts";
export { type OpenEncoderOptions, openEncoder } from "./encoders/open-encoder.ts";
export * from "./report/index.ts";
export { type ReadVectors, type ReadVectorsOptions, readVectors } from "./search/read-vectors.ts";
export {
  type CreateSearchOptions,
  createSearch,
  EXACT_ROWS,
  type Search,
  type SearchHit,
  type SearchOptions,
  type SearchQueries,
  search,
} from "./search/search.ts";
