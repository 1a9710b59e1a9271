import { readFileSync } from "node:fs";

interface NumpyFile {
  readonly bytes: Uint8Array;
  /** Null for files that cannot be read. */
  readonly expected: readonly (string | readonly number[])[] | null;
}

/** Files made by `fixtures/make-numpy-files.py`. */
export function numpyFiles(): ReadonlyMap<string, NumpyFile> {
  const stored = JSON.parse(
    readFileSync(new URL("./fixtures/numpy-files.json", import.meta.url), "utf8"),
  ) as Record<string, { readonly base64: string; readonly expected: NumpyFile["expected"] }>;
  return new Map(
    Object.entries(stored).map(([name, { base64, expected }]) => [
      name,
      { bytes: new Uint8Array(Buffer.from(base64, "base64")), expected },
    ]),
  );
}

/** A `.npy` file, whatever its header claims. */
export function npy(descr: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }\n`;
  const head = Buffer.alloc(10);
  head.write("\x93NUMPY\x01\x00", "latin1");
  head.writeUInt16LE(header.length, 8);
  return new Uint8Array(Buffer.concat([head, Buffer.from(header), data]));
}

export function safetensors(
  arrays: Readonly<Record<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>>,
): Uint8Array {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { dtype, shape, bytes }] of Object.entries(arrays)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  return new Uint8Array(Buffer.concat([head, json, ...Object.values(arrays).map(({ bytes }) => bytes)]));
}
