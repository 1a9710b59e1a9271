import { add, compile, matmul, mul, type NDArray, type Tensor, topK, where } from "@concord/tensor";
import { Best } from "./candidates.ts";
import {
  checkMatrix,
  checkSearch,
  type FloatRows,
  type SearchOptions,
  type SearchResult,
} from "./results.ts";

export const SEARCH_METRICS = ["cosine", "dot", "euclidean"] as const;
export type SearchMetric = (typeof SEARCH_METRICS)[number];

export interface ExactIndexOptions {
  /** Default "cosine". */
  readonly metric?: SearchMetric;
  /** Threads of the engine; by default the number of cores. */
  readonly threads?: number;
}

/** Rows that are searched by comparing every one of them. Close it when done. */
export interface ExactIndex extends AsyncDisposable {
  /** N */
  readonly size: number;
  /** D */
  readonly width: number;
  readonly metric: SearchMetric;
  /**
   * The k best rows for each query, exactly, in the order of their scores in double precision.
   *
   * @param queries  [Q, D] or [D]
   * @throws RangeError when queries have another width or values that are not finite, or k or the mask do not fit
   */
  search(queries: FloatRows, options?: SearchOptions): Promise<SearchResult>;
  /** Adds rows [M, D] at the end; their indices start at the former size. */
  append(rows: FloatRows): void;
  /** Replaces the rows [first, first + M). @throws RangeError when they reach beyond the end */
  update(first: number, rows: FloatRows): void;
  /** Frees the engine's graphs, those of searches under way after them; a later search makes new ones. */
  close(): Promise<void>;
}

/** Rows that go through the engine at a time: enough to keep it busy, few enough that what it makes is small. */
const BLOCK_ROWS = 16_384;
const LEAST_BLOCK_ROWS = 256;
/** Numbers of queries of one run; others are filled up, because each number is a graph of its own. */
const QUERY_SIZES = [1, 8, 64] as const;
/** Candidates beyond k that float32 proposes, for float64 to choose among. */
const SPARE = 16;
/** Candidates of one block that the engine sorts; beyond, all scores are looked at. */
const MAX_PROPOSED = 512;
/** Half the distance of 1 to the next float32. */
const UNIT = 2 ** -24;

interface Block {
  /** Index of its first row. */
  readonly start: number;
  /** C, the rows that it has room for. */
  readonly capacity: number;
  /** [C, D], zeros after the last row. */
  readonly rows: NDArray<"float32">;
  /** [C]: by what products are multiplied; 1 / ‖x‖ for cosines, 0 for rows of length 0. */
  readonly scales: NDArray<"float32">;
  /** [C]: what is added then; -‖x‖² / 2 for Euclidean distances. */
  readonly offsets: NDArray<"float32">;
}

/**
 * An index that finds the nearest rows by comparing every row, in the engine, block by block:
 *
 *   cosine      x·q / (‖x‖ ‖q‖), 0 where a length is 0
 *   dot         x·q
 *   euclidean   ‖x - q‖
 *
 * Products are made in float32. Their rounding errors are bounded by γ ‖x‖ ‖q‖ with γ = (D + 4) 2⁻²⁴, so rows that
 * they cannot tell apart at the k-th place are compared in float64: results and their order are those of float64, and
 * of equal rows the first comes first. Memory: a copy of the rows, and 16,384 scores a query.
 *
 *   await using index = createExactIndex(rows, { metric: "cosine" });
 *   const { indices, scores } = await index.search(query, { k: 5 });
 *
 * @param rows  [N, D]; N may be 0
 * @throws RangeError when rows are no matrix or hold values that are not finite
 */
export function createExactIndex(rows: FloatRows, options: ExactIndexOptions = {}): ExactIndex {
  const { metric = "cosine", threads } = options;
  if (!SEARCH_METRICS.includes(metric))
    throw new RangeError(`createExactIndex: metric must be ${SEARCH_METRICS.join(", ")}, got ${metric}`);
  const width = rows.shape[1];
  if (rows.shape.length !== 2 || width === undefined || width < 1)
    throw new RangeError(`createExactIndex: rows must have shape [N, D], got [${rows.shape.join(", ")}]`);
  return new Exact(width, metric, threads, rows);
}

/** Scores of rows [C, D] for queries [Q, D], -∞ for rows that must not be found. */
function maskedScores(q: Tensor, x: Tensor, scales: Tensor, offsets: Tensor, allowed: Tensor): Tensor {
  const products = matmul(q, x, { transposeB: true });
  return where(allowed, add(mul(products, scales), offsets), Number.NEGATIVE_INFINITY);
}

/** Functions that find the n best rows of a block, one for each n: it is a part of their graphs. */
function proposers(options: { readonly threads?: number }) {
  const make = (n: number) =>
    compile((...inputs: Parameters<typeof maskedScores>) => topK(maskedScores(...inputs), n), {
      ...options,
      name: "nearest rows",
    });
  const made = new Map<number, ReturnType<typeof make>>();
  return {
    of(n: number) {
      const known = made.get(n) ?? make(n);
      made.set(n, known);
      return known;
    },
    close: () => Promise.all([...made.values()].map((each) => each.close())),
  };
}

function lengthOf(row: Float32Array | Float64Array): number {
  let squares = 0;
  for (const value of row) squares += value * value;
  return Math.sqrt(squares);
}

class Exact implements ExactIndex {
  readonly width: number;
  readonly metric: SearchMetric;
  size = 0;
  readonly #blocks: Block[] = [];
  /** Where Euclidean distances are measured from, so that products lose little to rounding: the first rows' mean. */
  readonly #centre: Float64Array;
  #longest = 0;
  readonly #propose: ReturnType<typeof proposers>;
  readonly #score: ReturnType<typeof compile<Parameters<typeof maskedScores>, Tensor>>;

  constructor(width: number, metric: SearchMetric, threads: number | undefined, rows: FloatRows) {
    this.width = width;
    this.metric = metric;
    const options = threads === undefined ? {} : { threads };
    this.#score = compile(maskedScores, { ...options, name: "scores of a search" });
    this.#propose = proposers(options);
    this.#centre = new Float64Array(width);
    if (metric === "euclidean") {
      const count = checkMatrix("createExactIndex", "rows", rows, width);
      for (let i = 0; i < rows.data.length; i++)
        this.#centre[i % width] = (this.#centre[i % width] as number) + (rows.data[i] as number) / count;
    }
    this.#add("createExactIndex", rows);
  }

  append(rows: FloatRows): void {
    this.#add("append", rows);
  }

  #add(operation: string, rows: FloatRows): void {
    const count = checkMatrix(operation, "rows", rows, this.width);
    const first = this.size;
    for (;;) {
      const last = this.#blocks.at(-1);
      const room = last === undefined ? 0 : last.start + last.capacity;
      if (room >= first + count) break;
      this.#blocks.push(this.#emptyBlock(room, Math.max(first + count - room, first)));
    }
    for (let i = 0; i < count; i++) this.#write(first + i, rows, i);
    this.size += count;
  }

  update(first: number, rows: FloatRows): void {
    const count = checkMatrix("update", "rows", rows, this.width);
    if (!Number.isInteger(first) || first < 0 || first + count > this.size)
      throw new RangeError(
        `update: rows ${first} to ${first + count} are not within the ${this.size} of the index`,
      );
    for (let i = 0; i < count; i++) this.#write(first + i, rows, i);
  }

  /** Blocks have few sizes, each of which is a graph. */
  #emptyBlock(start: number, rows: number): Block {
    const capacity = Math.min(BLOCK_ROWS, Math.max(LEAST_BLOCK_ROWS, powerOfTwo(rows)));
    const data = new Float32Array(capacity * this.width);
    return {
      start,
      capacity,
      rows: { dtype: "float32", shape: [capacity, this.width], data },
      scales: { dtype: "float32", shape: [capacity], data: new Float32Array(capacity).fill(1) },
      offsets: { dtype: "float32", shape: [capacity], data: new Float32Array(capacity) },
    };
  }

  #blockOf(index: number): Block {
    // No block is larger, so the right one is never before this one.
    let at = Math.floor(index / BLOCK_ROWS);
    while ((this.#blocks[at + 1]?.start ?? Number.POSITIVE_INFINITY) <= index) at++;
    return this.#blocks[at] as Block;
  }

  #write(index: number, rows: FloatRows, from: number): void {
    const block = this.#blockOf(index);
    const at = index - block.start;
    const { width } = this;
    const target = block.rows.data.subarray(at * width, (at + 1) * width);
    target.set(this.#centred(rows.data.subarray(from * width, (from + 1) * width)));
    const length = lengthOf(target);
    if (!Number.isFinite(Math.fround(length * length)))
      throw new RangeError(
        `row ${from} has a length of ${length}, whose square float32 cannot hold; scale the rows`,
      );
    const scale = this.metric !== "cosine" ? 1 : length > 0 ? 1 / length : 0;
    block.scales.data[at] = scale;
    block.offsets.data[at] = this.metric === "euclidean" ? -(length * length) / 2 : 0;
    this.#longest = Math.max(this.#longest, length * scale);
  }

  /** A row or query as distances are measured. */
  #centred(row: Float32Array | Float64Array): Float64Array {
    const centred = Float64Array.from(row);
    return this.metric === "euclidean"
      ? centred.map((value, d) => value - (this.#centre[d] as number))
      : centred;
  }

  /** A query as it is compared: at length 1 for cosines. */
  #asQuery(row: Float32Array | Float64Array): Float64Array {
    const query = this.#centred(row);
    // Rounded as the rows are, so that a row is at distance 0 from itself.
    if (this.metric === "euclidean") return query.map(Math.fround);
    const length = lengthOf(query);
    return this.metric === "cosine" && length > 0 ? query.map((value) => value / length) : query;
  }

  async search(queries: FloatRows, options: SearchOptions = {}): Promise<SearchResult> {
    const count = checkMatrix("search", "queries", queries, this.width);
    const k = checkSearch("search", this.size, options);
    const result = { k, indices: new Int32Array(count * k), scores: new Float32Array(count * k) };
    if (k === 0) return result;
    for (let first = 0; first < count; ) {
      const left = count - first;
      const size = QUERY_SIZES.find((each) => each >= left) ?? (QUERY_SIZES.at(-1) as number);
      const placed = Array.from({ length: Math.min(size, left) }, (_, i) => {
        const at = (first + i) * this.width;
        const query = this.#asQuery(queries.data.subarray(at, at + this.width));
        if (!Number.isFinite(Math.fround(lengthOf(query) * this.#longest)))
          throw new RangeError(`search: query ${first + i} is too long for products in float32; scale it`);
        return query;
      });
      await this.#searchBatch(placed, size, first, options.mask, result);
      first += placed.length;
    }
    return result;
  }

  async #searchBatch(
    queries: readonly Float64Array[],
    size: number,
    first: number,
    mask: Uint8Array | undefined,
    result: SearchResult,
  ): Promise<void> {
    const { k } = result;
    const wanted = k + SPARE;
    const proposed = powerOfTwo(wanted);
    const q: NDArray<"float32"> = {
      dtype: "float32",
      shape: [size, this.width],
      data: new Float32Array(size * this.width),
    };
    for (const [i, query] of queries.entries()) q.data.set(query, i * this.width);
    const candidates = queries.map(() => new Best(wanted));
    const whole = proposed > MAX_PROPOSED;
    for (const block of this.#blocks) {
      const { start } = block;
      const allowed = this.#allowed(block, mask);
      if (allowed === null) continue;
      if (whole) {
        const scores = (await this.#score(q, block.rows, block.scales, block.offsets, allowed))
          .data as Float32Array;
        forEachScore(scores, queries.length, block, (i, index, score) => candidates[i]?.add(score, index));
      } else {
        const each = Math.min(proposed, block.capacity);
        const { values, indices } = await this.#propose.of(each)(
          q,
          block.rows,
          block.scales,
          block.offsets,
          allowed,
        );
        for (let i = 0; i < queries.length * each; i++) {
          const best = candidates[Math.floor(i / each)] as Best;
          const score = values.data[i] as number;
          if (score >= best.worst && score > Number.NEGATIVE_INFINITY)
            best.add(score, start + Number(indices.data[i]));
        }
      }
    }
    for (const [i, query] of queries.entries()) {
      const best = await this.#settle(query, candidates[i] as Best, k, mask);
      best.write(result.indices, result.scores, (first + i) * k, this.metric === "euclidean" ? -1 : 1);
    }
  }

  /** Which rows of a block may be found; null when none may. */
  #allowed({ start, capacity }: Block, mask: Uint8Array | undefined): NDArray<"bool"> | null {
    const data = new Uint8Array(capacity);
    const end = Math.min(capacity, this.size - start);
    if (mask === undefined) data.fill(1, 0, end);
    else for (let i = 0; i < end; i++) data[i] = Number(mask[start + i] !== 0);
    return data.includes(1) ? { dtype: "bool", shape: [capacity], data } : null;
  }

  /** The k best by float64 among the candidates of float32, and among all rows that rounding may have left out. */
  async #settle(
    query: Float64Array,
    candidates: Best,
    k: number,
    mask: Uint8Array | undefined,
  ): Promise<Best> {
    const best = new Best(k);
    for (const [index] of candidates.entries()) best.add(this.#exact(query, index), index);
    // Rows that were left out score at most `candidates.worst` in float32; the k-th has to stand clear of that.
    const tolerance = 2 * (this.width + 4) * UNIT * this.#longest * (lengthOf(query) + this.#longest);
    const kth = Math.min(...[...best.entries()].map(([index]) => this.#rough(query, index)));
    if (candidates.worst < kth - tolerance) return best;
    const all = new Best(k);
    const needed = kth - tolerance;
    const q: NDArray<"float32"> = {
      dtype: "float32",
      shape: [1, this.width],
      data: Float32Array.from(query),
    };
    for (const block of this.#blocks) {
      const allowed = this.#allowed(block, mask);
      if (allowed === null) continue;
      const scores = (await this.#score(q, block.rows, block.scales, block.offsets, allowed))
        .data as Float32Array;
      forEachScore(scores, 1, block, (_, index, score) => {
        if (score >= needed) all.add(this.#exact(query, index), index);
      });
    }
    return all;
  }

  #row(index: number): Float32Array {
    const { start, rows } = this.#blockOf(index);
    const at = (index - start) * this.width;
    return rows.data.subarray(at, at + this.width);
  }

  /** What float32 computes, in float64: x·q, x·q / ‖x‖ or x·q - ‖x‖² / 2. */
  #rough(query: Float64Array, index: number): number {
    const row = this.#row(index);
    let sum = 0;
    for (let d = 0; d < row.length; d++) sum += (row[d] as number) * (query[d] as number);
    if (this.metric === "dot") return sum;
    const length = lengthOf(row);
    if (this.metric === "euclidean") return sum - length ** 2 / 2;
    return length > 0 ? sum / length : 0;
  }

  /** The score by which results are ordered, higher first. */
  #exact(query: Float64Array, index: number): number {
    if (this.metric !== "euclidean") return this.#rough(query, index);
    const row = this.#row(index);
    let squares = 0;
    for (let d = 0; d < row.length; d++) squares += ((row[d] as number) - (query[d] as number)) ** 2;
    return -Math.sqrt(squares);
  }

  async close(): Promise<void> {
    await Promise.all([this.#propose.close(), this.#score.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}

/** Scores of rows that may be found, of the first queries of [Q, C]. */
function forEachScore(
  scores: Float32Array,
  queries: number,
  { start, capacity }: Block,
  visit: (query: number, index: number, score: number) => void,
): void {
  for (let query = 0; query < queries; query++) {
    for (let row = 0; row < capacity; row++) {
      const score = scores[query * capacity + row] as number;
      if (score > Number.NEGATIVE_INFINITY) visit(query, start + row, score);
    }
  }
}
