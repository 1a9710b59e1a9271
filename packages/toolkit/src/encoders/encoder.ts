import type { NDArray } from "@concord/tensor";

/** What an encoder takes. `vector` is for models whose one input is a matrix of features. */
export const MODALITIES = ["text", "image", "volume", "audio", "vector"] as const;
export type Modality = (typeof MODALITIES)[number];

/** Sound as numbers. */
export interface SoundSamples {
  /** One channel, in [-1, 1]. */
  readonly samples: Float32Array;
  /** Samples a second, in hertz. */
  readonly sampleRate: number;
}

/** A scan as numbers. */
export interface ScanVoxels {
  /** [X, Y, Z], axes to the right, to the front and up (RAS+). */
  readonly volume: NDArray<"float32">;
  /** Millimetres between voxels. Default 1. */
  readonly spacing?: readonly [number, number, number];
}

/**
 * One item to be encoded. Texts are texts; pictures, scans and sounds are files, the bytes of files, or, for scans and
 * sounds, numbers; vectors are vectors.
 */
export type EncoderItem =
  | { readonly text: string }
  | { readonly path: string }
  | { readonly bytes: Uint8Array }
  | SoundSamples
  | ScanVoxels
  | { readonly vector: ArrayLike<number> };

/** An item that cannot be encoded, and why: a missing file, a broken picture, an empty text. */
export interface ItemProblem {
  /** Its place among the items that were given. */
  readonly index: number;
  readonly reason: string;
}

/** Items as the model takes them. */
export interface EncoderFeeds {
  /** The inputs of the model by name, each with the batch as its first axis. */
  readonly feeds: Readonly<Record<string, NDArray>>;
  /** Which of the given items the rows are, ascending. */
  readonly rows: readonly number[];
  readonly problems: readonly ItemProblem[];
}

/** Embeddings of items. */
export interface Encoded {
  /** [rows, width], row-major, finite. */
  readonly values: Float32Array;
  readonly width: number;
  /** Which of the given items the rows are, ascending; all of them when there are no problems. */
  readonly rows: readonly number[];
  readonly problems: readonly ItemProblem[];
}

/** How the tokens' vectors [B, T, D] of a sequence become one [B, D]; `none` where the model does it itself. */
export const POOLINGS = ["none", "mean", "cls", "last", "max", "mean-sqrt", "weighted-mean"] as const;
export type Pooling = (typeof POOLINGS)[number];

/** The part of the model file that is used, for those who import it to train it further. */
export interface EncoderGraph {
  /** Path of the .onnx file. */
  readonly file: string;
  /** The output that is read. */
  readonly output: string;
  readonly pooling: Pooling;
  /** The input with 1 for tokens and 0 for padding, by which pooling goes; null where the model has none. */
  readonly mask: string | null;
  /** Whether rows are brought to length 1 after pooling. */
  readonly normalize: boolean;
}

export interface PreprocessOptions {
  /**
   * Another size than the model's, for what is cut up afterwards: of pictures [height, width], of scans [x, y, z]. Others
   * have none.
   */
  readonly size?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface EncodeOptions {
  /** Most items in one run of the model. Default: by modality, fewer for long texts. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
}

/** A model with its preprocessing: items in, vectors out. Close it when done. */
export interface Encoder extends AsyncDisposable {
  readonly modality: Modality;
  /** Of the folder or file, for messages. */
  readonly name: string;
  /**
   * SHA-256, in hexadecimal, of the model's bytes and of all that preprocessing and pooling depend on: encoders with
   * equal digests give equal vectors, so caches may go by it.
   */
  readonly digest: string;
  /** D, the length of the vectors. */
  readonly width: number;
  readonly graph: EncoderGraph;
  /** What had to be assumed because no file says it, in sentences for people. */
  readonly notes: readonly string[];
  /**
   * The model's inputs for some items, as one batch: texts are padded to the longest of them, pictures and scans brought
   * to the model's size. Items that cannot be read become `problems` and have no row.
   *
   * @throws EncoderError for a size where there is none to choose; DOMException named AbortError when `signal` is aborted
   */
  preprocess(items: readonly EncoderItem[], options?: PreprocessOptions): Promise<EncoderFeeds>;
  /**
   * The vectors of items, in their order. Long lists are cut into batches of items of like length.
   *
   * @throws EncoderError when the model fails; DOMException named AbortError when `signal` is aborted
   */
  encode(items: readonly EncoderItem[], options?: EncodeOptions): Promise<Encoded>;
  close(): Promise<void>;
}

/** An encoder that cannot be opened or run: a wrong folder, a broken file, a model with other inputs or outputs. */
export class EncoderError extends Error {
  override readonly name = "EncoderError";
}
