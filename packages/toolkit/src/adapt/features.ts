import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { NDArray } from "@concord/tensor";
import type { Encoder, EncoderItem, ItemProblem } from "../encoders/encoder.ts";
import type { FeatureCache } from "./feature-cache.ts";
import { itemDigest } from "./feature-cache.ts";

/** Items that go to the encoder, and into the cache, together: what a kill can cost. */
const CHUNK = 256;

export interface FeatureProgress {
  readonly done: number;
  readonly total: number;
  /** Items that the cache had. */
  readonly cached: number;
}

export interface ComputedFeatures {
  /** [items, D]; rows of items with problems are zero. */
  readonly values: Float32Array;
  readonly width: number;
  /** Hexadecimal digest of each item; empty for those that cannot be read. */
  readonly digests: readonly string[];
  readonly problems: readonly ItemProblem[];
  /** Different items that the encoder had to compute. */
  readonly computed: number;
  /** Different items that the cache had. */
  readonly cached: number;
  /** Seconds of the encoder alone. */
  readonly seconds: number;
}

/** What an item is, by its content: a file that moved is the same item, one that changed is another. */
async function digestOf(item: EncoderItem): Promise<Uint8Array> {
  if ("text" in item) return itemDigest("text", item.text);
  if ("path" in item) return itemDigest("file", await readFile(item.path));
  if ("bytes" in item) return itemDigest("file", item.bytes);
  if ("samples" in item) {
    const { buffer, byteOffset, byteLength } = item.samples;
    return itemDigest(`samples ${item.sampleRate}`, new Uint8Array(buffer, byteOffset, byteLength));
  }
  if ("volume" in item) {
    const { volume, spacing = [1, 1, 1] } = item;
    const { buffer, byteOffset, byteLength } = volume.data;
    return itemDigest(
      `volume ${volume.shape.join("x")} ${spacing.join("x")}`,
      new Uint8Array(buffer, byteOffset, byteLength),
    );
  }
  const vector = Float32Array.from(item.vector);
  return itemDigest("vector", new Uint8Array(vector.buffer));
}

function readFailure(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ENOENT" ? "the file does not exist" : `the file cannot be read (${code ?? message})`;
}

/**
 * The vectors of items by a frozen encoder, each different item computed once and kept in the cache. Items go to the
 * encoder in chunks of fixed order and a chunk is kept whole, so that a run that was killed gets the same bits as one
 * that was not.
 */
export async function computeFeatures(
  encoder: Encoder,
  items: readonly EncoderItem[],
  cache: FeatureCache,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (progress: FeatureProgress) => void } = {},
): Promise<ComputedFeatures> {
  const { signal, onProgress } = options;
  const { width } = encoder;
  const values = new Float32Array(items.length * width);
  const digests: string[] = [];
  const problems: ItemProblem[] = [];
  /** The places of each different item. */
  const places = new Map<string, number[]>();
  const raw = new Map<string, Uint8Array>();
  for (const [index, item] of items.entries()) {
    signal?.throwIfAborted();
    try {
      const digest = await digestOf(item);
      const name = Buffer.from(digest).toString("hex");
      digests.push(name);
      const known = places.get(name);
      if (known) known.push(index);
      else {
        places.set(name, [index]);
        raw.set(name, digest);
      }
    } catch (error) {
      digests.push("");
      problems.push({ index, reason: readFailure(error) });
    }
  }
  const place = (name: string, vector: Float32Array): void => {
    for (const index of places.get(name) as number[]) values.set(vector, index * width);
  };
  const different = [...places.keys()];
  let [computed, cached, seconds] = [0, 0, 0];
  for (let start = 0; start < different.length; start += CHUNK) {
    signal?.throwIfAborted();
    const missing: string[] = [];
    for (const name of different.slice(start, start + CHUNK)) {
      const vector = cache.get(raw.get(name) as Uint8Array);
      if (vector) {
        place(name, vector);
        cached++;
      } else missing.push(name);
    }
    if (missing.length > 0) {
      const began = performance.now();
      const batch = missing.map((name) => items[(places.get(name) as number[])[0] as number] as EncoderItem);
      const encoded = await encoder.encode(batch, signal ? { signal } : {});
      seconds += (performance.now() - began) / 1000;
      const fresh = encoded.rows.map((row, i): [Uint8Array, Float32Array] => {
        const name = missing[row] as string;
        return [raw.get(name) as Uint8Array, encoded.values.slice(i * width, (i + 1) * width)];
      });
      cache.put(fresh);
      // Another process may have been first, with other last bits from another batch: what is kept counts.
      for (const [i, row] of encoded.rows.entries()) {
        const [digest, vector] = fresh[i] as [Uint8Array, Float32Array];
        place(missing[row] as string, cache.get(digest) ?? vector);
      }
      computed += fresh.length;
      for (const { index, reason } of encoded.problems)
        for (const at of places.get(missing[index] as string) as number[])
          problems.push({ index: at, reason });
    }
    onProgress?.({ done: Math.min(start + CHUNK, different.length), total: different.length, cached });
  }
  problems.sort((a, b) => a.index - b.index);
  return { values, width, digests, problems, computed, cached, seconds };
}

/** One digest of everything that a run's data are, for recognising the same request. */
export function digestOfAll(parts: Iterable<string | Uint8Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/** A digest of each row of a matrix: equal rows have equal ones. */
export function rowDigests({ shape, data }: NDArray<"float32">): string[] {
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: rows }, (_, row) =>
    createHash("sha1")
      .update(new Uint8Array(data.buffer, data.byteOffset + 4 * row * width, 4 * width))
      .digest("base64"),
  );
}
