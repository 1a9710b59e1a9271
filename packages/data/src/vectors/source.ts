/** A value of a column beside the vectors, e.g. an id, a label or a caption. */
export type FieldValue = string | number | boolean | null;

/** Some consecutive rows of a set of vectors. */
export interface VectorBlock {
  /** Position of the first row among all rows that were kept. */
  readonly start: number;
  readonly rows: number;
  /** [rows, width], row-major. */
  readonly values: Float32Array;
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
  /** Known before reading for binary formats; null where only reading tells. */
  readonly rows: number | null;
  readonly width: number;
  /** All rows in their order. Each call reads from the start. */
  blocks(options?: ReadBlocksOptions): AsyncIterable<VectorBlock>;
  close(): Promise<void>;
}
