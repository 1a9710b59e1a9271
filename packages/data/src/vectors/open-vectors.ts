import { defaultArrayLimits } from "./array-rows.ts";
import { ByteFile } from "./byte-file.ts";
import { csvRows } from "./csv-vectors.ts";
import { formatOf } from "./formats.ts";
import { jsonlRows } from "./jsonl-vectors.ts";
import { keptRows } from "./kept-rows.ts";
import { type NamedArrays, namedArrayRows } from "./named-arrays.ts";
import { npyRows } from "./npy-file.ts";
import { openNpz } from "./npz-file.ts";
import { parquetRows } from "./parquet-vectors.ts";
import type { RawRows } from "./raw-rows.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { fileError, type OpenVectorsOptions, VectorFileError, type VectorSource } from "./source.ts";

/**
 * Opens a file of vectors: `.npy`, `.npz`, safetensors, Parquet, JSONL, CSV or TSV, told by its first bytes and, for
 * texts, by its name. Rows come as float32 in blocks, so that memory does not grow with the file. Rows that are not
 * finite, all zeros, of another width or unreadable are counted in `problems` and skipped.
 *
 * @throws VectorFileError when the file is missing, of another kind, truncated or over a limit, or has no column of
 *   the wanted name (the message lists those it has); in strict mode RowError at the first bad row
 */
export async function openVectors(path: string, options: OpenVectorsOptions = {}): Promise<VectorSource> {
  options.signal?.throwIfAborted();
  const raw = await openRaw(path, options);
  return keptRows(path, raw, options);
}

async function openRaw(path: string, options: OpenVectorsOptions): Promise<RawRows> {
  const limits = {
    maxRows: options.maxRows ?? defaultArrayLimits.maxRows,
    maxWidth: options.maxWidth ?? defaultArrayLimits.maxWidth,
  };
  const file = await ByteFile.open(path);
  let kept = false;
  try {
    const format = await formatOf(file);
    checkOptions(path, format, options);
    switch (format) {
      case "npy": {
        const raw = await npyRows(file, limits);
        kept = true;
        return raw;
      }
      case "npz":
        return await closing(await openNpz(path), (arrays) => namedArrayRows(arrays, options, limits));
      case "safetensors": {
        const raw = await namedArrayRows(await openSafetensors(file), options, limits);
        kept = true;
        return raw;
      }
      case "parquet": {
        const raw = await parquetRows(file, options, limits);
        kept = true;
        return raw;
      }
      case "jsonl":
        return await textFile(path, () => jsonlRows(path, options, limits));
      case "csv":
        return await textFile(path, () => csvRows(path, options, limits));
      default:
        throw new VectorFileError(path, "is text, but neither CSV nor JSONL; name it .csv, .tsv or .jsonl");
    }
  } finally {
    if (!kept) await file.close();
  }
}

/** Errors of the text readers, e.g. bytes that are not UTF-8, as errors of the file. */
async function textFile(path: string, open: () => Promise<RawRows>): Promise<RawRows> {
  try {
    const raw = await open();
    return {
      ...raw,
      async *read(options) {
        try {
          yield* raw.read(options);
        } catch (error) {
          throw fileError(path, error);
        }
      },
    };
  } catch (error) {
    throw fileError(path, error);
  }
}

async function closing(
  arrays: NamedArrays,
  use: (arrays: NamedArrays) => Promise<RawRows>,
): Promise<RawRows> {
  try {
    return await use(arrays);
  } catch (error) {
    await arrays.close();
    throw error;
  }
}

/** An option that a format cannot follow is a mistake, not something to pass over. */
function checkOptions(path: string, format: string, { column, key, fields }: OpenVectorsOptions): void {
  const named = format === "npz" || format === "safetensors";
  if (key !== undefined && !named)
    throw new VectorFileError(path, `key names an array of .npz and safetensors files; this is ${format}`);
  if (column !== undefined && (named || format === "npy"))
    throw new VectorFileError(path, `column names a column of tables; this is ${format}`);
  if (format === "npy" && fields && fields.length > 0)
    throw new VectorFileError(
      path,
      "a .npy file holds vectors alone; give ids and labels in a file of their own",
    );
}
