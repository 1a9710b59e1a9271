import type { NDArray } from "@concord/tensor";

const MAGIC = "\x93NUMPY\x01\x00";
const PREAMBLE_BYTES = MAGIC.length + 2;
const ALIGNMENT = 64;

/** NumPy's `.npy` format, version 1.0, little-endian float32, row-major: `numpy.load` reads it. */
export function encodeNpy(array: NDArray<"float32">): Uint8Array[] {
  const shape = array.shape.length === 1 ? `(${array.shape[0]},)` : `(${array.shape.join(", ")})`;
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = Math.ceil((PREAMBLE_BYTES + header.length + 1) / ALIGNMENT) * ALIGNMENT - PREAMBLE_BYTES;
  if (padded > 0xffff) throw new RangeError("npy: the shape has too many axes");
  const head = Buffer.alloc(PREAMBLE_BYTES + padded, " ", "latin1");
  head.write(MAGIC, "latin1");
  head.writeUInt16LE(padded, MAGIC.length);
  head.write(header, PREAMBLE_BYTES, "latin1");
  head.write("\n", head.length - 1, "latin1");
  return [head, new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength)];
}

/**
 * Reads what `encodeNpy` writes.
 *
 * @throws Error when the bytes are another format, version or element type, or do not fill the shape
 */
export function decodeNpy(bytes: Uint8Array): NDArray<"float32"> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < PREAMBLE_BYTES || buffer.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    throw new Error("npy: expected a file of format version 1.0");
  }
  const start = PREAMBLE_BYTES + buffer.readUInt16LE(MAGIC.length);
  const header = buffer.toString("latin1", PREAMBLE_BYTES, start);
  const match = /'descr': '<f4', 'fortran_order': False, 'shape': \(([\d, ]*)\)/.exec(header);
  if (!match)
    throw new Error(`npy: expected row-major little-endian float32, got ${JSON.stringify(header.trim())}`);
  const shape = (match[1] as string)
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  const size = shape.reduce((product, length) => product * length, 1);
  if (buffer.length - start !== 4 * size) {
    throw new Error(`npy: shape [${shape.join(", ")}] takes ${4 * size} bytes, got ${buffer.length - start}`);
  }
  const data = new Float32Array(size);
  new Uint8Array(data.buffer).set(buffer.subarray(start));
  return { dtype: "float32", shape, data };
}
