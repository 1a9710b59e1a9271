import { readFile, stat } from "node:fs/promises";
import { inflateSync } from "node:zlib";

/** Largest file, and largest size of one variable when it is inflated. */
const MAX_BYTES = 2 ** 29;
/** Cells within cells. */
const MAX_DEPTH = 4;
const HEADER = 128;

/** A variable of a MAT file. */
export type MatArray =
  /** Numbers column by column. */
  | { readonly kind: "numbers"; readonly shape: readonly number[]; readonly data: Float64Array }
  /** A matrix of characters: a text for each row, without the blanks that fill it up. */
  | { readonly kind: "text"; readonly rows: readonly string[] }
  | { readonly kind: "cells"; readonly cells: readonly MatArray[] }
  /** Structures, sparse matrices and other things that are not read. */
  | { readonly kind: "other"; readonly what: string };

const types = { compressed: 15, matrix: 14 } as const;
const CLASSES = ["", "cell", "struct", "object", "char", "sparse"] as const;
const FIRST_NUMERIC = 6;
const LAST_NUMERIC = 15;

type Read = (view: DataView, at: number, little: boolean) => number;
/** By type: bytes an entry, and how one is read. */
const numeric: Readonly<Record<number, readonly [size: number, read: Read]>> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getInt16(at, little)],
  4: [2, (view, at, little) => view.getUint16(at, little)],
  5: [4, (view, at, little) => view.getInt32(at, little)],
  6: [4, (view, at, little) => view.getUint32(at, little)],
  7: [4, (view, at, little) => view.getFloat32(at, little)],
  9: [8, (view, at, little) => view.getFloat64(at, little)],
  12: [8, (view, at, little) => Number(view.getBigInt64(at, little))],
  13: [8, (view, at, little) => Number(view.getBigUint64(at, little))],
};
const UTF8 = 16;
/** UTF-16 and UTF-32 are read as numbers of two and four bytes. */
const wide: Readonly<Record<number, number>> = { 17: 4, 18: 6 };

interface Element {
  readonly type: number;
  readonly bytes: Buffer;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #little: boolean;
  #at: number;

  constructor(bytes: Buffer, little: boolean, start = 0) {
    this.#bytes = bytes;
    this.#little = little;
    this.#at = start;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next data element; short ones stand in their tag. */
  next(): Element {
    const tag = this.#word(this.#at);
    if (tag >>> 16 !== 0) {
      const start = this.#at + 4;
      this.#at += 8;
      return { type: tag & 0xffff, bytes: this.#slice(start, tag >>> 16) };
    }
    const length = this.#word(this.#at + 4);
    const bytes = this.#slice(this.#at + 8, length);
    // All but compressed elements are filled up to a multiple of eight.
    this.#at += 8 + (tag === types.compressed ? length : Math.ceil(length / 8) * 8);
    return { type: tag, bytes };
  }

  numbers({ type, bytes }: Element): Float64Array {
    const [size, read] = numeric[wide[type] ?? type] ?? [];
    if (!size || !read) throw new RangeError(`a data element has the unknown type ${type}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Float64Array.from({ length: Math.floor(bytes.length / size) }, (_, i) =>
      read(view, i * size, this.#little),
    );
  }

  inside({ bytes }: Element): Reader {
    return new Reader(bytes, this.#little);
  }

  #word(at: number): number {
    if (at + 4 > this.#bytes.length) throw new RangeError("it ends within a data element");
    return this.#little ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at);
  }

  #slice(start: number, length: number): Buffer {
    if (start + length > this.#bytes.length) throw new RangeError("it ends within a data element");
    return this.#bytes.subarray(start, start + length);
  }
}

function readMatrix(reader: Reader, depth: number): readonly [name: string, value: MatArray] {
  const flags = reader.numbers(reader.next());
  const kind = (flags[0] as number) & 0xff;
  const shape = Array.from(reader.numbers(reader.next()));
  const count = shape.reduce((product, length) => product * length, 1);
  const name = reader.next().bytes.toString("latin1");
  // Names are the file's: they reach a terminal without control characters.
  const shown = JSON.stringify(name);
  if (!shape.every((length) => Number.isInteger(length) && length >= 0))
    throw new RangeError(`${shown} has the shape [${shape.join(", ")}]`);
  const complete = <T extends { readonly length: number }>(values: T): T => {
    if (values.length !== count)
      throw new RangeError(`${shown} has ${values.length} entries, its shape [${shape.join(", ")}] ${count}`);
    return values;
  };
  if (CLASSES[kind] === "cell") {
    if (depth >= MAX_DEPTH) throw new RangeError(`${shown} has cells within cells, over ${MAX_DEPTH} deep`);
    const cells: MatArray[] = [];
    while (cells.length < count) cells.push(readMatrix(reader.inside(reader.next()), depth + 1)[1]);
    return [name, { kind: "cells", cells }];
  }
  if (CLASSES[kind] === "char") {
    const element = reader.next();
    const characters =
      element.type === UTF8
        ? Array.from(element.bytes.toString("utf8"))
        : Array.from(reader.numbers(element), (code) => String.fromCodePoint(code));
    complete(characters);
    // Without characters there are no texts, however many rows are claimed.
    const rows = count === 0 ? 0 : (shape[0] as number);
    const texts = Array.from({ length: rows }, (_, row) =>
      Array.from({ length: count / rows }, (_, column) => characters[column * rows + row])
        .join("")
        .trimEnd(),
    );
    return [name, { kind: "text", rows: texts }];
  }
  if (kind >= FIRST_NUMERIC && kind <= LAST_NUMERIC)
    return [name, { kind: "numbers", shape, data: complete(reader.numbers(reader.next())) }];
  return [name, { kind: "other", what: CLASSES[kind] || `class ${kind}` }];
}

/**
 * The variables of a MAT file of MATLAB's versions 5 to 7.2, as SciPy's `savemat` writes, too: numbers, characters and
 * cells of them.
 *
 * @throws Error naming the file when it is missing, too large, broken or of another version
 * @source MATLAB, "MAT-File Format", level 5
 */
export async function readMat(path: string): Promise<ReadonlyMap<string, MatArray>> {
  const { size } = await stat(path);
  if (size > MAX_BYTES)
    throw new Error(`${path} has ${size} bytes; MAT files of up to ${MAX_BYTES} are read.`);
  const bytes = await readFile(path);
  const start = bytes.toString("latin1", 0, 10);
  if (start === "MATLAB 7.3" || bytes.subarray(1, 4).toString("latin1") === "HDF")
    throw new Error(`${path} is a MAT file of version 7.3 (HDF5); save it with "-v7".`);
  const order = bytes.toString("latin1", HEADER - 2, HEADER);
  if (bytes.length < HEADER || (order !== "IM" && order !== "MI"))
    throw new Error(`${path} is no MAT file of version 5 to 7.2: its header is missing.`);
  const variables = new Map<string, MatArray>();
  try {
    const little = order === "IM";
    const file = new Reader(bytes, little, HEADER);
    while (!file.done) {
      let element = file.next();
      if (element.type === types.compressed) {
        const inflated = inflateSync(element.bytes, { maxOutputLength: MAX_BYTES });
        element = new Reader(inflated, little).next();
      }
      if (element.type !== types.matrix) continue;
      const [name, value] = readMatrix(file.inside(element), 0);
      variables.set(name, value);
    }
  } catch (error) {
    throw new Error(`${path} is a broken MAT file: ${(error as Error).message}`, { cause: error });
  }
  return variables;
}
