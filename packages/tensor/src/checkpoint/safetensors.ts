import type { DType, NDArray } from "../core/ndarray.ts";
import { allocate, bytesPerElement, isNDArray, sizeOf } from "../core/ndarray.ts";
import type { Tree } from "../core/tree.ts";

/** Largest header that is read, as in the format's reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_DEPTH = 64;
/** Key of the metadata entry that keeps how records and lists nest; leaves are null. */
const STRUCTURE = "structure";

const formatNames: { readonly [D in DType]: string } = {
  float32: "F32",
  float64: "F64",
  int32: "I32",
  int64: "I64",
  uint8: "U8",
  bool: "BOOL",
};
const dtypes = new Map(Object.entries(formatNames).map(([dtype, name]) => [name, dtype as DType]));

/** One array of a safetensors file: where its bytes lie, counted from the start of the file. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** A file is not what the safetensors format says it should be. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";
}

type Structure = null | readonly Structure[] | { readonly [name: string]: Structure };

function pointer(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function flatten(tree: Tree<NDArray>, name: string, depth: number, leaves: Map<string, NDArray>): Structure {
  if (depth > MAX_DEPTH)
    throw new RangeError(`safetensors: the tree is nested deeper than ${MAX_DEPTH} levels`);
  if (isNDArray(tree)) {
    if (sizeOf(tree.shape) !== tree.data.length) {
      throw new RangeError(
        `safetensors: '${name}' has ${tree.data.length} values, which do not fill [${tree.shape.join(", ")}]`,
      );
    }
    leaves.set(name, tree);
    return null;
  }
  if (Array.isArray(tree)) {
    return tree.map((child, index) => flatten(child, pointer(name, index), depth + 1, leaves));
  }
  if (typeof tree !== "object" || tree === null) {
    throw new TypeError(`safetensors: '${name}' must be an array, a list or a record, got ${typeof tree}`);
  }
  return Object.fromEntries(
    Object.entries(tree).map(([key, child]) => [key, flatten(child, pointer(name, key), depth + 1, leaves)]),
  );
}

/** The bytes of an array, without a copy. Every platform that runs this is little-endian, as the format is. */
export function bytesOf(array: NDArray): Uint8Array {
  return new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength);
}

/**
 * A tree of arrays in the safetensors format, as parts to be written one after another; the parts after the first
 * are views of the arrays themselves. Arrays are named by JSON pointers, e.g. `/params/layers/0/weight`; how records
 * and lists nest is kept in the metadata, so that decoding gives the same tree.
 *
 * @throws TypeError when a leaf is no array, RangeError when data does not fill a shape
 */
export function encodeSafetensors(
  tree: Tree<NDArray>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const leaves = new Map<string, NDArray>();
  const structure = flatten(tree, "", 0, leaves);
  // Wide elements first: with a padded header every array is then aligned to its element.
  const ordered = [...leaves].sort(
    ([a, x], [b, y]) => bytesPerElement[y.dtype] - bytesPerElement[x.dtype] || (a < b ? -1 : 1),
  );
  const header: [string, unknown][] = [
    ["__metadata__", { ...metadata, [STRUCTURE]: JSON.stringify(structure) }],
  ];
  let offset = 0;
  for (const [name, array] of ordered) {
    const end = offset + array.data.byteLength;
    header.push([name, { dtype: formatNames[array.dtype], shape: array.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return [head, ...ordered.map(([, array]) => bytesOf(array))];
}

/**
 * Length of the JSON header that follows the first eight bytes of a file.
 *
 * @throws SafetensorsError when the file is too short for what it announces
 */
export function safetensorsHeaderLength(firstEightBytes: Uint8Array, fileSize: number): number {
  if (fileSize < 8 || firstEightBytes.length < 8) {
    throw new SafetensorsError(`safetensors: expected at least 8 bytes, got ${fileSize}`);
  }
  const view = new DataView(firstEightBytes.buffer, firstEightBytes.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES) || length > BigInt(fileSize - 8)) {
    throw new SafetensorsError(
      `safetensors: the header announces ${length} bytes; the file has ${fileSize - 8} after its first 8, ` +
        `and at most ${MAX_HEADER_BYTES} are read`,
    );
  }
  return Number(length);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function parseEntry(name: string, value: unknown, dataStart: number): SafetensorsEntry {
  const complain = (what: string): never => {
    throw new SafetensorsError(`safetensors: array '${name}': ${what}`);
  };
  if (!isRecord(value)) return complain("its description is not an object");
  const dtype = dtypes.get(String(value.dtype));
  if (!dtype) {
    return complain(`element type '${String(value.dtype)}' is none of ${[...dtypes.keys()].join(", ")}`);
  }
  const { shape, data_offsets: offsets } = value;
  if (!Array.isArray(shape) || !shape.every(isCount)) return complain("its shape is no list of counts");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return complain("its data_offsets are no pair of counts");
  }
  const [begin, end] = offsets as [number, number];
  const expected = sizeOf(shape) * bytesPerElement[dtype];
  if (end - begin !== expected) {
    return complain(`shape [${shape.join(", ")}] takes ${expected} bytes, its offsets hold ${end - begin}`);
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/**
 * Parses and checks the JSON header: known element types, sizes that match shapes, arrays that fill the file
 * without gap or overlap.
 *
 * @param json  the header's bytes, without the eight that hold its length
 * @throws SafetensorsError saying which array breaks which rule
 */
export function parseSafetensorsHeader(json: Uint8Array, fileSize: number): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw new SafetensorsError("safetensors: the header is not JSON in UTF-8", { cause: error });
  }
  if (!isRecord(parsed)) throw new SafetensorsError("safetensors: the header is not a JSON object");
  const dataStart = 8 + json.length;
  const { __metadata__: metadata = {}, ...described } = parsed;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new SafetensorsError("safetensors: __metadata__ is not an object of strings");
  }
  const entries = Object.entries(described)
    .map(([name, value]) => parseEntry(name, value, dataStart))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = dataStart;
  for (const entry of entries) {
    if (entry.begin !== position) {
      throw new SafetensorsError(
        `safetensors: array '${entry.name}' begins at byte ${entry.begin}, expected ${position}`,
      );
    }
    position = entry.end;
  }
  if (position !== fileSize) {
    throw new SafetensorsError(`safetensors: the arrays end at byte ${position}, the file at ${fileSize}`);
  }
  return { entries, metadata: metadata as Readonly<Record<string, string>> };
}

/** The tree that a header describes, given its arrays. A file of other origin becomes a record of name to array. */
export function assembleTree(header: SafetensorsHeader, arrays: ReadonlyMap<string, NDArray>): Tree<NDArray> {
  const text = header.metadata[STRUCTURE];
  if (text === undefined) return Object.fromEntries(arrays);
  let used = 0;
  const build = (structure: unknown, name: string, depth: number): Tree<NDArray> => {
    if (depth > MAX_DEPTH) {
      throw new SafetensorsError(`safetensors: the structure is nested deeper than ${MAX_DEPTH} levels`);
    }
    if (structure === null) {
      const array = arrays.get(name);
      if (!array) throw new SafetensorsError(`safetensors: the structure names '${name}', which is missing`);
      used++;
      return array;
    }
    if (Array.isArray(structure)) {
      return structure.map((child, index) => build(child, pointer(name, index), depth + 1));
    }
    if (!isRecord(structure)) {
      throw new SafetensorsError(`safetensors: the structure holds ${typeof structure} at '${name}'`);
    }
    return Object.fromEntries(
      Object.entries(structure).map(([key, child]) => [key, build(child, pointer(name, key), depth + 1)]),
    );
  };
  let structure: unknown;
  try {
    structure = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError("safetensors: the structure in the metadata is not JSON", { cause: error });
  }
  const tree = build(structure, "", 0);
  if (used !== arrays.size) {
    throw new SafetensorsError(
      `safetensors: the structure names ${used} arrays, the file has ${arrays.size}`,
    );
  }
  return tree;
}

/**
 * Reads safetensors bytes; every array gets memory of its own.
 *
 * @throws SafetensorsError when the bytes break the format
 */
export function decodeSafetensors(bytes: Uint8Array): {
  readonly tree: Tree<NDArray>;
  readonly metadata: Readonly<Record<string, string>>;
} {
  const length = safetensorsHeaderLength(bytes.subarray(0, 8), bytes.length);
  const header = parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length);
  const arrays = new Map(
    header.entries.map(({ name, dtype, shape, begin, end }) => {
      const array: NDArray = { dtype, shape, data: allocate(dtype, sizeOf(shape)) };
      bytesOf(array).set(bytes.subarray(begin, end));
      return [name, array];
    }),
  );
  return { tree: assembleTree(header, arrays), metadata: header.metadata };
}
