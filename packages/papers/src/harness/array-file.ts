import { type FileHandle, open } from "node:fs/promises";
import {
  allocate,
  assembleTree,
  bytesOf,
  encodeSafetensors,
  type NDArray,
  parseSafetensorsHeader,
  SafetensorsError,
  type SafetensorsHeader,
  safetensorsHeaderLength,
  sizeOf,
} from "@concord/tensor";
import { writeFileAtomic } from "./atomic-file.ts";
import type { ArrayTree } from "./contract.ts";

const PIECE_BYTES = 64 * 2 ** 20;

/** Fills `target` from the file; a file that ends early is an error. */
async function readInto(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let start = 0; start < target.length; ) {
    const length = Math.min(PIECE_BYTES, target.length - start);
    const { bytesRead } = await file.read(target, start, length, position + start);
    if (bytesRead === 0) throw new SafetensorsError("the file ended while it was read");
    start += bytesRead;
  }
}

async function readHeader(file: FileHandle): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const first = new Uint8Array(8);
  if (size >= first.length) await readInto(file, first, 0);
  const json = new Uint8Array(safetensorsHeaderLength(first, size));
  await readInto(file, json, first.length);
  return parseSafetensorsHeader(json, size);
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, "r");
  try {
    return await use(file);
  } catch (error) {
    if (error instanceof SafetensorsError)
      throw new SafetensorsError(`${path}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    await file.close();
  }
}

/** Writes a tree of arrays as one safetensors file, atomically. */
export async function saveArrays(
  path: string,
  tree: ArrayTree,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(tree, metadata));
}

/**
 * Reads a tree of arrays, array by array, so that it is in memory only once.
 *
 * @throws SafetensorsError naming the file when it breaks the format
 */
export async function loadArrays(
  path: string,
): Promise<{ readonly tree: ArrayTree; readonly metadata: Readonly<Record<string, string>> }> {
  return withFile(path, async (file) => {
    const header = await readHeader(file);
    const arrays = new Map<string, NDArray>();
    for (const { name, dtype, shape, begin } of header.entries) {
      const array: NDArray = { dtype, shape, data: allocate(dtype, sizeOf(shape)) };
      await readInto(file, bytesOf(array), begin);
      arrays.set(name, array);
    }
    return { tree: assembleTree(header, arrays), metadata: header.metadata };
  });
}

/** The metadata alone; the file's sizes are checked all the same, so a truncated file is an error. */
export async function loadArraysMetadata(path: string): Promise<Readonly<Record<string, string>>> {
  return withFile(path, async (file) => (await readHeader(file)).metadata);
}
