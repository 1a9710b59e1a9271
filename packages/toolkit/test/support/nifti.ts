import type { NDArray } from "@concord/tensor";

export interface NiftiFields {
  readonly spacing?: readonly [number, number, number];
  /** Rows of the map to millimetres; default: the axes of the file run to the right, to the front and up. */
  readonly sform?: readonly (readonly number[])[];
}

/** A scan [X, Y, Z] as a NIfTI-1 file of float32, its first axis the fastest as the format has it. */
export function niftiFile(
  { shape, data }: NDArray,
  { spacing = [1, 1, 1], sform }: NiftiFields = {},
): Buffer {
  const [X = 0, Y = 0, Z = 0] = shape;
  const file = Buffer.alloc(352 + 4 * X * Y * Z);
  file.writeInt32LE(348, 0);
  [3, X, Y, Z, 1, 1, 1, 1].forEach((size, i) => {
    file.writeInt16LE(size, 40 + 2 * i);
  });
  [1, ...spacing].forEach((size, i) => {
    file.writeFloatLE(size, 76 + 4 * i);
  });
  file.writeInt16LE(16, 70);
  file.writeFloatLE(352, 108);
  file.writeInt16LE(sform ? 1 : 0, 254);
  sform?.flat().forEach((value, i) => {
    file.writeFloatLE(value, 280 + 4 * i);
  });
  file.write("n+1\0", 344, "latin1");
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++)
      for (let z = 0; z < Z; z++)
        file.writeFloatLE(Number(data[(x * Y + y) * Z + z]), 352 + 4 * (x + X * (y + Y * z)));
  return file;
}
