import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { setImmediate } from "node:timers/promises";
import type { SearchMetric, SearchResult } from "@concord/align";
import { defaultThreads } from "@concord/tensor/environment";
import type { Index, MetricKind, ScalarKind } from "usearch";

/** Loaded on first use, as a CommonJS module: its other form does not load. */
function library(): typeof import("usearch") {
  return createRequire(import.meta.url)("usearch") as typeof import("usearch");
}

/** How the graph of neighbours is made; a saved index of others is made anew. */
const SETTINGS = { connectivity: 16, expansionAdd: 128, expansionSearch: 128, version: 1 } as const;
const ROWS_AT_A_TIME = 4096;

const kinds: Readonly<Record<SearchMetric, string>> = { cosine: "cos", dot: "ip", euclidean: "l2sq" };

/** What is known of a saved index, in a file beside it. */
interface Description {
  readonly vectors: string;
  readonly index: string;
  readonly rows: number;
  readonly width: number;
  readonly metric: SearchMetric;
  readonly settings: typeof SETTINGS;
}

export interface ApproximateIndex {
  /** Whether it was found on disk. */
  readonly loaded: boolean;
  search(queries: Float32Array, k: number): SearchResult;
}

export interface ApproximateOptions {
  readonly metric: SearchMetric;
  /** Path that the saved index begins with; null keeps it in memory. */
  readonly saveAs: string | null;
  /** SHA-256 of what the vectors were read from. */
  readonly digest: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, rows: number) => void) | undefined;
}

export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function emptyIndex(width: number, metric: SearchMetric): Index {
  const { Index: Native } = library();
  return new Native({
    dimensions: width,
    metric: kinds[metric] as MetricKind,
    quantization: "f32" as ScalarKind,
    connectivity: SETTINGS.connectivity,
    expansion_add: SETTINGS.expansionAdd,
    expansion_search: SETTINGS.expansionSearch,
    multi: false,
  });
}

/** A saved index, unless it is of other vectors or settings, or was changed since. */
async function loadSaved(path: string, wanted: Omit<Description, "index">): Promise<Index | null> {
  const text = await readFile(`${path}.json`, "utf8").catch(() => null);
  if (text === null || !(await stat(path).catch(() => null))) return null;
  let index: unknown;
  try {
    const { index: digest, ...rest } = JSON.parse(text) as Description;
    if (JSON.stringify(rest) !== JSON.stringify(wanted)) return null;
    index = digest;
  } catch {
    return null;
  }
  // Native code trusts the file, so only the one that was written here is loaded.
  if ((await fileDigest(path)) !== index) return null;
  const found = emptyIndex(wanted.width, wanted.metric);
  found.load(path);
  return found.size() === wanted.rows ? found : null;
}

async function save(index: Index, path: string, description: Omit<Description, "index">): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    index.save(temporary);
    const whole: Description = { ...description, index: await fileDigest(temporary) };
    await rename(temporary, path);
    await writeFile(temporary, `${JSON.stringify(whole)}\n`);
    await rename(temporary, `${path}.json`);
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * An index that walks a graph of neighbours (HNSW, by usearch): a small part of the rows is compared, and a few of the
 * nearest may be missed. Building takes a while; the index is saved beside the vectors and found there next time, if
 * neither has changed.
 *
 * @param rows   [N, D]
 * @source Malkov & Yashunin 2018
 */
export async function openApproximateIndex(
  rows: Float32Array,
  width: number,
  { metric, saveAs, digest, signal, onProgress }: ApproximateOptions,
): Promise<ApproximateIndex> {
  const count = rows.length / width;
  const description = { vectors: digest, rows: count, width, metric, settings: SETTINGS };
  const path = saveAs === null ? null : `${saveAs}.${metric}.usearch`;
  const saved = path === null ? null : await loadSaved(path, description);
  const index = saved ?? emptyIndex(width, metric);
  if (saved === null) {
    for (let first = 0; first < count; first += ROWS_AT_A_TIME) {
      signal?.throwIfAborted();
      const end = Math.min(count, first + ROWS_AT_A_TIME);
      const keys = BigUint64Array.from({ length: end - first }, (_, i) => BigInt(first + i));
      index.add(keys, rows.subarray(first * width, end * width), defaultThreads());
      onProgress?.(end, count);
      // Lets signals through.
      await setImmediate();
    }
    if (path !== null) await save(index, path, description);
  }
  return {
    loaded: saved !== null,
    search(queries, k) {
      const number = queries.length / width;
      const most = Math.min(k, count);
      const indices = new Int32Array(number * most);
      const scores = new Float32Array(number * most);
      for (let q = 0; q < number; q++) {
        const query = queries.subarray(q * width, (q + 1) * width);
        const { keys } = index.search(query, most, 1);
        const found = Array.from(keys, (key) => {
          const place = Number(key);
          return { place, score: scoreOf(query, rows.subarray(place * width, (place + 1) * width), metric) };
        });
        const sign = metric === "euclidean" ? 1 : -1;
        found.sort((a, b) => sign * (a.score - b.score) || a.place - b.place);
        for (const [i, { place, score }] of found.entries()) {
          indices[q * most + i] = place;
          scores[q * most + i] = score;
        }
      }
      return { k: most, indices, scores };
    },
  };
}

/** Found rows are scored anew, so that scores are the same as those of an exact search. */
function scoreOf(query: Float32Array, row: Float32Array, metric: SearchMetric): number {
  let [dot, squares, own, other] = [0, 0, 0, 0];
  for (let d = 0; d < row.length; d++) {
    const [a, b] = [query[d] as number, row[d] as number];
    dot += a * b;
    squares += (a - b) ** 2;
    own += a * a;
    other += b * b;
  }
  if (metric === "dot") return dot;
  if (metric === "euclidean") return Math.sqrt(squares);
  return own > 0 && other > 0 ? dot / Math.sqrt(own * other) : 0;
}
