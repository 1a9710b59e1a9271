export { Bm25 } from "./bm25.ts";
export { readFigures, type TrainingFigures } from "./figures.ts";
export { encoderVersions } from "./folder.ts";
export {
  EncoderBusyError,
  type EncodingProgress,
  encodedText,
  type Indexed,
  indexNewPapers,
  indexWithOutsideEncoder,
  type RefreshOptions,
  type Retrained,
  retrainEncoder,
} from "./refresh.ts";
export { placesByProduct, qualityOf, type RetrievalQuality } from "./retrieval.ts";
export { EncoderFolderError, openTextEncoder, type TextEncoder } from "./text-encoder.ts";
export {
  LEAST_PAPERS,
  type TrainedEncoder,
  type TrainingOptions,
  type TrainingPaper,
  type TrainingProgress,
  type TrainingSettings,
  trainEncoder,
  trainingDefaults,
} from "./training.ts";
