import { type ArrayBytes, type ArrayLimits, arrayRows, checkVectorArray } from "./array-rows.ts";
import type { ByteFile } from "./byte-file.ts";
import { type ArrayLayout, npyStartBytes, parseNpyHeader } from "./npy-header.ts";
import type { RawRows } from "./raw-rows.ts";
import { VectorFileError } from "./source.ts";

/** The layout of a `.npy` file, which must hold exactly the bytes that its shape takes. */
export async function npyLayout(file: ByteFile): Promise<ArrayLayout> {
  const layout = parseNpyHeader(await file.read(0, Math.min(npyStartBytes, file.size)), file.path);
  const present = file.size - layout.dataOffset;
  if (present !== layout.dataBytes) {
    const what = present < layout.dataBytes ? "is truncated" : "has bytes after its array";
    throw new VectorFileError(
      file.path,
      `${what}: shape (${layout.shape.join(", ")}) of ${layout.element.name} takes ${layout.dataBytes} bytes, ` +
        `${present} are there`,
    );
  }
  return layout;
}

/** An array that lies uncompressed in a file. */
export function plainBytes(file: ByteFile, start: number): ArrayBytes {
  return {
    async sequential() {
      let offset = start;
      return {
        async next(length) {
          const bytes = await file.read(offset, length);
          offset += length;
          return bytes;
        },
        close: async () => {},
      };
    },
    at: (offset, length) => file.read(start + offset, length),
  };
}

export async function npyRows(file: ByteFile, limits: ArrayLimits): Promise<RawRows> {
  const layout = await npyLayout(file);
  checkVectorArray(file.path, layout, limits);
  return arrayRows(file.path, layout, plainBytes(file, layout.dataOffset), {}, () => file.close());
}
