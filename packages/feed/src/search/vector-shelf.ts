import { createExactIndex, type ExactIndex } from "@concord/align";
import type { VectorBatch } from "../store/ports.ts";
import type { ScoredId } from "./fusion.ts";

/** Papers that stand for those of no known taste. */
const SAMPLE = 384;

/** The vectors of one version in memory, by paper. Close it when done. */
export class VectorShelf implements AsyncDisposable {
  readonly version: string;
  readonly width: number;
  /** Position in the store up to which vectors are here. */
  position = 0;
  readonly #index: ExactIndex;
  readonly #ids: string[] = [];
  readonly #rows = new Map<string, number>();
  readonly #sample: Float32Array[] = [];

  constructor(version: string, width: number, threads: number) {
    this.version = version;
    this.width = width;
    this.#index = createExactIndex(matrix(new Float32Array(0), width), { metric: "dot", threads });
  }

  get size(): number {
    return this.#ids.length;
  }

  /** Takes in what was put since `position`: papers that are new, and new vectors of known ones. */
  add({ ids, vectors, position }: VectorBatch): void {
    const { width } = this;
    const row = (i: number) => vectors.slice(i * width, (i + 1) * width);
    const fresh: number[] = [];
    ids.forEach((id, i) => {
      const known = this.#rows.get(id);
      if (known !== undefined && known < this.#index.size) this.#index.update(known, matrix(row(i), width));
      else if (known === undefined) {
        this.#rows.set(id, this.#ids.length);
        this.#ids.push(id);
        fresh.push(i);
      }
    });
    const added = new Float32Array(fresh.length * width);
    fresh.forEach((i, at) => {
      added.set(row(i), at * width);
      this.#keepSample(row(i), this.#index.size + at);
    });
    if (fresh.length > 0) this.#index.append(matrix(added, width));
    this.position = position;
  }

  /** Every paper has the same chance to be in the sample; which ones are, is a function of the order alone. */
  #keepSample(row: Float32Array, number: number): void {
    if (this.#sample.length < SAMPLE) this.#sample.push(row);
    else {
      const place = (Math.imul(number, 2_654_435_761) >>> 0) % (number + 1);
      if (place < SAMPLE) this.#sample[place] = row;
    }
  }

  /** Vectors of papers of no known taste. */
  get sample(): readonly Float32Array[] {
    return this.#sample;
  }

  /** Papers by falling inner product with a vector, of those allowed. */
  async nearest(query: Float32Array, limit: number, allowed: Iterable<string> | null): Promise<ScoredId[]> {
    if (this.size === 0) return [];
    const mask = allowed === null ? {} : { mask: this.#maskOf(allowed) };
    const { indices, scores, k } = await this.#index.search(
      { dtype: "float32", shape: [this.width], data: query },
      { k: limit, ...mask },
    );
    return Array.from(indices.subarray(0, k), (row, i) => ({
      id: this.#ids[row] as string,
      score: scores[i] as number,
    }));
  }

  #maskOf(allowed: Iterable<string>): Uint8Array {
    const mask = new Uint8Array(this.size);
    for (const id of allowed) {
      const row = this.#rows.get(id);
      if (row !== undefined) mask[row] = 1;
    }
    return mask;
  }

  close(): Promise<void> {
    return this.#index.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function matrix(data: Float32Array, width: number) {
  return { dtype: "float32", shape: [data.length / width, width], data } as const;
}
