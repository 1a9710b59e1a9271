import { dirname } from "node:path";
import { ImageFileError, type ImageFiles } from "../images/image-files.ts";
import { ByteFile } from "../vectors/byte-file.ts";
import { unknownName } from "../vectors/names.ts";
import {
  leafAt,
  onlyLeaf,
  openParquet,
  type ParquetFile,
  parquetField,
  parquetSlices,
} from "../vectors/parquet-file.ts";
import type { Leaf } from "../vectors/parquet-pages.ts";
import { VectorFileError } from "../vectors/source.ts";
import { columnNames, type PairColumns, textList } from "./columns.ts";
import { type PairRow, type PairSource, shownValue } from "./rows.ts";

/** Column names of the result cannot clash with these: none contains a NUL. */
const bytesKey = "\0bytes";
const pathKey = "\0path";

interface PairLeaves {
  /** The image itself, where the file holds it. */
  readonly bytes: Leaf | null;
  readonly path: Leaf | null;
  readonly caption: Leaf;
  readonly labels: ReadonlyMap<string, Leaf>;
}

/**
 * Captioned images from a Parquet file. The image column holds a path, the image's bytes, or both in the layout of
 * Hugging Face data sets (a record of `bytes` and `path`). The caption column holds a text or a list of texts; other
 * plain columns become labels. Images inside are read in the file's order: load them with `keep` memory or disk.
 *
 * @throws VectorFileError when the file is broken or lacks a column (the message lists those it has)
 */
export async function parquetPairs(
  path: string,
  columns: PairColumns = {},
): Promise<{ readonly pairs: PairSource; readonly images: string | ImageFiles }> {
  const names = columnNames(columns);
  const source = await ByteFile.open(path);
  let leaves: PairLeaves;
  try {
    leaves = findLeaves(await openParquet(source), names.image, names.caption);
  } finally {
    await source.close();
  }
  const pairs: PairSource = {
    file: path,
    async *rows(report) {
      for await (const { row, slice, at } of rowsOf(path, wanted(leaves))) {
        const place = { file: path, line: row + 1 };
        const captions = textList(slice[names.caption]?.[at]);
        if (captions === null) {
          report({
            ...place,
            reason: "caption is missing or not a text",
            value: shownValue(slice[names.caption]?.[at] ?? null),
          });
          continue;
        }
        const image = leaves.bytes ? `row-${row + 1}` : slice[pathKey]?.[at];
        if (typeof image !== "string") {
          report({ ...place, reason: "image is missing or not a path", value: shownValue(image ?? null) });
          continue;
        }
        const labels = new Map<string, string>();
        for (const name of leaves.labels.keys()) {
          const value = parquetField(slice[name]?.[at]);
          if (value !== null) labels.set(name, String(value));
        }
        for (const caption of captions) yield { image, caption, labels, ...place } satisfies PairRow;
      }
    },
  };
  return { pairs, images: leaves.bytes ? imagesInside(path, leaves.bytes) : dirname(path) };

  function wanted({ path: pathLeaf, bytes, caption, labels }: PairLeaves): Map<string, Leaf> {
    const all = new Map<string, Leaf>([...labels, [names.caption, caption]]);
    if (pathLeaf && !bytes) all.set(pathKey, pathLeaf);
    return all;
  }
}

function findLeaves(file: ParquetFile, image: string, caption: string): PairLeaves {
  const names = file.columns.map(({ element }) => element.name);
  for (const name of [image, caption])
    if (!names.includes(name)) throw new VectorFileError(file.path, unknownName("column", name, names));
  const text = file.columns.find(({ element }) => element.name === caption);
  const captionLeaf = text ? onlyLeaf(file, text) : null;
  if (!captionLeaf)
    throw new VectorFileError(file.path, `column ${JSON.stringify(caption)} holds records, not texts`);
  const plain = leafAt(file, [image]);
  const isText = plain?.path.at(-1)?.element;
  const textual = isText?.converted_type === "UTF8" || isText?.logical_type?.type === "STRING";
  const bytes = leafAt(file, [image, "bytes"]) ?? (plain && !textual ? plain : null);
  const path = leafAt(file, [image, "path"]) ?? (textual ? plain : null);
  if (!bytes && !path)
    throw new VectorFileError(
      file.path,
      `column ${JSON.stringify(image)} holds neither a path nor bytes nor a record of "bytes" and "path"`,
    );
  const labels = new Map<string, Leaf>();
  for (const column of file.columns) {
    const leaf = column.children.length === 0 ? leafAt(file, [column.element.name]) : null;
    if (leaf && column.element.name !== image && column.element.name !== caption && isPlain(leaf))
      labels.set(column.element.name, leaf);
  }
  return { bytes, path, caption: captionLeaf, labels };
}

/** Whether a column holds texts, numbers or booleans, rather than bytes. */
function isPlain({ path }: Leaf): boolean {
  const element = path.at(-1)?.element;
  const text = element?.converted_type === "UTF8" || element?.logical_type?.type === "STRING";
  return element?.repetition_type !== "REPEATED" && (element?.type !== "BYTE_ARRAY" || text);
}

interface Row {
  readonly row: number;
  readonly slice: Readonly<Record<string, readonly unknown[]>>;
  readonly at: number;
}

async function* rowsOf(path: string, leaves: ReadonlyMap<string, Leaf>): AsyncGenerator<Row> {
  const source = await ByteFile.open(path);
  try {
    let row = 0;
    for await (const { rows, columns } of parquetSlices(await openParquet(source), leaves))
      for (let at = 0; at < rows; at++) yield { row: row++, slice: columns, at };
  } finally {
    await source.close();
  }
}

/** Images by the names `row-1`, `row-2`, ...; reading on is cheap, going back starts at the row group. */
function imagesInside(path: string, leaf: Leaf): ImageFiles {
  let reader: { readonly slices: AsyncGenerator<Slice>; current: Slice | null } | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  const read = async (row: number): Promise<unknown> => {
    if (reader === null || (reader.current !== null && row < reader.current.first)) {
      await reader?.slices.return(undefined);
      reader = { slices: slicesFrom(path, leaf, row), current: null };
    }
    while (reader.current === null || row >= reader.current.first + reader.current.values.length) {
      const next: IteratorResult<Slice> = await reader.slices.next();
      if (next.done) {
        reader = null;
        throw new ImageFileError("image file not found");
      }
      reader.current = next.value;
    }
    return reader.current.values[row - reader.current.first];
  };
  return {
    path,
    async locate(name) {
      const row = Number(/^row-(\d{1,15})$/.exec(name)?.[1] ?? Number.NaN) - 1;
      if (!(row >= 0)) throw new ImageFileError("image file not found");
      const found = turn.then(() => read(row));
      turn = found.catch(() => {});
      const bytes = await found;
      if (!(bytes instanceof Uint8Array)) throw new ImageFileError("row holds no image");
      return { kind: "bytes", bytes: new Uint8Array(bytes) };
    },
  };
}

interface Slice {
  readonly first: number;
  readonly values: readonly unknown[];
}

async function* slicesFrom(path: string, leaf: Leaf, row: number): AsyncGenerator<Slice> {
  const source = await ByteFile.open(path);
  try {
    const file = await openParquet(source);
    let first = 0;
    let firstGroup = 0;
    for (const group of file.metadata.row_groups) {
      if (first + Number(group.num_rows) > row) break;
      first += Number(group.num_rows);
      firstGroup++;
    }
    const options = { binary: new Set([bytesKey]), firstGroup };
    for await (const { rows, columns } of parquetSlices(file, new Map([[bytesKey, leaf]]), options)) {
      yield { first, values: columns[bytesKey] ?? [] };
      first += rows;
    }
  } finally {
    await source.close();
  }
}
