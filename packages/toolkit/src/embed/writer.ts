import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { packCodes } from "@concord/align";
import { createVectorWriter, type FieldValue, VectorFileError, type VectorWriter } from "@concord/data";
import type { EmbeddedBlock } from "./embed.ts";

export interface EmbeddingWriterOptions {
  readonly width: number;
  readonly binary: boolean;
  readonly overwrite: boolean;
  readonly fields: readonly string[] | undefined;
}

export interface EmbeddingWriter extends AsyncDisposable {
  readonly rows: number;
  write(block: EmbeddedBlock): Promise<void>;
  finish(): Promise<void>;
}

/** Name of the column of vectors, which a column of the input must not have. */
export const VECTOR_COLUMN = "vector";

/** The file with the columns that a `.npy` file has no room for. */
export function fieldsPath(path: string): string {
  return `${path.replace(/\.npy$/i, "")}.fields.jsonl`;
}

/**
 * Writes vectors and their columns. The columns are those of the first block, unless they are given; the file is
 * made then, and gets its name in `finish`.
 */
export async function createEmbeddingWriter(
  path: string,
  options: EmbeddingWriterOptions,
): Promise<EmbeddingWriter> {
  const { width, binary, overwrite } = options;
  const beside = /\.npy$/i.test(path);
  if (binary && !beside) throw new VectorFileError(path, "packed signs are written as .npy files");
  // Told before the work rather than after it.
  for (const file of beside ? [path, fieldsPath(path)] : [path])
    if (!overwrite && (await stat(file).catch(() => null)))
      throw new VectorFileError(file, "is there already; choose another name or allow overwriting");
  let vectors: VectorWriter | undefined;
  let columns: FieldFile | undefined;
  let names: readonly string[] = [];
  const open = async (block: EmbeddedBlock): Promise<VectorWriter> => {
    names = options.fields ?? Object.keys(block.fields[0] ?? {}).filter((name) => name !== VECTOR_COLUMN);
    if (beside && names.length > 0) columns = new FieldFile(fieldsPath(path));
    return createVectorWriter(path, {
      width: binary ? Math.ceil(width / 8) : width,
      overwrite,
      ...(binary ? { dtype: "uint8" as const } : {}),
      ...(beside ? {} : { fields: names }),
    });
  };
  const abort = async (): Promise<void> => {
    await Promise.all([vectors?.abort(), columns?.abort()]);
  };
  return {
    get rows() {
      return vectors?.rows ?? 0;
    },
    async write(block) {
      vectors ??= await open(block);
      const { rows } = block;
      const values = binary
        ? packCodes({ dtype: "float32", shape: [rows, width], data: block.values }).bytes
        : block.values;
      const column = (name: string): FieldValue[] => block.fields.map((fields) => fields[name] ?? null);
      const fields = beside ? {} : Object.fromEntries(names.map((name) => [name, column(name)]));
      await vectors.write({ rows, values, fields });
      await columns?.write(
        block.fields.map((all) => Object.fromEntries(names.map((name) => [name, all[name] ?? null]))),
      );
    },
    async finish() {
      await columns?.finish();
      await vectors?.finish();
    },
    [Symbol.asyncDispose]: abort,
  };
}

/** Columns as JSON, a line a row, that appear under their name when they are complete. */
class FieldFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #stream: ReturnType<typeof createWriteStream>;
  #open = true;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.${process.pid}.tmp`;
    this.#stream = createWriteStream(this.#temporary, { flags: "w" });
    // Told by `write` and `finish`; without a listener it would end the process.
    this.#stream.on("error", () => {});
  }

  async write(rows: readonly Readonly<Record<string, FieldValue>>[]): Promise<void> {
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    await new Promise<void>((resolve, reject) =>
      this.#stream.write(text, (error) => (error ? reject(error) : resolve())),
    );
  }

  async finish(): Promise<void> {
    this.#stream.end();
    await finished(this.#stream);
    await rename(this.#temporary, this.#path);
    this.#open = false;
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.destroy();
    await finished(this.#stream).catch(() => {});
    await rm(this.#temporary, { force: true });
  }
}
