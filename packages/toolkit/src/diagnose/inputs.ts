import { basename, extname } from "node:path";
import type { RowBlock } from "@concord/align";
import { type FieldValue, type OpenVectorsOptions, openVectors, type VectorSource } from "@concord/data";
import { isNDArray, type NDArray } from "@concord/tensor";

/** A set of vectors: a file, an open source of one, a matrix [N, D], or a list of N vectors of length D. */
export type VectorInput = string | VectorSource | NDArray | readonly ArrayLike<number>[];

/** Where the vectors stand in a file, and what else is read with them. */
export type VectorPlace = Pick<OpenVectorsOptions, "column" | "key">;

/** A set that can be read from its start, in blocks. */
export interface OpenInput {
  readonly name: string;
  readonly width: number;
  /** Rows, bad ones included; null where only reading tells. */
  readonly rows: number | null;
  /** The file, where there is one. */
  readonly path: string | null;
  readonly blocks: (signal?: AbortSignal) => AsyncIterable<InputBlock>;
  /** Rows that the reader itself left out so far. */
  readonly unreadable: () => number;
  readonly close: () => Promise<void>;
}

export interface InputBlock extends RowBlock {
  readonly fields: Readonly<Record<string, readonly FieldValue[]>>;
}

/** Numbers of one block of a matrix in memory. */
const BLOCK_NUMBERS = 2 ** 20;

function isSource(input: VectorInput): input is VectorSource {
  return typeof input === "object" && "blocks" in input && typeof input.blocks === "function";
}

function ofSource(source: VectorSource, name: string, owned: boolean, path: string | null): OpenInput {
  const { width, rows } = source;
  return {
    name,
    width,
    rows,
    path,
    blocks: (signal) => source.blocks(signal ? { signal } : {}),
    unreadable: () => source.problems.count,
    close: async () => {
      if (owned) await source.close();
    },
  };
}

function ofMatrix(matrix: NDArray, name: string): OpenInput {
  const [rows, width] = matrix.shape;
  if (matrix.shape.length !== 2 || rows === undefined || width === undefined || width === 0) {
    throw new RangeError(
      `${name}: vectors must be a matrix [rows, width], got shape [${matrix.shape.join(", ")}]`,
    );
  }
  const { data } = matrix;
  const each = Math.max(1, Math.floor(BLOCK_NUMBERS / width));
  return {
    name,
    width,
    rows,
    path: null,
    async *blocks() {
      for (let first = 0; first < rows; first += each) {
        const count = Math.min(each, rows - first);
        const part = data.subarray(first * width, (first + count) * width);
        const values =
          part instanceof Float32Array || part instanceof Float64Array
            ? part
            : Float64Array.from(part as ArrayLike<number | bigint>, Number);
        const indices = Float64Array.from({ length: count }, (_, i) => first + i);
        yield { rows: count, values, indices, fields: {} };
      }
    },
    unreadable: () => 0,
    close: async () => {},
  };
}

function ofLists(lists: readonly ArrayLike<number>[], name: string): OpenInput {
  const width = lists[0]?.length ?? 0;
  if (width === 0)
    throw new RangeError(`${name}: expected a list of vectors, got ${lists.length} of length 0`);
  const data = new Float64Array(lists.length * width);
  lists.forEach((list, row) => {
    if (list.length !== width) {
      throw new RangeError(
        `${name}: row ${row} has ${list.length} numbers, expected ${width} as in row 0: all vectors of a set have one width`,
      );
    }
    for (let k = 0; k < width; k++) data[row * width + k] = Number(list[k]);
  });
  return ofMatrix({ dtype: "float64", shape: [lists.length, width], data }, name);
}

/** Without its ending, unless so little is left ("a") that a sentence would not show it for a name. */
function fileName(path: string): string {
  const stem = basename(path, extname(path));
  return stem.length < 3 ? basename(path) : stem;
}

/**
 * Opens a set of vectors.
 *
 * @param fallback  its name where neither the caller nor a file gives one
 * @throws VectorFileError for a file that cannot be read; RangeError for arrays that are no matrix
 */
export async function openInput(
  input: VectorInput,
  fallback: string,
  given: string | undefined,
  place: VectorPlace & { readonly fields?: readonly string[] },
): Promise<OpenInput> {
  if (typeof input === "string") {
    const source = await openVectors(input, { ...place, zeros: "keep" });
    return ofSource(source, given ?? fileName(input), true, input);
  }
  if (isNDArray(input)) return ofMatrix(input, given ?? fallback);
  if (isSource(input)) return ofSource(input, given ?? fileName(input.name), false, null);
  if (Array.isArray(input)) return ofLists(input, given ?? fallback);
  throw new RangeError(
    `${given ?? fallback}: expected a path, a VectorSource, an NDArray [rows, width] or a list of vectors, got ${input === null ? "null" : typeof input}`,
  );
}
