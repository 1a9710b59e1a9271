import { bitsAt, compile, type Key, matmul, type NDArray, type Tensor } from "@concord/tensor";

/** Some rows of a set, in order. */
export interface RowBlock {
  /** Number of rows. */
  readonly rows: number;
  /** [rows, D] */
  readonly values: Float32Array | Float64Array;
  /** [rows] number of each row in its set; two rows of two paired sets belong together when these are equal. */
  readonly indices: ArrayLike<number>;
}

export interface CollectOptions {
  readonly name: string;
  /** Decides which rows are sampled, by their numbers alone: two sets collected with one key sample the same rows. */
  readonly key: Key;
  /** Rows to keep. Default 100 000, and at most what 1 GiB holds. */
  readonly sample?: number;
  /** Keep these rows instead of a random sample. */
  readonly wanted?: ReadonlySet<number>;
  /** Called after each block with the number of rows seen. */
  readonly onRows?: (rows: number) => void;
  readonly signal?: AbortSignal;
}

/** What one pass over a set leaves: sums over all rows, and some of the rows. All of rows scaled to length 1. */
export interface CollectedSet {
  readonly name: string;
  readonly width: number;
  /** Rows that were counted. */
  readonly rows: number;
  readonly skipped: { readonly broken: number; readonly zero: number };
  /** [n, D] the sampled rows at length 1, by their numbers. */
  readonly sample: NDArray<"float32">;
  /** [n] number of each sampled row in its set, ascending. */
  readonly indices: Float64Array;
  /** [n] length of each sampled row as it came. */
  readonly norms: Float64Array;
  /** [D] mean of all rows at length 1. */
  readonly mean: Float64Array;
  /** [D, D] covariance of all rows at length 1, over N; null above `MAX_COVARIANCE_WIDTH` dimensions. */
  readonly covariance: Float64Array | null;
  /** Rows by random groups, whose sums stand for the rows where all of them are resampled. */
  readonly groups: RowGroups;
  /** Dimensions with one value in all rows as they came. */
  readonly constantDimensions: number;
  /** Rows that are equal, value for value, to an earlier row as they came. */
  readonly duplicateRows: number;
}

/** Sums of rows in random groups: resampling groups instead of rows gives the same spread of a mean. */
export interface RowGroups {
  /** [G] rows of each group. */
  readonly counts: Float64Array;
  /** [G, D] */
  readonly sums: Float64Array;
}

/** A covariance and its eigenvectors above this width cost more than they tell; a sample stands in. */
export const MAX_COVARIANCE_WIDTH = 1024;
export const GROUPS = 256;
const DEFAULT_SAMPLE = 100_000;
const SAMPLE_BYTES = 2 ** 30;

const squareOfColumns = compile((x: Tensor) => matmul(x, x, { transposeA: true }), { name: "covariance" });
/** Rows of one product. Sums of this many products of components of unit rows lose nothing that matters in float32. */
const CHUNK = 2048;

/** Keeps the `capacity` rows whose numbers have the smallest hashes: a uniform sample, in one pass of unknown length. */
class Reservoir {
  readonly #key: Key;
  readonly #wanted: ReadonlySet<number> | undefined;
  readonly #width: number;
  readonly #capacity: number;
  #values: Float32Array;
  #norms: Float64Array;
  #indices: Float64Array;
  /** Binary heap of slots, the largest hash on top. */
  readonly #heap: number[] = [];
  #hashes: Float64Array;

  constructor(key: Key, width: number, capacity: number, wanted: ReadonlySet<number> | undefined) {
    this.#key = key;
    this.#wanted = wanted;
    this.#width = width;
    this.#capacity = wanted ? wanted.size : capacity;
    const room = Math.min(this.#capacity, 1024);
    this.#values = new Float32Array(room * width);
    this.#norms = new Float64Array(room);
    this.#indices = new Float64Array(room);
    this.#hashes = new Float64Array(room);
  }

  offer(index: number, norm: number, unit: Float32Array): void {
    if (this.#wanted && !this.#wanted.has(index)) return;
    const hash = bitsAt(this.#key, index);
    const held = this.#heap.length;
    if (held < this.#capacity) {
      if (held === this.#norms.length) this.#grow();
      this.#put(held, index, norm, unit, hash);
      this.#heap.push(held);
      this.#rise(held);
      return;
    }
    const top = this.#heap[0];
    if (top === undefined || hash >= (this.#hashes[top] as number)) return;
    this.#put(top, index, norm, unit, hash);
    this.#sink();
  }

  #put(slot: number, index: number, norm: number, unit: Float32Array, hash: number): void {
    this.#values.set(unit, slot * this.#width);
    this.#norms[slot] = norm;
    this.#indices[slot] = index;
    this.#hashes[slot] = hash;
  }

  #grow(): void {
    const room = Math.min(this.#capacity, 2 * this.#norms.length);
    const values = new Float32Array(room * this.#width);
    values.set(this.#values);
    this.#values = values;
    const wider = (old: Float64Array): Float64Array => {
      const fresh = new Float64Array(room);
      fresh.set(old);
      return fresh;
    };
    this.#norms = wider(this.#norms);
    this.#indices = wider(this.#indices);
    this.#hashes = wider(this.#hashes);
  }

  #hashAt(place: number): number {
    return this.#hashes[this.#heap[place] as number] as number;
  }

  #swap(a: number, b: number): void {
    const slot = this.#heap[a] as number;
    this.#heap[a] = this.#heap[b] as number;
    this.#heap[b] = slot;
  }

  #rise(from: number): void {
    for (let place = from; place > 0; ) {
      const parent = (place - 1) >> 1;
      if (this.#hashAt(parent) >= this.#hashAt(place)) return;
      this.#swap(parent, place);
      place = parent;
    }
  }

  #sink(): void {
    const count = this.#heap.length;
    for (let place = 0; ; ) {
      let largest = place;
      for (const child of [2 * place + 1, 2 * place + 2])
        if (child < count && this.#hashAt(child) > this.#hashAt(largest)) largest = child;
      if (largest === place) return;
      this.#swap(place, largest);
      place = largest;
    }
  }

  /** The rows in the order of their numbers. */
  take(): Pick<CollectedSet, "sample" | "indices" | "norms"> {
    const count = this.#heap.length;
    const order = Uint32Array.from({ length: count }, (_, slot) => slot).sort(
      (x, y) => (this.#indices[x] as number) - (this.#indices[y] as number),
    );
    const width = this.#width;
    const sorted = order.every((slot, place) => slot === place);
    let data = this.#values.subarray(0, count * width);
    if (!sorted) {
      data = new Float32Array(count * width);
      order.forEach((slot, place) => {
        data.set(this.#values.subarray(slot * width, (slot + 1) * width), place * width);
      });
    }
    return {
      sample: { dtype: "float32", shape: [count, width], data },
      indices: Float64Array.from(order, (slot) => this.#indices[slot] as number),
      norms: Float64Array.from(order, (slot) => this.#norms[slot] as number),
    };
  }
}

/** A growing list of 53-bit hashes of rows. */
class RowHashes {
  #hashes = new Float64Array(1024);
  #count = 0;

  add(low: number, high: number): void {
    if (this.#count === this.#hashes.length) {
      const wider = new Float64Array(2 * this.#count);
      wider.set(this.#hashes);
      this.#hashes = wider;
    }
    this.#hashes[this.#count++] = (high >>> 11) * 2 ** 32 + (low >>> 0);
  }

  /** Rows whose hash an earlier row had; of 10⁶ different rows two share one with chance 10⁻⁴. */
  repeats(): number {
    const sorted = this.#hashes.subarray(0, this.#count).sort();
    let repeats = 0;
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) repeats++;
    return repeats;
  }
}

/** Sums over rows that all come by once. */
class Moments {
  readonly width: number;
  rows = 0;
  broken = 0;
  zero = 0;
  readonly groups: RowGroups;
  readonly products: Float64Array | null;
  readonly #chunk: Float32Array;
  #filled = 0;
  readonly #first: Float64Array;
  readonly #varies: Uint8Array;
  readonly #hashes = new RowHashes();
  readonly #bits = new Float32Array(1);
  readonly #words = new Int32Array(this.#bits.buffer);
  readonly #groupKey: Key;

  constructor(width: number, key: Key) {
    this.width = width;
    this.groups = { counts: new Float64Array(GROUPS), sums: new Float64Array(GROUPS * width) };
    this.products = width <= MAX_COVARIANCE_WIDTH ? new Float64Array(width * width) : null;
    this.#chunk = new Float32Array(CHUNK * width);
    this.#first = new Float64Array(width);
    this.#varies = new Uint8Array(width);
    this.#groupKey = [key[1], key[0]];
  }

  /** Adds a row; its unit row and length, or null where it has none. */
  add(values: RowBlock["values"], start: number, index: number): { unit: Float32Array; norm: number } | null {
    const { width } = this;
    let squares = 0;
    for (let k = 0; k < width; k++) squares += (values[start + k] as number) ** 2;
    if (!Number.isFinite(squares)) this.broken++;
    else if (squares === 0) this.zero++;
    if (!(squares > 0 && squares < Number.POSITIVE_INFINITY)) return null;
    const norm = Math.sqrt(squares);
    const group = (bitsAt(this.#groupKey, index) % GROUPS) * width;
    const sums = this.groups.sums;
    const unit = this.#chunk.subarray(this.#filled * width, (this.#filled + 1) * width);
    let [low, high] = [0x811c9dc5, 0x9e3779b9];
    for (let k = 0; k < width; k++) {
      const value = values[start + k] as number;
      const scaled = value / norm;
      unit[k] = scaled;
      sums[group + k] = (sums[group + k] as number) + scaled;
      // -0 and 0 are equal values.
      this.#bits[0] = value + 0;
      const word = this.#words[0] as number;
      low = Math.imul(low ^ word, 0x01000193);
      high = Math.imul(high + word, 0x85ebca6b) ^ (high >>> 15);
    }
    this.#hashes.add(low, high);
    const first = this.#first;
    if (this.rows === 0) for (let k = 0; k < width; k++) first[k] = values[start + k] as number;
    else {
      const varies = this.#varies;
      for (let k = 0; k < width; k++) if (values[start + k] !== first[k]) varies[k] = 1;
    }
    const groups = this.groups.counts;
    groups[group / width] = (groups[group / width] as number) + 1;
    this.rows++;
    this.#filled++;
    return { unit, norm };
  }

  /** Whether the rows that `add` gave must be multiplied before the next one. */
  get full(): boolean {
    return this.#filled === CHUNK;
  }

  async flush(): Promise<void> {
    const { products, width } = this;
    if (products && this.#filled > 0) {
      this.#chunk.fill(0, this.#filled * width);
      const chunk = { dtype: "float32" as const, shape: [CHUNK, width], data: this.#chunk };
      const part = (await squareOfColumns(chunk)).data as Float32Array;
      for (let i = 0; i < part.length; i++) products[i] = (products[i] as number) + (part[i] as number);
    }
    this.#filled = 0;
  }

  /** Sums over groups, the covariance and what rows and dimensions repeat. */
  finish(): Pick<CollectedSet, "mean" | "covariance" | "groups" | "constantDimensions" | "duplicateRows"> {
    const { width, rows, products } = this;
    const mean = new Float64Array(width);
    for (let g = 0; g < GROUPS; g++)
      for (let k = 0; k < width; k++)
        mean[k] = (mean[k] as number) + (this.groups.sums[g * width + k] as number) / rows;
    if (products) {
      for (let j = 0; j < width; j++)
        for (let k = 0; k < width; k++)
          products[j * width + k] =
            (products[j * width + k] as number) / rows - (mean[j] as number) * (mean[k] as number);
    }
    return {
      mean,
      covariance: products,
      groups: this.groups,
      constantDimensions: rows > 1 ? this.#varies.reduce((count, varies) => count + 1 - varies, 0) : 0,
      duplicateRows: this.#hashes.repeats(),
    };
  }
}

/**
 * One pass over a set of any size: sums over all rows, and a uniform sample of them. Rows that are not finite, and
 * rows of zeros, which have no direction, are counted and left out. Memory: the sample, D² numbers and 8 bytes a row.
 *
 * @param width   D
 * @param blocks  the rows, in order
 * @throws RangeError when a block does not have the width, or no row is left
 */
export async function collectSet(
  width: number,
  blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>,
  options: CollectOptions,
): Promise<CollectedSet> {
  const { name, key, wanted, onRows, signal } = options;
  const room = Math.floor(SAMPLE_BYTES / (4 * width));
  const reservoir = new Reservoir(key, width, Math.min(options.sample ?? DEFAULT_SAMPLE, room), wanted);
  const moments = new Moments(width, key);
  let seen = 0;
  for await (const block of blocks) {
    signal?.throwIfAborted();
    if (block.values.length !== block.rows * width) {
      throw new RangeError(
        `${name}: a block of ${block.rows} rows has ${block.values.length} values, expected rows of ${width}`,
      );
    }
    for (let row = 0; row < block.rows; row++) {
      const index = block.indices[row] as number;
      const added = moments.add(block.values, row * width, index);
      if (added) reservoir.offer(index, added.norm, added.unit);
      if (moments.full) await moments.flush();
    }
    seen += block.rows;
    onRows?.(seen);
  }
  await moments.flush();
  const { rows, broken, zero } = moments;
  if (rows === 0) {
    throw new RangeError(
      `${name}: no row can be measured: ${broken + zero === 0 ? "none holds finite numbers within the range of 32-bit floats (3.4e38)" : `of ${seen} rows ${broken} are not finite and ${zero} all zero`}`,
    );
  }
  return { name, width, rows, skipped: { broken, zero }, ...reservoir.take(), ...moments.finish() };
}
