import { type ElementType, swapBytes } from "./elements.ts";
import type { ArrayLayout, TextElement } from "./npy-header.ts";
import type { RawBlock, RawReadOptions, RawRows } from "./raw-rows.ts";
import { type FieldValue, VectorFileError } from "./source.ts";

/** The bytes of one array, without its header. */
export interface ArrayBytes {
  /** All of them, one piece after another. */
  sequential(): Promise<ByteSequence>;
  /** Bytes at any place, where the file allows that. */
  at?(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

export interface ByteSequence {
  /** The next bytes, in memory of their own. @throws VectorFileError when fewer are left */
  next(length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export interface ArrayLimits {
  readonly maxRows: number;
  readonly maxWidth: number;
}

export const defaultArrayLimits: ArrayLimits = { maxRows: 1e9, maxWidth: 65_536 };

/** Column-major arrays that must be held in memory, e.g. compressed ones, may take this much. */
const maxHeldBytes = 2 ** 30;

export function isText(element: ElementType | TextElement): element is TextElement {
  return "text" in element;
}

/** @throws VectorFileError unless the array is one of vectors, within the limits */
export function checkVectorArray(name: string, layout: ArrayLayout, limits: ArrayLimits): void {
  const { shape, element } = layout;
  if (isText(element))
    throw new VectorFileError(name, `holds texts (${element.name}); vectors of numbers are expected`);
  if (shape.length !== 2)
    throw new VectorFileError(
      name,
      `has ${shape.length} axes (${shape.join(", ")}); vectors need two: rows and their width`,
    );
  const [rows = 0, width = 0] = shape;
  if (width === 0)
    throw new VectorFileError(name, `has rows of no numbers: its shape is (${shape.join(", ")})`);
  checkLimits(name, rows, width, limits);
}

export function checkLimits(name: string, rows: number, width: number, limits: ArrayLimits): void {
  if (rows > limits.maxRows)
    throw new VectorFileError(name, `has ${rows} rows, over the limit of ${limits.maxRows}`);
  if (width > limits.maxWidth)
    throw new VectorFileError(name, `has rows of ${width} numbers, over the limit of ${limits.maxWidth}`);
}

/** Numbers of the file as they are, in the machine's byte order. */
export function decodeElements(bytes: Uint8Array<ArrayBuffer>, layout: ArrayLayout): ArrayLike<number> {
  const element = layout.element as ElementType;
  if (layout.bigEndian) swapBytes(bytes, element.bytes);
  return element.view(bytes);
}

/**
 * The rows of an array with two axes.
 *
 * @param fields  whole columns beside it
 */
export function arrayRows(
  name: string,
  layout: ArrayLayout,
  bytes: ArrayBytes,
  fields: Readonly<Record<string, readonly FieldValue[]>>,
  close: () => Promise<void>,
): RawRows {
  const [rows = 0, width = 0] = layout.shape;
  return {
    rows,
    width,
    dtype: layout.element.name,
    async *read(options) {
      const blocks = layout.fortran
        ? columnMajorBlocks(name, layout, bytes, options)
        : rowMajorBlocks(layout, bytes, options);
      let first = 0;
      for await (const values of blocks) {
        const count = values.length / width;
        const block: RawBlock = {
          first,
          rows: count,
          values,
          fields: Object.fromEntries(
            Object.entries(fields).map(([field, column]) => [field, column.slice(first, first + count)]),
          ),
        };
        first += count;
        yield block;
      }
    },
    close,
  };
}

async function* rowMajorBlocks(
  layout: ArrayLayout,
  bytes: ArrayBytes,
  { rowsPerBlock }: RawReadOptions,
): AsyncGenerator<Float32Array> {
  const [rows = 0, width = 0] = layout.shape;
  const sequence = await bytes.sequential();
  try {
    for (let row = 0; row < rows; row += rowsPerBlock) {
      const count = Math.min(rowsPerBlock, rows - row);
      const numbers = decodeElements(await sequence.next(count * width * layout.element.bytes), layout);
      yield numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
    }
  } finally {
    await sequence.close();
  }
}

async function* columnMajorBlocks(
  name: string,
  layout: ArrayLayout,
  bytes: ArrayBytes,
  { rowsPerBlock, signal }: RawReadOptions,
): AsyncGenerator<Float32Array> {
  const [rows = 0, width = 0] = layout.shape;
  const size = layout.element.bytes;
  const at = bytes.at ? bytes.at.bind(bytes) : await held(name, layout, bytes);
  for (let row = 0; row < rows; row += rowsPerBlock) {
    const count = Math.min(rowsPerBlock, rows - row);
    const values = new Float32Array(count * width);
    for (let column = 0; column < width; column++) {
      const numbers = decodeElements(await at((column * rows + row) * size, count * size), layout);
      for (let i = 0; i < count; i++) values[i * width + column] = numbers[i] as number;
    }
    signal?.throwIfAborted();
    yield values;
  }
}

async function held(
  name: string,
  layout: ArrayLayout,
  bytes: ArrayBytes,
): Promise<(offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>> {
  if (layout.dataBytes > maxHeldBytes)
    throw new VectorFileError(
      name,
      `is a compressed column-major array of ${layout.dataBytes} bytes, over the limit of ${maxHeldBytes}; ` +
        "save it row by row (numpy.ascontiguousarray)",
    );
  const sequence = await bytes.sequential();
  try {
    const all = await sequence.next(layout.dataBytes);
    return async (offset, length) => all.slice(offset, offset + length);
  } finally {
    await sequence.close();
  }
}
