import type { ByteFile } from "./byte-file.ts";
import { isNpy } from "./npy-header.ts";
import { VectorFileError } from "./source.ts";

export type VectorFormat = "npy" | "npz" | "safetensors" | "parquet" | "jsonl" | "csv";
/** `txt`: text of no format, one value a line. */
export type ColumnFormat = VectorFormat | "txt";

const endings: readonly (readonly [RegExp, ColumnFormat])[] = [
  [/\.npy$/i, "npy"],
  [/\.npz$/i, "npz"],
  [/\.safetensors$/i, "safetensors"],
  [/\.(parquet|pq)$/i, "parquet"],
  [/\.(jsonl|ndjson)(\.gz)?$/i, "jsonl"],
  [/\.(csv|tsv)(\.gz)?$/i, "csv"],
  [/\.txt(\.gz)?$/i, "txt"],
];

/** The format that the ending of a name stands for. */
export function formatByName(path: string): ColumnFormat | undefined {
  return endings.find(([ending]) => ending.test(path))?.[1];
}

/**
 * The format of a file by its first bytes; by its name where these tell nothing.
 *
 * @throws VectorFileError when the file is empty, of no known format, or another one than its name says
 */
export async function formatOf(file: ByteFile): Promise<ColumnFormat> {
  if (file.size === 0) throw new VectorFileError(file.path, "is empty");
  const start = await file.read(0, Math.min(64, file.size));
  const named = formatByName(file.path);
  const found = formatByContent(start, file.size);
  const binary = named === "npy" || named === "npz" || named === "safetensors" || named === "parquet";
  if (found !== undefined && (named === undefined || named === found || !binary || found !== "text"))
    return found === "text" ? textFormat(file.path, named, start) : found;
  if (named !== undefined && !binary) return named;
  const shown = JSON.stringify(Buffer.from(start.subarray(0, 8)).toString("latin1"));
  throw new VectorFileError(
    file.path,
    named === undefined
      ? `is of no known format (it begins with ${shown}); .npy, .npz, safetensors, Parquet, JSONL, CSV and TSV can be read`
      : `is not a ${named} file: it begins with ${shown}`,
  );
}

function formatByContent(start: Uint8Array, size: number): VectorFormat | "text" | undefined {
  const text = Buffer.from(start).toString("latin1");
  if (isNpy(start)) return "npy";
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06")) return "npz";
  if (text.startsWith("PAR1")) return "parquet";
  if (start.length > 8) {
    const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
    const length = view.getBigUint64(0, true);
    if (length >= 2n && length <= BigInt(size) - 8n && text[8] === "{") return "safetensors";
  }
  if (start[0] === 0x1f && start[1] === 0x8b) return undefined;
  // Control characters other than white space mark binary files.
  return start.some((byte) => byte < 9 || (byte > 13 && byte < 32)) ? undefined : "text";
}

function textFormat(path: string, named: ColumnFormat | undefined, start: Uint8Array): ColumnFormat {
  if (named === "csv" || named === "jsonl" || named === "txt") return named;
  const first = Buffer.from(start)
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .trimStart()[0];
  if (first === "{" || first === "[") return "jsonl";
  throw new VectorFileError(path, "is text of no known ending; name it .csv, .tsv or .jsonl");
}
