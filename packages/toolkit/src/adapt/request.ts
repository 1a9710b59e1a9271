import type { Recipe, TrainMode } from "@concord/papers/recipes";
import type { NDArray } from "@concord/tensor";
import type { Encoder, Modality } from "../encoders/encoder.ts";

/** One encoder, or vectors that one made before. */
export type TowerRequest =
  | {
      /** An open encoder, or the path of an ONNX file or of a folder in Hugging Face's layout. */
      readonly encoder: Encoder | string;
      /** Which part of a folder that holds several is meant. */
      readonly modality?: Modality;
      /** Column of the pairs with this tower's items. Default: told by the tower's name and modality. */
      readonly column?: string;
    }
  | {
      /** [rows, D], or a file: .npy, .npz, safetensors, Parquet, CSV, JSONL. */
      readonly vectors: NDArray<"float32"> | string;
      /** The column of a table, or the array of an archive. */
      readonly column?: string;
    };

/** Labels of a row, none to several. */
export type RowLabels = readonly string[];

/** What an adaptation is asked to do. */
export interface AdaptRequest {
  /** Slug of a paper of the catalogue that has a recipe, or a recipe. */
  readonly recipe: string | Recipe;
  /** Encoders or vectors by name, such as "image" and "text"; row i of one belongs to row i of the others. */
  readonly towers: Readonly<Record<string, TowerRequest>>;
  /** Folder for what comes out. */
  readonly out: string;
  /** CSV, TSV, JSONL, Parquet, COCO, a folder of classes, a tar; of one encoder also a .txt of lines, or a folder of pictures. */
  readonly pairs?: string;
  /** Where the files that pairs name lie. Default: beside the file. */
  readonly images?: string;
  /** Column with labels (several parted by `|` or `;`, or a JSON list). */
  readonly labelColumn?: string;
  /** Column whose equal values must not be parted by the split, e.g. a patient. */
  readonly groupColumn?: string;
  /** For one encoder: column with a second item that each row is compared with on held-out data. */
  readonly compareColumn?: string;
  /** For one encoder with a compare column: how alike the two are said to be. */
  readonly scoreColumn?: string;
  /** Labels of vectors, one list a row, or a file with one column. */
  readonly labels?: readonly RowLabels[] | string;
  /** For anchored recipes: the tower that stays. Default: "text" where there is one, else the last. */
  readonly anchor?: string;
  readonly train?: TrainMode;
  /** The recipe's own options by name. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  /** Columns of the adapters' factors. */
  readonly rank?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Share of the rows that only the report sees. Default 0.1. */
  readonly heldOut?: number;
  /** Share of the rows that choose the best step. Default: as heldOut. */
  readonly validation?: number;
  /** Held-out metric that chooses the best step, e.g. "mrr". Default: by what the data allow. */
  readonly metric?: string;
  /** Steps between looks at the validation rows. Default: about 30 looks in all. */
  readonly evaluateEvery?: number;
  /** Looks without a better one before training ends. Default 10. */
  readonly patience?: number;
  /** Folder of features that are kept between runs. Default: the user's cache folder. */
  readonly cache?: string;
  /** Go on with the run in `out`. Default false. */
  readonly resume?: boolean;
  /** Also write the held-out vectors before and after as .npy files. Default false. */
  readonly saveEmbeddings?: boolean;
}

/** What is going on, about ten times a second at most. */
export interface AdaptProgress {
  readonly phase: "reading" | "embedding" | "splitting" | "training" | "measuring" | "exporting";
  /** Of what, e.g. the tower. */
  readonly of?: string;
  readonly done: number;
  readonly total: number;
  readonly loss?: number;
  /** The metric that chooses, at the last look, and the best so far. */
  readonly metric?: number;
  readonly best?: number;
  readonly samplesPerSecond?: number;
  /** Seconds so far of waiting for data, and of computing. */
  readonly dataSeconds?: number;
  readonly computeSeconds?: number;
}

export interface AdaptOptions {
  readonly onProgress?: (progress: AdaptProgress) => void;
  /** Messages for people: skipped rows, ties in the split, what is better not believed. */
  readonly onNote?: (note: string) => void;
  /** Seconds between checkpoints, at least. Default 10. */
  readonly saveEverySeconds?: number;
  readonly signal?: AbortSignal;
}
