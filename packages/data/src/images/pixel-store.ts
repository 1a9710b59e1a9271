import { open } from "node:fs/promises";
import type { NDArray } from "@concord/tensor";
import type { ImageDecoder } from "./image-decoder.ts";
import type { ImageFiles } from "./image-files.ts";

/** Where the decoded images of a set are kept: N images of [3, S, S] bytes. */
export interface PixelStore {
  readonly count: number;
  readonly size: number;
  /** @returns [B, 3, S, S], a new array */
  gather(indices: ArrayLike<number>): Promise<NDArray<"uint8">>;
}

function checkedIndex(indices: ArrayLike<number>, position: number, count: number): number {
  const index = indices[position] as number;
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new RangeError(`pixels: ${index} is not an image of a set of ${count}`);
  return index;
}

/**
 * Images in one block of memory.
 *
 * @param data [N, 3, S, S]
 * @throws RangeError when `data` is not a whole number of images
 */
export function memoryPixels(data: Uint8Array, size: number): PixelStore {
  const length = 3 * size * size;
  const count = data.length / length;
  if (!Number.isInteger(count))
    throw new RangeError(`memoryPixels: ${data.length} bytes are not images of 3 x ${size} x ${size}`);
  return {
    count,
    size,
    gather: async (indices) => {
      const result = new Uint8Array(indices.length * length);
      for (let i = 0; i < indices.length; i++) {
        const index = checkedIndex(indices, i, count);
        result.set(data.subarray(index * length, (index + 1) * length), i * length);
      }
      return { dtype: "uint8", shape: [indices.length, 3, size, size], data: result };
    },
  };
}

/** Reads at most this many files at a time. */
const parallelReads = 16;

/** Images in files of exactly 3 S S bytes, read at each visit. */
export function filePixels(paths: readonly string[], size: number): PixelStore {
  const length = 3 * size * size;
  return {
    count: paths.length,
    size,
    gather: async (indices) => {
      const result = new Uint8Array(indices.length * length);
      let next = 0;
      const reader = async (): Promise<void> => {
        while (next < indices.length) {
          const i = next++;
          const path = paths[checkedIndex(indices, i, paths.length)] as string;
          await readExactly(path, result.subarray(i * length, (i + 1) * length));
        }
      };
      await Promise.all(Array.from({ length: Math.min(parallelReads, indices.length) }, reader));
      return { dtype: "uint8", shape: [indices.length, 3, size, size], data: result };
    },
  };
}

/**
 * Images that are decoded at each visit, in the decoder's threads.
 *
 * @param names  of the images, as `files` knows them
 */
export function decodedPixels(
  names: readonly string[],
  files: ImageFiles,
  decoder: ImageDecoder,
  size: number,
): PixelStore {
  const length = 3 * size * size;
  return {
    count: names.length,
    size,
    gather: async (indices) => {
      const result = new Uint8Array(indices.length * length);
      let next = 0;
      const decodeNext = async (): Promise<void> => {
        while (next < indices.length) {
          const i = next++;
          const name = names[checkedIndex(indices, i, names.length)] as string;
          const reply = await decoder.decode(await files.locate(name), "pixels");
          if (!reply.ok || !reply.pixels)
            throw new Error(
              `${name} in ${files.path} can no longer be decoded${reply.ok ? "" : `: ${reply.reason}`}; load the data set again.`,
            );
          result.set(reply.pixels, i * length);
        }
      };
      await Promise.all(Array.from({ length: Math.min(decoder.parallel, indices.length) }, decodeNext));
      return { dtype: "uint8", shape: [indices.length, 3, size, size], data: result };
    },
  };
}

async function readExactly(path: string, target: Uint8Array): Promise<void> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new Error(`The cached image ${path} is gone; load the data set again.`, { cause });
  });
  try {
    const { bytesRead } = await file.read(target, 0, target.length, 0);
    if (bytesRead !== target.length)
      throw new Error(
        `The cached image ${path} has ${bytesRead} of ${target.length} bytes; delete it and load again.`,
      );
  } finally {
    await file.close();
  }
}
