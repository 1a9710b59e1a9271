import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { ByteFile } from "../vectors/byte-file.ts";
import { npyStartBytes, parseNpyHeader } from "../vectors/npy-header.ts";
import { VectorFileError } from "../vectors/source.ts";

/** Images of one size out of one file. */
export interface ImageArrays {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  /** [N, C, H, W] bytes. */
  readonly pixels: Uint8Array;
  /** Class of every image where the file says so; CIFAR-100's fine one. */
  readonly labels: Int32Array | null;
}

/** Largest file, also after decompression. */
const MAX_BYTES = 2 ** 31 - 1;

const cifar = { side: 32, bytes: 3 * 32 * 32 };
const stl = { side: 96, bytes: 3 * 96 * 96 };

function fail(path: string, reason: string): never {
  throw new VectorFileError(path, reason);
}

/** All bytes of a file, decompressed where it begins as gzip does. */
async function readBytes(path: string): Promise<Uint8Array> {
  const file = await ByteFile.open(path);
  try {
    if (file.size > MAX_BYTES) fail(path, `has ${file.size} bytes; at most ${MAX_BYTES} are read`);
    const bytes = await file.read(0, file.size);
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
    return await promisify(gunzip)(bytes, { maxOutputLength: MAX_BYTES }).catch((error: Error) =>
      fail(path, `cannot be decompressed: ${error.message}`),
    );
  } finally {
    await file.close();
  }
}

/** Sizes and values of an IDX file of bytes. */
function parseIdx(path: string, bytes: Uint8Array, axes: number): { shape: number[]; values: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0)
    fail(path, "is not an IDX file: it does not begin with two zero bytes");
  if (bytes[2] !== 8) fail(path, `holds values of IDX type ${bytes[2]}; bytes (type 8) are expected`);
  if (bytes[3] !== axes) fail(path, `has ${bytes[3]} axes; ${axes} are expected`);
  const start = 4 + 4 * axes;
  if (bytes.length < start) fail(path, "is truncated within its header");
  const shape = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length - start !== size)
    fail(path, `announces ${shape.join(" × ")} bytes, but ${bytes.length - start} follow`);
  return { shape, values: bytes.subarray(start) };
}

/**
 * Grey images in the MNIST layout (`*-images.idx3`, also under gzip): [N, H, W] bytes.
 *
 * @throws VectorFileError when the file is of another kind, or not as long as it says
 */
export async function readIdxImages(path: string): Promise<ImageArrays> {
  const { shape, values } = parseIdx(path, await readBytes(path), 3);
  const [count, height, width] = shape as [number, number, number];
  if (values.length === 0) fail(path, "holds no images");
  return { count, height, width, channels: 1, pixels: values, labels: null };
}

/**
 * Labels of images: IDX (`*-labels.idx1`, also under gzip), or one byte a label as STL-10 has them (1 to 10, which
 * become 0 to 9).
 *
 * @throws VectorFileError when the file is of another kind, or not as long as it says
 */
export async function readImageLabels(path: string): Promise<Int32Array> {
  const bytes = await readBytes(path);
  if (/_y\.bin(\.gz)?$/i.test(path)) {
    const zero = bytes.indexOf(0);
    if (zero >= 0) fail(path, `STL-10's labels are 1 to 10, but label ${zero + 1} is 0`);
    return Int32Array.from(bytes, (label) => label - 1);
  }
  return Int32Array.from(parseIdx(path, bytes, 1).values);
}

/** Records of CIFAR: labels, then planes. */
function parseCifar(path: string, bytes: Uint8Array): ImageArrays {
  const labelBytes = [1, 2].find((count) => bytes.length > 0 && bytes.length % (count + cifar.bytes) === 0);
  if (labelBytes === undefined)
    fail(
      path,
      `has ${bytes.length} bytes, which are no records of CIFAR-10 (${1 + cifar.bytes}) or CIFAR-100 (${2 + cifar.bytes})`,
    );
  const record = labelBytes + cifar.bytes;
  const count = bytes.length / record;
  const pixels = new Uint8Array(count * cifar.bytes);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    // CIFAR-100's second byte is the fine class.
    labels[i] = bytes[i * record + labelBytes - 1] as number;
    pixels.set(bytes.subarray(i * record + labelBytes, (i + 1) * record), i * cifar.bytes);
  }
  return { count, height: cifar.side, width: cifar.side, channels: 3, pixels, labels };
}

/** Planes of STL-10, which run down their columns. */
function parseStl(path: string, bytes: Uint8Array): ImageArrays {
  if (bytes.length === 0 || bytes.length % stl.bytes !== 0)
    fail(path, `has ${bytes.length} bytes, which are no images of STL-10 (${stl.bytes})`);
  const pixels = new Uint8Array(bytes.length);
  const plane = stl.side * stl.side;
  for (let start = 0; start < bytes.length; start += plane)
    for (let x = 0; x < stl.side; x++)
      for (let y = 0; y < stl.side; y++)
        pixels[start + y * stl.side + x] = bytes[start + x * stl.side + y] as number;
  return {
    count: bytes.length / stl.bytes,
    height: stl.side,
    width: stl.side,
    channels: 3,
    pixels,
    labels: null,
  };
}

/** [N, H, W, 3], [N, H, W, 1] or [N, H, W] uint8 of a `.npy` file. */
function parseImageNpy(path: string, bytes: Uint8Array): ImageArrays {
  const { element, fortran, shape, dataOffset, dataBytes } = parseNpyHeader(
    bytes.subarray(0, npyStartBytes),
    path,
  );
  const [count = 0, height = 0, width = 0, channels = 1] = shape;
  const known = (shape.length === 3 || shape.length === 4) && (channels === 1 || channels === 3);
  if (element.name !== "uint8" || fortran || !known || dataBytes === 0)
    fail(
      path,
      `holds ${element.name} of shape (${shape.join(", ")})${fortran ? " in Fortran order" : ""}; images are uint8 (N, H, W, 3), (N, H, W, 1) or (N, H, W) in C order`,
    );
  if (bytes.length - dataOffset !== dataBytes)
    fail(path, `announces ${dataBytes} bytes of values, but ${bytes.length - dataOffset} follow`);
  const values = bytes.subarray(dataOffset);
  const plane = height * width;
  const pixels = new Uint8Array(dataBytes);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++)
        pixels[(i * channels + c) * plane + p] = values[(i * plane + p) * channels + c] as number;
  return { count, height, width, channels: channels as 1 | 3, pixels, labels: null };
}

/** CIFAR-10's training batches in a folder, in the order of their names. */
async function cifarBatches(folder: string): Promise<ImageArrays | null> {
  const names = (await readdir(folder)).filter((name) => /^data_batch_\d+\.bin$/.test(name)).sort();
  if (names.length === 0) return null;
  const parts = await Promise.all(
    names.map(async (name) => parseCifar(join(folder, name), await readBytes(join(folder, name)))),
  );
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const pixels = new Uint8Array(count * cifar.bytes);
  const labels = new Int32Array(count);
  let at = 0;
  for (const part of parts) {
    pixels.set(part.pixels, at * cifar.bytes);
    labels.set(part.labels as Int32Array, at);
    at += part.count;
  }
  return { count, height: cifar.side, width: cifar.side, channels: 3, pixels, labels };
}

/**
 * Images that lie in one file: IDX (MNIST), CIFAR-10 and CIFAR-100 binaries, STL-10 (`*_X.bin`), `.npy` of bytes; or
 * the folder of CIFAR-10's training batches.
 *
 * @returns null for a path that is none of these by its name, e.g. a folder of pictures
 * @throws VectorFileError when the file cannot be read, or is not what its name says
 */
export async function readImageArrays(path: string): Promise<ImageArrays | null> {
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory()) return cifarBatches(path);
  if (/(\.idx3|[.-]idx3-ubyte)(\.gz)?$/i.test(path)) return readIdxImages(path);
  if (/_X\.bin(\.gz)?$/i.test(path)) return parseStl(path, await readBytes(path));
  if (/\.bin(\.gz)?$/i.test(path)) return parseCifar(path, await readBytes(path));
  if (/\.npy(\.gz)?$/i.test(path)) return parseImageNpy(path, await readBytes(path));
  return null;
}
