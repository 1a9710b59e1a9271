import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { CompressionCodec } from "hyparquet";
import { compressors as portable } from "hyparquet-compressors";

/** Most bytes that one page may announce to hold after decompression. */
const maxPageBytes = 2 ** 28;

type Decompressor = (input: Uint8Array, outputLength: number) => Uint8Array;

/** Native where the runtime has it, so that output stops at what was announced. */
const decompressors: { readonly [codec in CompressionCodec]?: Decompressor } = {
  UNCOMPRESSED: (input) => input,
  SNAPPY: portable.SNAPPY as Decompressor,
  GZIP: (input, maxOutputLength) => gunzipSync(input, { maxOutputLength }),
  BROTLI: (input, maxOutputLength) => brotliDecompressSync(input, { maxOutputLength }),
  ZSTD: (input, maxOutputLength) => zstdDecompressSync(input, { maxOutputLength }),
  LZ4: portable.LZ4 as Decompressor,
  LZ4_RAW: portable.LZ4_RAW as Decompressor,
};

/**
 * @throws Error when the codec is unknown, or the page is broken or does not have the announced length, which is also
 *   the most that is allocated
 */
export function decompress(codec: CompressionCodec, input: Uint8Array, length: number): Uint8Array {
  const decompressor = decompressors[codec];
  if (!decompressor)
    throw new Error(`compression ${codec} is none of ${Object.keys(decompressors).join(", ")}`);
  if (!(length >= 0 && length <= maxPageBytes))
    throw new Error(`a page announces ${length} bytes; at most ${maxPageBytes} are read`);
  if (length === 0) return new Uint8Array(0);
  const output = decompressor(input, length);
  if (output.length !== length)
    throw new Error(`a page holds ${output.length} bytes and announces ${length}`);
  return output;
}
