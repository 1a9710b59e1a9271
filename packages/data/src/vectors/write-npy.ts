import type { OutputFile } from "./output-file.ts";
import type { EncoderOptions, VectorEncoder } from "./vector-writer.ts";

/** As NumPy writes it: room for the number of rows to grow, and values that begin at a multiple of 64 bytes. */
const headerBytes = 128;

/** NumPy's format 1.0. The number of rows is filled in at the end. */
export function npyEncoder(file: OutputFile, { width, dtype }: EncoderOptions): VectorEncoder {
  return {
    begin: () => file.write(header(0, width, dtype)),
    write: ({ values }) => file.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
    end: (rows) => file.write(header(rows, width, dtype), 0),
  };
}

function header(rows: number, width: number, dtype: "float32" | "uint8"): Uint8Array {
  const bytes = Buffer.alloc(headerBytes, " ", "latin1");
  bytes.write("\x93NUMPY\x01\x00", "latin1");
  bytes.writeUInt16LE(headerBytes - 10, 8);
  const descr = dtype === "uint8" ? "|u1" : "<f4";
  bytes.write(`{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${width}), }`, 10, "latin1");
  bytes.write("\n", headerBytes - 1, "latin1");
  return bytes;
}
