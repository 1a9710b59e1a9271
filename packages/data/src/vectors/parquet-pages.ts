import type { ColumnMetaData, PageHeader, SchemaTree } from "hyparquet";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert, DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import type { ColumnDecoder, DecodedArray } from "hyparquet/src/types.js";
import type { ByteFile } from "./byte-file.ts";
import { decompress } from "./parquet-codecs.ts";

/** Most values in one page. Writers end a page at about 1 MiB. */
const maxPageValues = 2 ** 24;
/** Most bytes of a page in the file. */
const maxPageBytes = 2 ** 28;
/** A header is short unless its statistics hold long texts. */
const headerBytes = [2 ** 12, 2 ** 20];

/** A column without children, and the way to it. */
export interface Leaf {
  /** From the root of the schema to the leaf. */
  readonly path: readonly SchemaTree[];
}

/**
 * The values of one column in one row group, page by page, so that a large row group need not be held. Run lengths
 * and counts are checked before anything is allocated by them.
 *
 * @returns rows of values: plain values, or lists where the column has lists; null for what is missing
 */
export async function* leafRows(
  file: ByteFile,
  { path }: Leaf,
  chunk: ColumnMetaData,
  utf8: boolean,
): AsyncGenerator<readonly unknown[]> {
  const repeats = path.some(({ element }) => element.repetition_type === "REPEATED");
  // Each optional level above a list or a leaf wraps its value once more in the library's output.
  const listDepth = path.findIndex(({ element }) => element.repetition_type === "REPEATED");
  const above = path.slice(1, repeats ? listDepth : -1);
  const wrapped = above.filter(({ element }) => element.repetition_type === "OPTIONAL").length;
  const decoder: ColumnDecoder = {
    pathInSchema: chunk.path_in_schema,
    type: chunk.type,
    element: (path.at(-1) as SchemaTree).element,
    schemaPath: [...path],
    codec: "UNCOMPRESSED",
    parsers: DEFAULT_PARSERS,
    utf8,
  };
  const unwrap = (row: unknown): unknown => {
    let value = row;
    for (let i = 0; i < wrapped; i++) value = Array.isArray(value) ? value[0] : value;
    return value ?? null;
  };
  let dictionary: DecodedArray | undefined;
  let carried: unknown[] = [];
  for await (const { header, bytes } of pages(file, chunk, decoder)) {
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    const { data } = readPage(reader, header, decoder, dictionary, repeats ? carried : undefined, 0);
    if (header.type === "DICTIONARY_PAGE") {
      if (data) dictionary = convert(data, decoder);
      continue;
    }
    if (!data) continue;
    if (!repeats) yield Array.from(data as ArrayLike<unknown>, unwrap);
    else {
      // The last row may go on in the next page.
      carried = (data as unknown[]).slice(-1);
      yield (data as unknown[]).slice(0, -1).map(unwrap);
    }
  }
  if (carried.length > 0) yield carried.map(unwrap);
}

interface Page {
  readonly header: PageHeader;
  /** Decompressed. */
  readonly bytes: Uint8Array;
}

async function* pages(file: ByteFile, chunk: ColumnMetaData, decoder: ColumnDecoder): AsyncGenerator<Page> {
  const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
  const end = start + Number(chunk.total_compressed_size);
  if (!(start >= 4 && end <= file.size))
    throw new Error(`a column lies at bytes ${start} to ${end} of ${file.size}`);
  const total = Number(chunk.num_values);
  let values = 0;
  for (let at = start; at < end && values < total; ) {
    const { header, length } = await readHeader(file, at, end);
    at += length;
    const size = header.compressed_page_size;
    if (!(size >= 0 && size <= maxPageBytes && at + size <= end))
      throw new Error(`a page of ${size} bytes at byte ${at} does not fit its column`);
    const compressed = await file.read(at, size);
    at += size;
    const count = pageValues(header);
    if (count === null) continue;
    if (!(count >= 0 && count <= maxPageValues)) throw new Error(`a page announces ${count} values`);
    if (count === 0) continue;
    if (header.type !== "DICTIONARY_PAGE") values += count;
    yield plainPage(header, compressed, chunk, decoder, count);
  }
  if (values !== total) throw new Error(`a column has ${values} values and announces ${total}`);
}

async function readHeader(
  file: ByteFile,
  at: number,
  end: number,
): Promise<{ readonly header: PageHeader; readonly length: number }> {
  for (const [attempt, size] of headerBytes.entries()) {
    const bytes = await file.read(at, Math.min(size, end - at));
    const reader = { view: new DataView(bytes.buffer), offset: 0 };
    try {
      return { header: parquetHeader(reader), length: reader.offset };
    } catch (error) {
      if (attempt === headerBytes.length - 1 || bytes.length < size) throw error;
    }
  }
  throw new Error("a page header does not end");
}

/** Null for pages that hold no values. */
function pageValues(header: PageHeader): number | null {
  if (header.type === "DATA_PAGE") return header.data_page_header?.num_values ?? -1;
  if (header.type === "DATA_PAGE_V2") return header.data_page_header_v2?.num_values ?? -1;
  if (header.type === "DICTIONARY_PAGE") return header.dictionary_page_header?.num_values ?? -1;
  return null;
}

/** The page as an uncompressed one, after a check of all its run lengths. */
function plainPage(
  header: PageHeader,
  compressed: Uint8Array<ArrayBuffer>,
  { codec }: ColumnMetaData,
  decoder: ColumnDecoder,
  count: number,
): Page {
  const announced = header.uncompressed_page_size;
  const v2 = header.data_page_header_v2;
  if (header.type !== "DATA_PAGE_V2" || !v2) {
    const bytes = decompress(codec, compressed, announced);
    if (header.type === "DATA_PAGE")
      checkLevels(bytes, count, decoder, header.data_page_header?.encoding ?? "", null);
    const sizes = { compressed_page_size: bytes.length, uncompressed_page_size: bytes.length };
    return { header: { ...header, ...sizes }, bytes };
  }
  const levels = v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
  if (
    !(v2.repetition_levels_byte_length >= 0 && v2.definition_levels_byte_length >= 0) ||
    levels > compressed.length
  )
    throw new Error(`levels of ${levels} bytes do not fit their page`);
  if (!(v2.num_nulls >= 0 && v2.num_nulls <= count))
    throw new Error(`a page announces ${v2.num_nulls} nulls`);
  const body = compressed.subarray(levels);
  const plain = v2.is_compressed === false ? body : decompress(codec, body, announced - levels);
  const bytes = new Uint8Array(levels + plain.length);
  bytes.set(compressed.subarray(0, levels));
  bytes.set(plain, levels);
  checkLevels(bytes, count, decoder, v2.encoding, [
    v2.repetition_levels_byte_length,
    v2.definition_levels_byte_length,
  ]);
  return {
    header: {
      ...header,
      compressed_page_size: bytes.length,
      uncompressed_page_size: bytes.length,
      data_page_header_v2: { ...v2, is_compressed: false },
    },
    bytes,
  };
}

/**
 * Walks the runs of levels and dictionary indices: a run may not be longer than what is left to fill.
 *
 * @param lengths  bytes of the levels where the header tells them (version 2); null where the page itself does
 */
function checkLevels(
  bytes: Uint8Array,
  count: number,
  { schemaPath, type }: ColumnDecoder,
  encoding: string,
  lengths: readonly [number, number] | null,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const levels = schemaPath.slice(1).map(({ element }) => element.repetition_type);
  const repetition = levels.filter((kind) => kind === "REPEATED").length;
  const definition = levels.filter((kind) => kind !== "REQUIRED").length;
  let at = 0;
  [repetition, definition].forEach((max, i) => {
    if (max === 0 && lengths === null) return;
    const length = lengths ? (lengths[i] as number) : view.getUint32(at, true);
    if (lengths === null) at += 4;
    if (at + length > bytes.length) throw new Error(`levels of ${length} bytes do not fit their page`);
    if (max > 0) checkRuns(bytes, at, at + length, Math.ceil(Math.log2(max + 1)), count, true);
    at += length;
  });
  const indices = encoding === "PLAIN_DICTIONARY" || encoding === "RLE_DICTIONARY";
  if (indices && at < bytes.length) {
    const width = bytes[at] as number;
    if (width > 32) throw new Error(`dictionary indices of ${width} bits`);
    if (width > 0) checkRuns(bytes, at + 1, bytes.length, width, count, false);
  } else if (encoding === "RLE" && type === "BOOLEAN")
    checkRuns(bytes, at + 4, bytes.length, 1, count, false);
}

/** Runs of the RLE / bit-packing hybrid. Of dictionary indices there may be fewer than values: nulls have none. */
function checkRuns(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  count: number,
  all: boolean,
): void {
  let at = start;
  let seen = 0;
  while (at < end && seen < count) {
    let header = 0;
    let shift = 0;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw new Error("a run of values is broken");
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    const run = Math.floor(header / 2);
    if (header % 2 === 1) {
      if (run * 8 > count + 512) throw new Error(`a run of ${run * 8} values in a page of ${count}`);
      at += run * width;
      seen += run * 8;
    } else {
      if (run > count - seen) throw new Error(`a run of ${run} values in a page of ${count}`);
      at += Math.ceil(width / 8);
      seen += run;
    }
    if (run === 0) throw new Error("a run of no values");
  }
  if (all && seen < count) throw new Error(`levels for ${seen} of ${count} values`);
}
