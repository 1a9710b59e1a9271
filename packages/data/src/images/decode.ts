import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp from "sharp";
import type { ImageLocation } from "./image-files.ts";

export interface DecodeRequest {
  readonly location: ImageLocation;
  /** Side S of the result. */
  readonly size: number;
  /** Largest width times height of the source image. */
  readonly maxPixels: number;
  /** Folder of decoded images, found by the digest of their source and of the decoding. */
  readonly cacheDirectory?: string;
  /** False when only the cache file is wanted. */
  readonly wantPixels: boolean;
}

export type DecodeReply =
  | {
      readonly ok: true;
      /** [3, S, S]; absent when not wanted */
      readonly pixels?: Uint8Array<ArrayBuffer>;
      readonly cacheFile?: string;
      readonly fromCache: boolean;
    }
  | { readonly ok: false; readonly reason: string };

/** Changes when the same source would decode to other bytes, so that old cache files are not used. */
const decodingVersion = 1;

// Each thread decodes one image at a time; parallelism comes from the number of threads.
sharp.concurrency(1);
sharp.cache(false);

/** Decodes one image, or says why it cannot. Throws only when something but the image is at fault. */
export async function decodeImage(request: DecodeRequest): Promise<DecodeReply> {
  const { location, size, maxPixels, cacheDirectory, wantPixels } = request;
  let source: Uint8Array;
  try {
    source = await readLocation(location);
  } catch (error) {
    return { ok: false, reason: `image file cannot be read (${(error as Error).message})` };
  }
  const cacheFile = cacheDirectory === undefined ? undefined : cachePath(cacheDirectory, source, size);
  const length = 3 * size * size;
  const done = (pixels: Uint8Array<ArrayBuffer> | undefined, fromCache: boolean): DecodeReply => ({
    ok: true,
    ...(wantPixels && pixels ? { pixels } : {}),
    ...(cacheFile === undefined ? {} : { cacheFile }),
    fromCache,
  });
  if (cacheFile !== undefined) {
    const cached = await readCache(cacheFile, length, wantPixels);
    if (cached.found) return done(cached.pixels, true);
  }
  const format = imageFormat(source);
  if (format === null)
    return { ok: false, reason: source.length === 0 ? "empty file" : "not a JPEG, PNG or WebP image" };
  let pixels: Uint8Array<ArrayBuffer>;
  try {
    pixels = await decodePixels(source, size, maxPixels);
  } catch (error) {
    return { ok: false, reason: `${format} image cannot be decoded (${firstLine(error)})` };
  }
  if (cacheFile !== undefined) await writeCache(cacheFile, pixels);
  return done(pixels, false);
}

/** By the first bytes, so that no other decoder ever sees a user's file. */
function imageFormat(bytes: Uint8Array): "JPEG" | "PNG" | "WebP" | null {
  const text = (start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString("latin1");
  if (text(0, 3) === "\xff\xd8\xff") return "JPEG";
  if (text(0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "WebP";
  return null;
}

/** Upright, on white, shorter side scaled to S, centre cut out, RGB planes. */
async function decodePixels(
  source: Uint8Array,
  size: number,
  maxPixels: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { data, info } = await sharp(source, { limitInputPixels: maxPixels, failOn: "error" })
    .autoOrient()
    .flatten({ background: "#ffffff" })
    .resize(size, size, { fit: "cover", position: "centre" })
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3 || data.length !== 3 * size * size)
    throw new Error(`decoded to ${info.channels} channels and ${data.length} bytes`);
  const planes = new Uint8Array(data.length);
  const plane = size * size;
  for (let i = 0; i < plane; i++) {
    planes[i] = data[3 * i] as number;
    planes[i + plane] = data[3 * i + 1] as number;
    planes[i + 2 * plane] = data[3 * i + 2] as number;
  }
  return planes;
}

/** The bytes of a file or of a member of an archive. @throws Error when they are not all there */
export async function readLocation(location: ImageLocation): Promise<Uint8Array> {
  if (location.kind === "bytes") return location.bytes;
  const bytes = new Uint8Array(location.length);
  const file = await open(location.path, "r");
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, location.offset);
    if (bytesRead !== bytes.length) throw new Error(`only ${bytesRead} of ${bytes.length} bytes are there`);
  } finally {
    await file.close();
  }
  return bytes;
}

function cachePath(directory: string, source: Uint8Array, size: number): string {
  const digest = createHash("sha256")
    .update(`concord decoded image, version ${decodingVersion}, side ${size}\n`)
    .update(source)
    .digest("hex");
  return join(directory, digest.slice(0, 2), `${digest}.rgb`);
}

async function readCache(
  path: string,
  length: number,
  wantPixels: boolean,
): Promise<{ readonly found: boolean; readonly pixels?: Uint8Array<ArrayBuffer> }> {
  const info = await stat(path).catch(() => null);
  if (info?.size !== length) return { found: false };
  if (!wantPixels) return { found: true };
  return { found: true, pixels: new Uint8Array(await readFile(path)) };
}

/** Appears under its name only when complete, so that a killed process leaves no broken cache file. */
async function writeCache(path: string, pixels: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporary, pixels);
  await rename(temporary, path);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? "";
}
