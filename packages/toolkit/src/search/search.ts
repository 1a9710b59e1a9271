import {
  createExactIndex,
  createHammingIndex,
  type FloatRows,
  packCodes,
  type SearchMetric,
  type SearchResult,
} from "@concord/align";
import type { FieldValue } from "@concord/data";
import { signCodes } from "../embed/embed.ts";
import { type ApproximateIndex, fileDigest, openApproximateIndex } from "./approximate-index.ts";
import { type ReadVectors, type ReadVectorsOptions, readVectors } from "./read-vectors.ts";

/** From this many vectors on, not all are compared. */
export const EXACT_ROWS = 200_000;

/** What was found. */
export interface SearchHit {
  /** Number of the vector in its file, from 0. */
  readonly index: number;
  /** Similarity; with the metric "euclidean" and with codes, a distance. */
  readonly score: number;
  /** Columns that came with the vector: its text, path, id. */
  readonly fields: Readonly<Record<string, FieldValue>>;
}

export interface CreateSearchOptions extends ReadVectorsOptions {
  /** Default "cosine". */
  readonly metric?: SearchMetric | undefined;
  /** Compare signs only, by the number of those that differ. Files of packed codes are always searched so. */
  readonly hamming?: boolean | undefined;
  /** Compare all vectors, however many there are. Default: up to 200,000. */
  readonly exact?: boolean | undefined;
  /** Told while an index of many vectors is built. */
  readonly onProgress?: ((done: number, rows: number) => void) | undefined;
}

/** Vectors to search for, as `encode` gives them. */
export interface SearchQueries {
  /** [Q, D], row-major. */
  readonly values: Float32Array;
  /** D */
  readonly width: number;
}

/** Vectors that can be searched. Close it when done. */
export interface Search extends AsyncDisposable {
  readonly size: number;
  /** D, numbers of a query; for files of packed codes, the most numbers that a query may have. */
  readonly width: number;
  /** How vectors are compared. */
  readonly kind: "exact" | "approximate" | "hamming";
  /** Rows of the file that could not be read. */
  readonly problems: number;
  /**
   * The k nearest for each query, best first.
   *
   * @throws RangeError when queries have another width or values that are not finite
   */
  search(queries: SearchQueries, options?: { readonly k?: number }): Promise<SearchHit[][]>;
  close(): Promise<void>;
}

/**
 * Opens a file of vectors for searching: exactly, by comparing all of them in the engine, up to 200,000; beyond, by a
 * graph of neighbours that is saved beside the file. Packed codes are compared bit by bit.
 *
 *   await using search = await createSearch("captions.parquet");
 *   const [hits] = await search.search(await encoder.encode([{ text: "a red bicycle" }]), { k: 5 });
 *
 * @param source  path of a `.npy`, `.npz`, safetensors, Parquet, JSONL or CSV file, or what was read from one
 * @throws VectorFileError and Error saying what is wrong with which file; RangeError when there is no vector
 */
export async function createSearch(
  source: string | ReadVectors,
  options: CreateSearchOptions = {},
): Promise<Search> {
  const vectors = typeof source === "string" ? await readVectors(source, options) : source;
  const { values, rows, width, fields, numbers, packed, problems } = vectors;
  if (rows === 0)
    throw new RangeError(`createSearch: ${typeof source === "string" ? source : "source"} has no vector`);
  const names = Object.keys(fields);
  const hits = ({ k, indices, scores }: SearchResult): SearchHit[][] =>
    Array.from({ length: k === 0 ? 0 : indices.length / k }, (_, q) =>
      Array.from({ length: k }, (_, place) => {
        const row = indices[q * k + place] as number;
        return {
          index: numbers[row] as number,
          score: scores[q * k + place] as number,
          fields: Object.fromEntries(names.map((name) => [name, fields[name]?.[row] ?? null])),
        };
      }),
    );
  const common = { size: rows, problems };
  if (packed || options.hamming) {
    const bits = packed ? width * 8 : width;
    const bytes = packed ? Uint8Array.from(values) : signCodes(values, width);
    const index = createHammingIndex({ count: rows, bits, bytes });
    const close = async (): Promise<void> => {};
    return {
      ...common,
      kind: "hamming",
      width: bits,
      async search(queries, { k = 10 } = {}) {
        // Codes of D bits come in whole bytes, so up to 7 numbers may be missing.
        const count = checkQueries(queries, [packed ? bits - 7 : bits, bits]);
        if (count === 0) return [];
        const given = { dtype: "float32", shape: [count, queries.width], data: queries.values } as const;
        return hits(index.search({ count, bits, bytes: packCodes(given).bytes }, { k }));
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
  const metric = options.metric ?? "cosine";
  if (rows > EXACT_ROWS && options.exact !== true) {
    const index: ApproximateIndex = await openApproximateIndex(values, width, {
      metric,
      saveAs: typeof source === "string" ? source : null,
      digest: typeof source === "string" ? await fileDigest(source) : "",
      signal: options.signal,
      onProgress: options.onProgress,
    });
    const close = async (): Promise<void> => {};
    return {
      ...common,
      kind: "approximate",
      width,
      async search(queries, { k = 10 } = {}) {
        checkQueries(queries, [width, width]);
        return hits(index.search(queries.values, k));
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
  const matrix: FloatRows = { dtype: "float32", shape: [rows, width], data: values };
  const index = createExactIndex(matrix, { metric });
  return {
    ...common,
    kind: "exact",
    width,
    async search(queries, { k = 10 } = {}) {
      const count = checkQueries(queries, [width, width]);
      const given = { dtype: "float32", shape: [count, width], data: queries.values } as const;
      return hits(await index.search(given, { k }));
    },
    close: () => index.close(),
    [Symbol.asyncDispose]: () => index.close(),
  };
}

/**
 * How many queries there are.
 *
 * @param widths  numbers that a query may have, from the least to the most
 */
function checkQueries({ values, width }: SearchQueries, [least, most]: readonly [number, number]): number {
  if (!Number.isInteger(width) || width < least || width > most || values.length % width !== 0)
    throw new RangeError(
      `search: queries must have ${least === most ? most : `${least} to ${most}`} numbers each, as the vectors have; got ${values.length} numbers in rows of ${width}`,
    );
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new RangeError(
      `search: query ${Math.floor(bad / width)} has the value ${values[bad]}; only finite values can be compared`,
    );
  return values.length / width;
}

export interface SearchOptions extends CreateSearchOptions {
  /** Path of the vectors, or what was read from it. */
  readonly vectors: string | ReadVectors;
  readonly queries: SearchQueries;
  /** Default 10. */
  readonly k?: number | undefined;
}

/**
 * The k nearest vectors for each query: `createSearch` for one call.
 *
 * @throws as `createSearch` and its `search` do
 */
export async function search({
  vectors,
  queries,
  k = 10,
  ...options
}: SearchOptions): Promise<SearchHit[][]> {
  await using opened = await createSearch(vectors, options);
  return await opened.search(queries, { k });
}
