import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import sharp from "sharp";
import { pack } from "tar-stream";

export type SampleFormat = "jpeg" | "png" | "webp";

/** An image of one colour, or with a left half of another colour. */
export function sampleImage(
  format: SampleFormat,
  colour: { readonly r: number; readonly g: number; readonly b: number; readonly alpha?: number },
  size: { readonly width: number; readonly height: number } = { width: 20, height: 20 },
): Promise<Buffer> {
  const channels = colour.alpha === undefined ? 3 : 4;
  const image = sharp({ create: { ...size, channels, background: colour } });
  return image.toFormat(format, format === "jpeg" ? { quality: 100 } : {}).toBuffer();
}

/** Writes a tar file, gzipped when its name says so. */
export async function writeTar(path: string, members: Readonly<Record<string, Buffer>>): Promise<void> {
  const archive = pack();
  for (const [name, bytes] of Object.entries(members)) archive.entry({ name }, bytes);
  archive.finalize();
  const target = createWriteStream(path);
  await (path.endsWith("gz") ? pipeline(archive, createGzip(), target) : pipeline(archive, target));
}
