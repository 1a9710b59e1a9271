import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { NDArray } from "@concord/tensor";
import { type Affine, nearestAxes, orderVoxels } from "../volumes/orientation.ts";

const gunzipAsync = promisify(gunzip);

/** A file is no NIfTI volume that can be read; the message names the file where one was opened. */
export class NiftiError extends Error {
  override readonly name = "NiftiError";
}

export interface NiftiLimits {
  /** Most bytes of a file, before and after decompression. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Most voxels. Default 2^27, 512 MiB as float32: a scan of 512 × 512 × 512. */
  readonly maxVoxels?: number;
}

export interface NiftiVolume {
  /** [X, Y, Z], axes in the order that comes closest to right, front, up (RAS+). */
  readonly volume: NDArray<"float32">;
  /** Millimetres between voxels along these axes. */
  readonly spacing: readonly [number, number, number];
}

const defaultLimits = { maxBytes: 2 ** 30, maxVoxels: 2 ** 27 } as const;

/** Reads a number of one type; offsets are in bytes. */
interface ElementType {
  readonly name: string;
  readonly bytes: number;
  readonly read: (view: DataView, at: number, little: boolean) => number;
}

/** By the code in the header. */
const elementTypes: Readonly<Record<number, ElementType>> = {
  2: { name: "uint8", bytes: 1, read: (v, at) => v.getUint8(at) },
  4: { name: "int16", bytes: 2, read: (v, at, little) => v.getInt16(at, little) },
  8: { name: "int32", bytes: 4, read: (v, at, little) => v.getInt32(at, little) },
  16: { name: "float32", bytes: 4, read: (v, at, little) => v.getFloat32(at, little) },
  64: { name: "float64", bytes: 8, read: (v, at, little) => v.getFloat64(at, little) },
  256: { name: "int8", bytes: 1, read: (v, at) => v.getInt8(at) },
  512: { name: "uint16", bytes: 2, read: (v, at, little) => v.getUint16(at, little) },
  768: { name: "uint32", bytes: 4, read: (v, at, little) => v.getUint32(at, little) },
  1024: { name: "int64", bytes: 8, read: (v, at, little) => Number(v.getBigInt64(at, little)) },
  1280: { name: "uint64", bytes: 8, read: (v, at, little) => Number(v.getBigUint64(at, little)) },
};

/** What both versions of the header say, at other places and in other widths. */
interface Header {
  readonly little: boolean;
  readonly sizes: readonly [number, number, number];
  readonly type: ElementType;
  readonly offset: number;
  readonly slope: number;
  readonly intercept: number;
  readonly affine: Affine;
}

const HEADER_SIZES = { 1: 348, 2: 540 } as const;

/** Version and byte order, from the first number. */
function formatOf(view: DataView): { readonly version: 1 | 2; readonly little: boolean } {
  if (view.byteLength >= HEADER_SIZES[1])
    for (const version of [1, 2] as const)
      for (const little of [true, false])
        if (view.getInt32(0, little) === HEADER_SIZES[version]) return { version, little };
  throw new NiftiError("it is no NIfTI file: the header does not begin with 348 or 540");
}

function readHeader(view: DataView, maxVoxels: number): Header {
  const { version, little } = formatOf(view);
  if (view.byteLength < HEADER_SIZES[version] + 4)
    throw new NiftiError(`it is truncated within its header: ${view.byteLength} bytes`);
  const first = version === 1;
  const int16 = (at: number): number => view.getInt16(at, little);
  const float = (one: number, two: number): number =>
    first ? view.getFloat32(one, little) : view.getFloat64(two, little);
  const integer = (one: number, two: number): number => (first ? int16(one) : view.getInt32(two, little));
  const magic = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + (first ? 344 : 4), 3));
  if (magic === "ni1" || magic === "ni2")
    throw new NiftiError("it is the header of a pair (.hdr and .img); save the volume as one .nii file");
  if (magic !== (first ? "n+1" : "n+2")) throw new NiftiError(`it has the magic ${JSON.stringify(magic)}`);

  const dimension = (i: number): number =>
    first ? int16(40 + 2 * i) : Number(view.getBigInt64(16 + 8 * i, little));
  const rank = dimension(0);
  if (!(rank >= 1 && rank <= 7)) throw new NiftiError(`it claims ${rank} axes, expected 1 to 7`);
  const sizes = Array.from({ length: 7 }, (_, i) => (i < rank ? dimension(i + 1) : 1));
  if (sizes.some((size) => size < 1))
    throw new NiftiError(`it has axes of [${sizes.slice(0, rank).join(", ")}]`);
  if (sizes.slice(3).some((size) => size !== 1))
    throw new NiftiError(
      `it has axes of [${sizes.slice(0, rank).join(", ")}]: more than one volume; save one volume a file`,
    );
  const voxels = sizes.reduce((product, size) => product * size, 1);
  if (voxels > maxVoxels) throw new NiftiError(`it claims ${voxels} voxels; at most ${maxVoxels} are read`);

  const code = first ? int16(70) : int16(12);
  const type = elementTypes[code];
  if (!type)
    throw new NiftiError(
      `its voxels have the type of code ${code}; integers of 8 to 64 bits, float32 and float64 can be read`,
    );
  const offset = first ? view.getFloat32(108, little) : Number(view.getBigInt64(168, little));
  if (!Number.isInteger(offset) || offset < HEADER_SIZES[version] || offset > Number.MAX_SAFE_INTEGER)
    throw new NiftiError(`its voxels begin at byte ${offset}, within the header or nowhere`);
  const missing = offset + voxels * type.bytes - view.byteLength;
  if (missing > 0)
    throw new NiftiError(
      `it is truncated: [${sizes.slice(0, 3).join(", ")}] of ${type.name} lack ${missing} bytes`,
    );
  const slope = float(112, 176);
  const intercept = float(116, 184);
  const isScaled = Number.isFinite(slope) && slope !== 0;
  return {
    little,
    sizes: sizes.slice(0, 3) as [number, number, number],
    type,
    offset,
    slope: isScaled ? slope : 1,
    intercept: isScaled && Number.isFinite(intercept) ? intercept : 0,
    affine: readAffine(float, integer),
  };
}

/** sform, else qform, else the voxel sizes alone, in the order of the standard. */
function readAffine(
  float: (one: number, two: number) => number,
  integer: (one: number, two: number) => number,
): Affine {
  const row = (i: number): readonly [number, number, number, number] => {
    const at = (k: number): number => float(280 + 16 * i + 4 * k, 400 + 32 * i + 8 * k);
    return [at(0), at(1), at(2), at(3)];
  };
  const valid = (affine: Affine): boolean =>
    affine.flat().every(Number.isFinite) && [0, 1, 2].every((axis) => affine.some((r) => r[axis] !== 0));
  const sform: Affine = [row(0), row(1), row(2)];
  if (integer(254, 348) > 0 && valid(sform)) return sform;

  const size = (i: number): number => {
    const value = Math.abs(float(76 + 4 * (i + 1), 104 + 8 * (i + 1)));
    return Number.isFinite(value) && value > 0 ? value : 1;
  };
  const [dx, dy, dz] = [size(0), size(1), size(2)];
  const [b, c, d] = [float(256, 352), float(260, 360), float(264, 368)];
  if (integer(252, 344) > 0 && [b, c, d].every(Number.isFinite)) {
    const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
    // pixdim[0] is -1 where the third axis is mirrored.
    const z = float(76, 104) < 0 ? -dz : dz;
    const qform: Affine = [
      [
        (a * a + b * b - c * c - d * d) * dx,
        2 * (b * c - a * d) * dy,
        2 * (b * d + a * c) * z,
        float(268, 376),
      ],
      [
        2 * (b * c + a * d) * dx,
        (a * a + c * c - b * b - d * d) * dy,
        2 * (c * d - a * b) * z,
        float(272, 384),
      ],
      [
        2 * (b * d - a * c) * dx,
        2 * (c * d + a * b) * dy,
        (a * a + d * d - b * b - c * c) * z,
        float(276, 392),
      ],
    ];
    if (valid(qform)) return qform;
  }
  return [
    [dx, 0, 0, 0],
    [0, dy, 0, 0],
    [0, 0, dz, 0],
  ];
}

/**
 * A volume out of the bytes of a NIfTI-1 or NIfTI-2 file, not compressed: values scaled by slope and intercept, axes
 * turned to right, front, up as far as that needs no interpolation.
 *
 * @throws NiftiError when the header is broken, claims more than the bytes hold or than the limit, or the file holds
 *   several volumes, complex numbers or colours
 * @source NIfTI-1.1 and NIfTI-2 data format, nifti1.h and nifti2.h
 */
export function decodeNifti(bytes: Uint8Array, limits: NiftiLimits = {}): NiftiVolume {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, limits.maxVoxels ?? defaultLimits.maxVoxels);
  const { little, sizes, type, offset, slope, intercept, affine } = header;
  const voxels = new Float32Array(sizes[0] * sizes[1] * sizes[2]);
  for (let i = 0; i < voxels.length; i++)
    voxels[i] = slope * type.read(view, offset + i * type.bytes, little) + intercept;
  const order = nearestAxes(affine);
  const spacing = order.axes.map((axis) => Math.hypot(...affine.map((row) => row[axis] as number)));
  return {
    volume: orderVoxels(voxels, sizes, order),
    spacing: spacing as [number, number, number],
  };
}

/** The bytes of a regular file within the limit. */
async function readWhole(path: string, maxBytes: number): Promise<Buffer> {
  // A pipe would be waited for; it is refused instead.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new NiftiError("it is not a regular file");
    if (info.size > maxBytes) throw new NiftiError(`it has ${info.size} bytes; at most ${maxBytes} are read`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/**
 * The volume in a `.nii` or `.nii.gz` file, or in its bytes; compression is told by the first ones.
 *
 * @throws NiftiError naming the file when it cannot be opened, inflated within the limit or decoded
 */
export async function readNifti(source: string | Uint8Array, limits: NiftiLimits = {}): Promise<NiftiVolume> {
  const maxBytes = limits.maxBytes ?? defaultLimits.maxBytes;
  try {
    const bytes = typeof source === "string" ? await readWhole(source, maxBytes) : source;
    const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return decodeNifti(
      isCompressed ? await gunzipAsync(bytes, { maxOutputLength: maxBytes }) : bytes,
      limits,
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === "ENOENT"
        ? "there is no such file"
        : code === "ERR_BUFFER_TOO_LARGE"
          ? `it inflates to more than ${maxBytes} bytes`
          : (error as Error).message;
    const name = typeof source === "string" ? `${source} ` : "the volume ";
    throw new NiftiError(`${name}cannot be read: ${reason}`, { cause: error });
  }
}
