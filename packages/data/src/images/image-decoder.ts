import { availableParallelism } from "node:os";
import { siblingModule, WorkerPool } from "../threads/worker-pool.ts";
import { type DecodeReply, type DecodeRequest, decodeImage } from "./decode.ts";
import type { ImageLocation } from "./image-files.ts";

export interface ImageDecoderOptions {
  /** Side S of the decoded images, 1 to 2048. */
  readonly size: number;
  /** Largest width times height of a source image. Default 64 million. */
  readonly maxPixels?: number;
  /** Folder for decoded images. They are found again by the digest of the source file. */
  readonly cacheDirectory?: string;
  /**
   * Threads; 0 decodes in the calling thread, e.g. one that makes whole batches. Default: the processors that this
   * process may use, at most 4.
   */
  readonly workers?: number;
}

/** Decodes JPEG, PNG and WebP images in worker threads. Close it when done. */
export interface ImageDecoder extends AsyncDisposable {
  /** How many images to keep under way so that no thread waits. */
  readonly parallel: number;
  /**
   * @param want `pixels`: [3, S, S] bytes; `cacheFile`: only the path of the decoded file in the cache
   * @returns the image, or the reason why it cannot be decoded
   */
  decode(location: ImageLocation, want: "pixels" | "cacheFile"): Promise<DecodeReply>;
  close(): Promise<void>;
}

/** @throws RangeError when an option is out of its range */
export function imageDecoder(options: ImageDecoderOptions): ImageDecoder {
  const { size, maxPixels = 64e6, cacheDirectory } = options;
  if (!Number.isInteger(size) || size < 1 || size > 2048)
    throw new RangeError(`imageDecoder: size must be an integer from 1 to 2048, got ${size}`);
  const workers = options.workers ?? Math.min(4, availableParallelism());
  const request = (location: ImageLocation, want: "pixels" | "cacheFile"): DecodeRequest => {
    if (want === "cacheFile" && cacheDirectory === undefined)
      throw new Error("imageDecoder: a cache file needs a cacheDirectory");
    return {
      location,
      size,
      maxPixels,
      wantPixels: want === "pixels",
      ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
    };
  };
  if (workers === 0) {
    const close = async (): Promise<void> => {};
    return {
      parallel: 2,
      decode: async (location, want) => decodeImage(request(location, want)),
      close,
      [Symbol.asyncDispose]: close,
    };
  }
  const script = siblingModule(import.meta.url, "./decode-worker");
  const pool = new WorkerPool<DecodeRequest, DecodeReply>(script, { size: workers });
  return {
    parallel: 2 * workers,
    decode: async (location, want) => pool.run(request(location, want)),
    close: () => pool.close(),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}
