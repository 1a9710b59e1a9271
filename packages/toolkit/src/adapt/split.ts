import { compile, foldIn, type Key, matmul, type NDArray, permutation, type Tensor } from "@concord/tensor";
import { AdaptDataError } from "./errors.ts";

/** Cosine of centred vectors from which two items count as nearly the same. */
export const NEAR_DUPLICATE = 0.999;
/** Above so many rows near-duplicates are not looked for: it takes the product of all pairs. */
export const MAX_COMPARED_ROWS = 20_000;
/** A group with a greater share of the rows could not be put on one side of a split. */
const MAX_GROUP_SHARE = 0.1;
const TILE = 512;

class Union {
  readonly #parent: Uint32Array;

  constructor(count: number) {
    this.#parent = Uint32Array.from({ length: count }, (_, i) => i);
  }

  find(i: number): number {
    let root = i;
    while (this.#parent[root] !== root) root = this.#parent[root] as number;
    for (let at = i; at !== root; ) {
      const next = this.#parent[at] as number;
      this.#parent[at] = root;
      at = next;
    }
    return root;
  }

  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    // The smaller root stays, so that the result does not depend on the order of joining.
    if (x < y) this.#parent[y] = x;
    else this.#parent[x] = y;
  }

  copy(): Union {
    const other = new Union(this.#parent.length);
    other.#parent.set(this.#parent);
    return other;
  }

  /** Numbers of the groups from 0, in the order of their first rows. */
  numbers(): Uint32Array {
    const seen = new Map<number, number>();
    return this.#parent.map((_, i) => {
      const root = this.find(i);
      const number = seen.get(root) ?? seen.size;
      seen.set(root, number);
      return number;
    });
  }
}

/** What may tie rows together: equal names in one list (one for each row), or vectors that nearly agree. */
export interface Tie {
  /** For notes, e.g. "image". */
  readonly name: string;
  /** Always kept, however large the groups become; for what the user named. */
  readonly forced?: boolean;
  readonly equal?: readonly string[];
  /** [rows, D] */
  readonly vectors?: NDArray<"float32">;
}

export interface Groups {
  /** Group of each row. */
  readonly of: Uint32Array;
  readonly count: number;
  /** What was and was not done, for people. */
  readonly notes: readonly string[];
}

/** Pairs of rows whose cosine is at least `NEAR_DUPLICATE`, measured from the mean, so that a narrow cone is no crowd of twins. */
async function nearDuplicates(
  vectors: NDArray<"float32">,
  visit: (i: number, j: number) => void,
): Promise<void> {
  const [count, width] = vectors.shape as [number, number];
  const unit = new Float32Array(Math.ceil(count / TILE) * TILE * width);
  const centre = new Float64Array(width);
  vectors.data.forEach((value, at) => {
    centre[at % width] = (centre[at % width] as number) + value / count;
  });
  for (let i = 0; i < count; i++) {
    const row = unit.subarray(i * width, (i + 1) * width);
    let squares = 0;
    for (let k = 0; k < width; k++) {
      row[k] = (vectors.data[i * width + k] as number) - (centre[k] as number);
      squares += (row[k] as number) ** 2;
    }
    const factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let k = 0; k < width; k++) row[k] = (row[k] as number) * factor;
  }
  const tile = (start: number): NDArray<"float32"> => ({
    dtype: "float32",
    shape: [TILE, width],
    data: unit.subarray(start * width, (start + TILE) * width),
  });
  const products = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeB: true }));
  try {
    for (let left = 0; left < count; left += TILE) {
      for (let right = left; right < count; right += TILE) {
        const { data } = await products(tile(left), tile(right));
        for (let at = 0; at < data.length; at++) {
          if (!((data[at] as number) >= NEAR_DUPLICATE)) continue;
          const [i, j] = [left + Math.floor(at / TILE), right + (at % TILE)];
          if (i < j && j < count) visit(i, j);
        }
      }
    }
  } finally {
    await products.close();
  }
}

function largest(groups: Uint32Array): number {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  return Math.max(...sizes.values());
}

/**
 * Puts rows that must not be parted by a split into groups: rows that share an item, rows whose vectors nearly agree,
 * rows that the user says belong together. A tie that would make one group of much of the data (the same ten captions
 * over and over) is left out, and said so.
 */
export async function groupRows(count: number, ties: readonly Tie[]): Promise<Groups> {
  let union = new Union(count);
  const notes: string[] = [];
  for (const { name, forced = false, equal, vectors } of ties) {
    const next = union.copy();
    let pairs = 0;
    if (equal) {
      const first = new Map<string, number>();
      equal.forEach((value, row) => {
        const known = first.get(value);
        if (known === undefined) first.set(value, row);
        else {
          next.join(known, row);
          pairs++;
        }
      });
    }
    if (vectors && count > MAX_COMPARED_ROWS) {
      notes.push(
        `Near-duplicates of ${name} were not looked for among ${count} rows (more than ${MAX_COMPARED_ROWS}); rows of equal items stay together.`,
      );
    } else if (vectors) {
      await nearDuplicates(vectors, (i, j) => {
        if (next.find(i) === next.find(j)) return;
        next.join(i, j);
        pairs++;
      });
    }
    const most = pairs === 0 ? 1 : largest(next.numbers());
    if (!forced && most > Math.max(20, MAX_GROUP_SHARE * count)) {
      notes.push(
        `Rows that share ${name} are not kept together in the split: ${most} of ${count} rows would be one group.`,
      );
      continue;
    }
    union = next;
  }
  const of = union.numbers();
  return { of, count: of.reduce((most, group) => Math.max(most, group + 1), 0), notes };
}

export interface Split {
  readonly train: Uint32Array;
  /** Rows that choose the best step. */
  readonly validation: Uint32Array;
  /** Rows that nothing but the final report sees. */
  readonly heldOut: Uint32Array;
}

/**
 * Parts rows into training, validation and held-out ones; a group stays on one side.
 *
 * @param shares  of the rows, each in (0, 0.5)
 * @throws AdaptDataError when a part would have fewer groups than it needs
 */
export function splitRows(
  key: Key,
  groups: Pick<Groups, "of" | "count">,
  shares: { readonly validation: number; readonly heldOut: number },
): Split {
  const members: number[][] = Array.from({ length: groups.count }, () => []);
  groups.of.forEach((group, row) => {
    (members[group] as number[]).push(row);
  });
  const order = permutation(foldIn(key, 0), groups.count);
  const rows = groups.of.length;
  const parts: { heldOut: number[]; validation: number[]; train: number[] } = {
    heldOut: [],
    validation: [],
    train: [],
  };
  const counts = { heldOut: 0, validation: 0, train: 0 };
  for (const group of order) {
    const part =
      parts.heldOut.length < shares.heldOut * rows
        ? "heldOut"
        : parts.validation.length < shares.validation * rows
          ? "validation"
          : "train";
    parts[part].push(...(members[group] as number[]));
    counts[part]++;
  }
  const few = Object.entries(counts).find(([, count]) => count < 2);
  if (few) {
    throw new AdaptDataError(
      `${rows} rows in ${groups.count} groups are too few: training, validation and held-out part need at least two groups each (${few[0]} got ${few[1]})`,
    );
  }
  const sorted = (list: readonly number[]): Uint32Array => Uint32Array.from(list).sort();
  return { train: sorted(parts.train), validation: sorted(parts.validation), heldOut: sorted(parts.heldOut) };
}

/** At most so many of the rows, evenly spread. */
export function spread(rows: Uint32Array, most: number): Uint32Array {
  if (rows.length <= most) return rows;
  return Uint32Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)] as number);
}
