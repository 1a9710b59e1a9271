/** The engine has the type; the language's library does not describe it yet. */
interface HalfArray {
  readonly buffer: ArrayBuffer;
  readonly length: number;
  [index: number]: number;
}
interface HalfArrayConstructor {
  new (values: ArrayLike<number>): HalfArray;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): HalfArray;
}
const { Float16Array: Half } = globalThis as unknown as { readonly Float16Array: HalfArrayConstructor };

/** A vector as bytes, little-endian as on every machine that Node runs on. */
export function encodeVector(vector: Float32Array, format: "f16" | "f32"): Uint8Array {
  if (format === "f16") return new Uint8Array(new Half(vector).buffer);
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).slice();
}

/** Reads a vector of `encodeVector` into `target` at `offset`. */
export function decodeVector(
  bytes: Uint8Array,
  format: "f16" | "f32",
  target: Float32Array,
  offset: number,
): void {
  // A copy: rows of a database start at any byte, typed arrays do not.
  const { buffer } = bytes.slice();
  target.set(
    format === "f16" ? new Half(buffer as ArrayBuffer, 0, bytes.length / 2) : new Float32Array(buffer),
    offset,
  );
}
