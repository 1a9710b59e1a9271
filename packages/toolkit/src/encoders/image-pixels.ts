import { readFile, stat } from "node:fs/promises";
import sharp from "sharp";
import type { ImageSettings } from "./image-settings.ts";
import { type ByteImage, resample } from "./resample.ts";

export interface PixelsRequest {
  readonly source: string | Uint8Array;
  readonly settings: ImageSettings;
}

export type PixelsReply =
  /** [channels, height, width] */
  | {
      readonly ok: true;
      readonly values: Float32Array<ArrayBuffer>;
      readonly width: number;
      readonly height: number;
    }
  | { readonly ok: false; readonly reason: string };

const MAX_FILE_BYTES = 256 * 2 ** 20;
const MAX_PIXELS = 100e6;
/** From this ratio on, the decoder halves a picture first, down to a third of it: much faster, and hardly seen. */
const COARSE_RATIO = 6;

// Each thread decodes one picture at a time; parallelism comes from the number of threads.
sharp.concurrency(1);
sharp.cache(false);

/** The size that a picture gets, as Hugging Face's processors compute it. */
export function targetSize(
  { width, height }: { readonly width: number; readonly height: number },
  { resize }: Pick<ImageSettings, "resize">,
): { readonly width: number; readonly height: number } {
  if (resize === null) return { width, height };
  if ("width" in resize) return resize;
  const { shortest } = resize;
  const long = Math.trunc((shortest * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: shortest, height: long } : { width: long, height: shortest };
}

const formats = new Set(["jpeg", "png", "webp", "gif", "tiff", "heif", "avif"]);

async function decode(bytes: Uint8Array, settings: ImageSettings): Promise<ByteImage> {
  const options = { limitInputPixels: MAX_PIXELS, failOn: "error" } as const;
  const { format, width = 0, height = 0, autoOrient } = await sharp(bytes, options).metadata();
  // SVG and PDF are programs rather than pictures.
  if (format === undefined || !formats.has(format))
    throw new Error(`${format ?? "unknown"} is not supported`);
  let image = sharp(bytes, options).autoOrient().flatten({ background: "#ffffff" });
  const upright = autoOrient ?? { width, height };
  const target = targetSize(upright, settings);
  if (target.width > 0xffff || target.height > 0xffff)
    throw new Error("its sides are too different in length");
  const ratio = Math.min(upright.width / target.width, upright.height / target.height);
  if (ratio > COARSE_RATIO) image = image.resize(target.width * 3, target.height * 3, { fit: "fill" });
  const { data, info } = await image
    .toColourspace(settings.channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== settings.channels) throw new Error(`decoded to ${info.channels} channels`);
  const decoded = {
    pixels: new Uint8Array(data),
    width: info.width,
    height: info.height,
    channels: info.channels,
  };
  return resample(decoded, target.width, target.height, settings.filter);
}

/** Cuts the middle out, and brings bytes to the model's numbers: (scale · byte - mean) / std. */
export function toModelPixels(
  { pixels, width, height, channels }: ByteImage,
  settings: ImageSettings,
): { readonly values: Float32Array<ArrayBuffer>; readonly width: number; readonly height: number } {
  const crop = settings.crop ?? { width, height };
  const [left, top] = [Math.floor((width - crop.width) / 2), Math.floor((height - crop.height) / 2)];
  const plane = crop.width * crop.height;
  const values = new Float32Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    const [mean, std] = [settings.mean[c] as number, settings.std[c] as number];
    for (let y = 0; y < crop.height; y++) {
      for (let x = 0; x < crop.width; x++) {
        const [row, column] = [y + top, x + left];
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        const byte = inside ? (pixels[(row * width + column) * channels + c] as number) : 0;
        values[c * plane + y * crop.width + x] = (byte * settings.scale - mean) / std;
      }
    }
  }
  return { values, ...crop };
}

/** One picture as a model takes it, or why not. */
export async function modelPixels({ source, settings }: PixelsRequest): Promise<PixelsReply> {
  let bytes: Uint8Array;
  try {
    if (typeof source === "string") {
      const info = await stat(source);
      if (!info.isFile()) return { ok: false, reason: "no regular file" };
      if (info.size > MAX_FILE_BYTES)
        return { ok: false, reason: `${info.size} bytes are over the limit of ${MAX_FILE_BYTES}` };
      bytes = await readFile(source);
    } else bytes = source;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { ok: false, reason: code === "ENOENT" ? "there is no such file" : `cannot be read (${message})` };
  }
  if (bytes.length === 0) return { ok: false, reason: "the file is empty" };
  try {
    return { ok: true, ...toModelPixels(await decode(bytes, settings), settings) };
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split("\n", 1);
    return { ok: false, reason: `cannot be decoded as a picture (${line})` };
  }
}
