export * from "./diagnose/index.ts";
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
  type SoundSamples,
} from "./encoders/encoder.ts";
export { type OpenEncoderOptions, openEncoder } from "./encoders/open-encoder.ts";
export * from "./report/index.ts";
