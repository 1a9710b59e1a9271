import { type ColumnFormat, formatByName } from "./formats.ts";
import { OutputFile } from "./output-file.ts";
import { type FieldValue, VectorFileError } from "./source.ts";
import { csvEncoder } from "./write-csv.ts";
import { jsonlEncoder } from "./write-jsonl.ts";
import { npyEncoder } from "./write-npy.ts";
import { parquetEncoder } from "./write-parquet.ts";

export type WritableFormat = "npy" | "jsonl" | "parquet" | "csv";

/** Rows to be written. A `VectorBlock` is one. */
export interface WritableBlock {
  readonly rows: number;
  /** [rows, width]; bytes for packed binary codes. */
  readonly values: Float32Array | Uint8Array;
  /** A value a row for each declared field. */
  readonly fields?: Readonly<Record<string, readonly FieldValue[]>>;
}

export interface VectorWriterOptions {
  /** Numbers a row; bytes a row for `uint8`. */
  readonly width: number;
  /** Default: by the ending of the name. */
  readonly format?: WritableFormat;
  /** `uint8` for packed binary codes, in `.npy` files only. Default `float32`. */
  readonly dtype?: "float32" | "uint8";
  /** Columns beside the vectors, which come before them; not in `.npy` files. */
  readonly fields?: readonly string[];
  /** Name of the column of vectors in JSONL and Parquet, prefix of the columns in CSV. Default `vector`; `v` in CSV. */
  readonly column?: string;
  /** Replace a file that is there. Default false. */
  readonly overwrite?: boolean;
}

/** Writes vectors to a file that appears under its name when `finish` is done. */
export interface VectorWriter extends AsyncDisposable {
  readonly path: string;
  /** Rows written so far. */
  readonly rows: number;
  /** @throws RangeError when values or fields do not fill the rows; the file is then unchanged */
  write(block: WritableBlock): Promise<void>;
  finish(): Promise<void>;
  /** Leaves nothing behind. Does nothing after `finish`; disposing does the same. */
  abort(): Promise<void>;
}

/** How a format turns rows into bytes. */
export interface VectorEncoder {
  begin(): Promise<void>;
  write(block: WritableBlock): Promise<void>;
  end(rows: number): Promise<void>;
}

const writable: readonly ColumnFormat[] = ["npy", "jsonl", "parquet", "csv"];

/**
 * Writes vectors, block by block, as `.npy` (float32 or packed codes as uint8), JSONL, Parquet or CSV. Rows go to a
 * temporary file beside the target, which gets its name in `finish`.
 *
 * @throws VectorFileError when the file is there already, cannot be written, or its ending says no format;
 *   RangeError when an option is out of its range
 */
export async function createVectorWriter(path: string, options: VectorWriterOptions): Promise<VectorWriter> {
  const { width, dtype = "float32", fields = [], overwrite = false } = options;
  if (!Number.isInteger(width) || width < 1)
    throw new RangeError(`createVectorWriter: width must be an integer >= 1, got ${width}`);
  const format = options.format ?? formatByName(path);
  if (format === undefined || !writable.includes(format) || /\.gz$/i.test(path))
    throw new VectorFileError(path, "vectors are written as .npy, .parquet, .jsonl, .csv or .tsv files");
  if (dtype === "uint8" && format !== "npy")
    throw new VectorFileError(path, "packed codes are written as .npy files");
  if (format === "npy" && fields.length > 0)
    throw new VectorFileError(path, `a .npy file holds vectors alone, without ${fields.join(", ")}`);
  if (new Set([...fields, options.column ?? "vector"]).size <= fields.length)
    throw new RangeError(`createVectorWriter: column names must differ, got ${fields.join(", ")}`);
  const file = await OutputFile.create(path, overwrite);
  const encoder = encoderFor(format as WritableFormat, file, { ...options, fields, dtype });
  let rows = 0;
  let state: "open" | "finished" | "aborted" = "open";
  const abort = async (): Promise<void> => {
    if (state !== "open") return;
    state = "aborted";
    await file.abort();
  };
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    if (state !== "open") throw new Error(`${path}: the writer is ${state}`);
    try {
      await work();
    } catch (error) {
      await abort();
      throw error;
    }
  };
  await guarded(() => encoder.begin());
  return {
    path,
    get rows() {
      return rows;
    },
    async write(block) {
      checkBlock(block, width, dtype, fields);
      if (block.rows === 0) return;
      await guarded(() => encoder.write(block));
      rows += block.rows;
    },
    async finish() {
      await guarded(async () => {
        await encoder.end(rows);
        await file.finish();
      });
      state = "finished";
    },
    abort,
    [Symbol.asyncDispose]: abort,
  };
}

export type EncoderOptions = VectorWriterOptions & Required<Pick<VectorWriterOptions, "fields" | "dtype">>;

function encoderFor(format: WritableFormat, file: OutputFile, options: EncoderOptions): VectorEncoder {
  switch (format) {
    case "npy":
      return npyEncoder(file, options);
    case "jsonl":
      return jsonlEncoder(file, options);
    case "csv":
      return csvEncoder(file, options);
    case "parquet":
      return parquetEncoder(file, options);
  }
}

function checkBlock(
  block: WritableBlock,
  width: number,
  dtype: "float32" | "uint8",
  fields: readonly string[],
): void {
  const { rows, values } = block;
  const wanted = dtype === "uint8" ? Uint8Array : Float32Array;
  if (!(values instanceof wanted))
    throw new RangeError(`write: values must be a ${wanted.name}, got a ${values.constructor.name}`);
  if (!Number.isInteger(rows) || rows < 0 || values.length !== rows * width)
    throw new RangeError(`write: ${values.length} values are not ${rows} rows of ${width}`);
  for (const name of fields) {
    const column = block.fields?.[name];
    if (column?.length !== rows)
      throw new RangeError(
        `write: field ${JSON.stringify(name)} has ${column?.length ?? "no"} values for ${rows} rows`,
      );
  }
}
