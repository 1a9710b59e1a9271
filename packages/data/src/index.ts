export {
  type AudioBatch,
  type AudioBatchesOptions,
  type AudioSet,
  audioBatches,
  decodeAudio,
  type LoadAudioFolderOptions,
  loadAudioFolder,
} from "./audio/audio-set.ts";
export { type AudioClip, AudioError, type AudioLimits, fitLength, mixToMono } from "./audio/clip.ts";
export { decodeFlac } from "./audio/flac.ts";
export { type KaldiFbankOptions, kaldiFbank } from "./audio/kaldi-fbank.ts";
export { type LogMelOptions, logMel } from "./audio/log-mel.ts";
export { resample } from "./audio/resample.ts";
export { decodeWav } from "./audio/wav.ts";
export {
  type BatchPlan,
  type BatchPlanOptions,
  type BatchSource,
  batchPlan,
} from "./batches/batch-source.ts";
export {
  type CaptionedBatch,
  type CaptionedBatchesOptions,
  captionedBatches,
} from "./batches/captioned-batches.ts";
export { type CaptionedFilesOptions, captionedFiles } from "./batches/captioned-files.ts";
export { type PrefetchedSource, type PrefetchOptions, prefetch } from "./batches/prefetch.ts";
export { type BatchSourceModule, type WorkerSourceOptions, workerSource } from "./batches/worker-source.ts";
export { type AugmentOptions, augmentImages } from "./images/augment.ts";
export {
  type ChannelStatistics,
  channelStatistics,
  clipStatistics,
  standardise,
  toByteImages,
  toFloatImages,
} from "./images/convert.ts";
export { type DecodeReply, readLocation } from "./images/decode.ts";
export { decodeDepthMap } from "./images/depth-map.ts";
export { encodePng, type RawPicture } from "./images/encode.ts";
export { type ImageDecoder, type ImageDecoderOptions, imageDecoder } from "./images/image-decoder.ts";
export {
  ImageFileError,
  type ImageFiles,
  type ImageFilesLimits,
  type ImageLocation,
  openImageFiles,
} from "./images/image-files.ts";
export {
  type CaptionedImageSet,
  captionedImageSet,
  type LabelColumn,
  labelColumn,
  selectImages,
  splitImages,
} from "./images/image-set.ts";
export { filePixels, memoryPixels, type PixelStore } from "./images/pixel-store.ts";
export {
  type LoadCaptionedImagesOptions,
  type LoadedCaptionedImages,
  type LoadProgress,
  loadCaptionedImages,
} from "./loaders/captioned-images.ts";
export { cocoPairs } from "./loaders/coco.ts";
export type { PairColumns } from "./loaders/columns.ts";
export { type CsvOptions, csvPairs } from "./loaders/csv.ts";
export {
  type ImageArrays,
  readIdxImages,
  readImageArrays,
  readImageLabels,
} from "./loaders/image-arrays.ts";
export {
  type FolderClass,
  type ImageFolderOptions,
  imageFolderClasses,
  imageFolderPairs,
  looseImages,
} from "./loaders/image-folder.ts";
export { jsonlPairs } from "./loaders/jsonl.ts";
export { karpathyPairs } from "./loaders/karpathy.ts";
export { listColumns } from "./loaders/list-columns.ts";
export {
  decodeNifti,
  NiftiError,
  type NiftiLimits,
  type NiftiVolume,
  readNifti,
} from "./loaders/nifti.ts";
export { type OpenedPairs, type OpenPairsOptions, openPairs } from "./loaders/open-pairs.ts";
export { parquetPairs } from "./loaders/parquet.ts";
export {
  describeProblem,
  type PairRow,
  type PairSource,
  RowError,
  type RowProblem,
  type RowProblems,
} from "./loaders/rows.ts";
export { isTable, plainFields, readTable, type TableRow } from "./loaders/table.ts";
export { type ListedVolumes, listVolumes, type VolumeFiles } from "./loaders/volume-list.ts";
export { expandShards } from "./streams/shards.ts";
export { shuffleBuffer } from "./streams/shuffle-buffer.ts";
export {
  type SamplePart,
  type WebdatasetOptions,
  type WebdatasetSample,
  webdatasetSamples,
} from "./streams/webdataset.ts";
export {
  type IndexedPairs,
  type WebdatasetPairsOptions,
  webdatasetPairs,
} from "./streams/webdataset-pairs.ts";
export {
  loadTokenizer,
  type TextTokenizer,
  type TokenBatch,
  type TokenizerOptions,
  textTokenizer,
} from "./text/tokenizer.ts";
export { type BpeTokenizerOptions, trainBpeTokenizer } from "./text/train-bpe.ts";
export { trainWordTokenizer, type WordTokenizerOptions } from "./text/train-words.ts";
export { siblingModule, WorkerPool } from "./threads/worker-pool.ts";
export { type OpenColumnOptions, openColumn } from "./vectors/open-column.ts";
export { openVectors } from "./vectors/open-vectors.ts";
export { type PairedBlock, pairedBlocks } from "./vectors/paired-blocks.ts";
export {
  type FieldValue,
  type OpenVectorsOptions,
  type ReadBlocksOptions,
  type VectorBlock,
  VectorFileError,
  type VectorSource,
} from "./vectors/source.ts";
export {
  createVectorWriter,
  type VectorWriter,
  type VectorWriterOptions,
  type WritableBlock,
  type WritableFormat,
} from "./vectors/vector-writer.ts";
export {
  cutBox,
  foregroundBox,
  prepareVolume,
  scaleToWindow,
  type VolumeBox,
  type VolumePreparation,
} from "./volumes/prepare.ts";
export { type ResizeVolumeOptions, resizeVolume } from "./volumes/resize.ts";
export {
  ALIKE_ORGANS,
  type BodyVolume,
  type BodyVolumesOptions,
  type BodyVolumesWorld,
  bodyOrgans,
  bodyVolumes,
  type Organ,
  type VolumeShape,
} from "./worlds/body-volumes/world.ts";
export {
  type AttributeName,
  type AttributeValue,
  attributeNames,
  captionedShapesAttributes,
  captionedShapesCombinations,
  fillerWords,
  type ZeroShotClass,
  zeroShotClasses,
} from "./worlds/captioned-shapes/attributes.ts";
export type { CaptionStyle } from "./worlds/captioned-shapes/captions.ts";
export type { AttributeIndices } from "./worlds/captioned-shapes/render.ts";
export {
  outlineReach,
  type SignedDistance,
  shapeDistances,
} from "./worlds/captioned-shapes/shapes.ts";
export {
  type CaptionedShapesStreamOptions,
  captionedShapesStream,
} from "./worlds/captioned-shapes/stream.ts";
export {
  type CaptionedShape,
  type CaptionedShapesBatch,
  type CaptionedShapesOptions,
  type CaptionedShapesSplit,
  type CaptionedShapesWorld,
  captionedShapes,
} from "./worlds/captioned-shapes/world.ts";
