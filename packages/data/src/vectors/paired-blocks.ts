import { type ReadBlocksOptions, type VectorBlock, VectorFileError, type VectorSource } from "./source.ts";

/** Rows that two files both have. */
export interface PairedBlock {
  readonly rows: number;
  /** [rows, width of the first source] */
  readonly a: Float32Array;
  /** [rows, width of the second source] */
  readonly b: Float32Array;
  /** [rows] row numbers in both files, from 0. */
  readonly indices: Float64Array;
}

/** Rows of a source one block at a time, with a place in the block. */
class Cursor {
  readonly source: VectorSource;
  readonly #blocks: AsyncIterator<VectorBlock>;
  block: VectorBlock | undefined;
  at = 0;

  constructor(source: VectorSource, options: ReadBlocksOptions) {
    this.source = source;
    this.#blocks = source.blocks(options)[Symbol.asyncIterator]();
  }

  /** Row number at the place; infinity at the end. */
  async index(): Promise<number> {
    while (this.block === undefined || this.at === this.block.rows) {
      const next = await this.#blocks.next();
      if (next.done) return Number.POSITIVE_INFINITY;
      this.block = next.value;
      this.at = 0;
    }
    return this.block.indices[this.at] as number;
  }

  take(target: Float32Array, row: number): void {
    const { width } = this.source;
    const start = this.at++ * width;
    target.set((this.block as VectorBlock).values.subarray(start, start + width), row * width);
  }

  async close(): Promise<void> {
    await this.#blocks.return?.();
  }
}

/**
 * Row i of one file with row i of the other, for files whose rows belong together. Rows that were skipped in one of
 * them are left out of both.
 *
 * @throws VectorFileError when the files have different numbers of rows: before reading where both are known, else
 *   at the end
 */
export async function* pairedBlocks(
  a: VectorSource,
  b: VectorSource,
  options: ReadBlocksOptions = {},
): AsyncGenerator<PairedBlock> {
  if (a.rows !== null && b.rows !== null) checkCounts(a, b, a.rows, b.rows);
  const rowsPerBlock = options.rowsPerBlock ?? Math.max(1, Math.floor(2 ** 20 / Math.max(a.width, b.width)));
  const cursors = [new Cursor(a, options), new Cursor(b, options)] as const;
  try {
    for (;;) {
      const block = await nextBlock(cursors, rowsPerBlock);
      if (block.rows > 0) yield block;
      if (block.rows < rowsPerBlock) break;
    }
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
  checkCounts(a, b, a.rows ?? rowsRead(cursors[0]), b.rows ?? rowsRead(cursors[1]));
}

async function nextBlock([x, y]: readonly [Cursor, Cursor], rowsPerBlock: number): Promise<PairedBlock> {
  const a = new Float32Array(rowsPerBlock * x.source.width);
  const b = new Float32Array(rowsPerBlock * y.source.width);
  const indices = new Float64Array(rowsPerBlock);
  let rows = 0;
  while (rows < rowsPerBlock) {
    const [i, j] = [await x.index(), await y.index()];
    if (i === Number.POSITIVE_INFINITY && j === Number.POSITIVE_INFINITY) break;
    if (i < j) x.at++;
    else if (j < i) y.at++;
    else {
      x.take(a, rows);
      y.take(b, rows);
      indices[rows++] = i;
    }
  }
  return {
    rows,
    a: a.subarray(0, rows * x.source.width),
    b: b.subarray(0, rows * y.source.width),
    indices: indices.subarray(0, rows),
  };
}

/** Every row of a source that was read to its end is kept or counted as a problem. */
function rowsRead({ source, block }: Cursor): number {
  return (block ? block.start + block.rows : 0) + source.problems.count;
}

function checkCounts(a: VectorSource, b: VectorSource, rowsOfA: number, rowsOfB: number): void {
  if (rowsOfA !== rowsOfB)
    throw new VectorFileError(
      a.name,
      `the two files do not pair up: ${a.name} has ${rowsOfA} rows, ${b.name} has ${rowsOfB}`,
    );
}
