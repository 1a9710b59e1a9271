import type { RowProblem, RowProblems } from "../loaders/rows.ts";

/** A value of a column beside the vectors, e.g. an id, a label or a caption. */
export type FieldValue = string | number | boolean | null;

/** Some consecutive rows of a set of vectors. */
export interface VectorBlock {
  /** Position of the first row among all rows that were kept. */
  readonly start: number;
  readonly rows: number;
  /** [rows, width], row-major. */
  readonly values: Float32Array;
  /**
   * [rows] each row's number in the file, from 0, counting the rows that were skipped too: what two paired files
   * have in common when rows are missing from one of them.
   */
  readonly indices: Float64Array;
  /** The columns that were asked for, one value a row. */
  readonly fields: Readonly<Record<string, readonly FieldValue[]>>;
}

export interface ReadBlocksOptions {
  /** Default: as many rows as fill about 4 MiB. */
  readonly rowsPerBlock?: number;
  readonly signal?: AbortSignal;
}

/** A set of vectors in a file, read in blocks so that it may be larger than memory. */
export interface VectorSource {
  /** The file, for messages. */
  readonly name: string;
  /** Rows in the file, bad ones included. Known before reading for binary formats; null where only reading tells. */
  readonly rows: number | null;
  readonly width: number;
  /** Element type in the file, e.g. `float16` or `uint8`; `text` for CSV and JSONL. */
  readonly dtype: string;
  /** Rows that were skipped so far; each row is counted once, however often the file is read. */
  readonly problems: RowProblems;
  /** All rows in their order. Each call reads from the start. */
  blocks(options?: ReadBlocksOptions): AsyncIterable<VectorBlock>;
  close(): Promise<void>;
}

export interface OpenVectorsOptions {
  /**
   * Parquet, JSONL: the column that holds a list of numbers; default the only one. CSV: a column that holds a JSON
   * list, or the common prefix of numbered columns (`v` for `v0`, `v1`, ...); default the only one there is.
   */
  readonly column?: string;
  /** npz, safetensors: the array; default the only one with two axes. */
  readonly key?: string;
  /** Other columns wanted with every row: ids, labels, captions. In npz and safetensors: arrays with one axis. */
  readonly fields?: readonly string[];
  /** Called for each row that is skipped. Its line is that of a text file, else the row number from 1. */
  readonly onProblem?: (problem: RowProblem) => void;
  /** Throw a `RowError` at the first bad row instead of skipping it. Default false. */
  readonly strict?: boolean;
  /** Rows of zeros have no direction and are skipped, unless this says `keep`. Default `skip`. */
  readonly zeros?: "skip" | "keep";
  /** Most rows of a file. Default 1 billion. */
  readonly maxRows?: number;
  /** Most numbers in a row. Default 65 536. */
  readonly maxWidth?: number;
  readonly signal?: AbortSignal;
}

/** A file of vectors or labels is not what it should be; the message begins with the file. */
export class VectorFileError extends Error {
  override readonly name = "VectorFileError";
  readonly file: string;

  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`${file}: ${reason}`, options);
    this.file = file;
  }
}

/** An error that a reader of text threw, as one of this class; what is no plain error stays as it is. */
export function fileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== "Error") return error;
  const rest = error.message.startsWith(path) ? error.message.slice(path.length) : ` ${error.message}`;
  const reason = rest.replace(/^:(\d+): /, "line $1: ").replace(/^:? /, "");
  return new VectorFileError(path, reason, { cause: error });
}
