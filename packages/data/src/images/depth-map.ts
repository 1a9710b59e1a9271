import type { NDArray } from "@concord/tensor";
import sharp from "sharp";
import { ImageFileError } from "./image-files.ts";

export interface DepthMapLimits {
  /** Largest width times height. Default 64 million. */
  readonly maxPixels?: number;
}

/**
 * A depth map from a 16-bit grey PNG: its samples as they are, e.g. millimetres.
 *
 * @returns [H, W] float32 in [0, 65535]
 * @throws ImageFileError when it is no 16-bit grey PNG, broken or over the limit
 */
export async function decodeDepthMap(
  bytes: Uint8Array,
  { maxPixels = 64e6 }: DepthMapLimits = {},
): Promise<NDArray<"float32">> {
  try {
    const image = sharp(bytes, { limitInputPixels: maxPixels, failOn: "error" });
    const { format, depth, channels } = await image.metadata();
    if (format !== "png" || depth !== "ushort" || channels !== 1)
      throw new ImageFileError(
        `expected a 16-bit grey PNG, got ${format} with ${channels} channels of ${depth}`,
      );
    const { data, info } = await image
      .toColourspace("grey16")
      .raw({ depth: "ushort" })
      .toBuffer({ resolveWithObject: true });
    const samples = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
    return { dtype: "float32", shape: [info.height, info.width], data: Float32Array.from(samples) };
  } catch (error) {
    if (error instanceof ImageFileError) throw error;
    throw new ImageFileError(`depth map cannot be decoded (${(error as Error).message.split("\n")[0]})`);
  }
}
