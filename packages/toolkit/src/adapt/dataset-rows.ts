import { glob, open, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { type ImageFiles, listColumns, listVolumes, looseImages, openPairs } from "@concord/data";
import type { Modality } from "../encoders/encoder.ts";
import type { SkipLog } from "./dataset.ts";
import { AdaptDataError } from "./errors.ts";

/** Cells by column, and where they stand. */
export type Row = Readonly<Record<string, string | undefined>> & { readonly [at]: string };
export const at = Symbol("where");

/** Rows as cells by column, and where the files that they name are. */
export interface OpenRows {
  readonly rows: AsyncIterable<Row>;
  readonly files: string | ImageFiles | null;
}

/** A table, read by the names of its columns. The first one wanted may hold files, in Parquet their bytes too. */
async function openTable(file: string, wanted: readonly string[], skipped: SkipLog): Promise<OpenRows> {
  const [first, second = first] = wanted as readonly [string, ...string[]];
  const { pairs, images } = await openPairs(file, { image: first, caption: second });
  async function* rows(): AsyncGenerator<Row> {
    for await (const row of pairs.rows(({ line, reason }) => skipped.add(reason, `${file}:${line}`))) {
      const cells = Object.fromEntries(wanted.map((name) => [name, row.labels.get(name)]));
      yield { ...cells, [second]: row.caption, [first]: row.image, [at]: `${row.file}:${row.line}` };
    }
  }
  return { rows: rows(), files: images };
}

/** Pairs of formats that have an image and a caption and no names for them: folders, shards, COCO. */
async function openNamed(file: string, skipped: SkipLog): Promise<OpenRows> {
  const { pairs, images } = await openPairs(file);
  async function* rows(): AsyncGenerator<Row> {
    for await (const { image, caption, labels, file: source, line } of pairs.rows((problem) =>
      skipped.add(problem.reason, `${problem.file}:${problem.line}`),
    ))
      yield { ...Object.fromEntries(labels), image, caption, [at]: `${source}:${line}` };
  }
  return { rows: rows(), files: images };
}

async function* textLines(file: string): AsyncGenerator<Row> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw new AdaptDataError(`There is no file at ${file}.`, { cause });
  });
  let line = 0;
  for await (const text of createInterface({ input: handle.createReadStream(), crlfDelay: Infinity }))
    yield { text, [at]: `${file}:${++line}` };
}

/** Every scan of a decathlon list, or below a folder, is a row. */
async function openScans(path: string): Promise<OpenRows> {
  const isList = /\.json$/i.test(path);
  const folder = isList ? dirname(path) : path;
  const names: string[] = [];
  if (isList) {
    const { training, validation } = await listVolumes(path, null);
    for (const { image } of [...training, ...validation]) names.push(relative(folder, image));
  } else for await (const name of glob("**/*.{nii,nii.gz}", { cwd: folder })) names.push(name);
  async function* rows(): AsyncGenerator<Row> {
    for (const volume of names.sort()) yield { volume, [at]: join(folder, volume) };
  }
  return { rows: rows(), files: folder };
}

/** Every picture of a folder without classes is a row. */
async function openPictures(folder: string): Promise<OpenRows> {
  const { names } = await looseImages(folder);
  async function* rows(): AsyncGenerator<Row> {
    for (const image of names) yield { image, [at]: join(folder, image) };
  }
  return { rows: rows(), files: folder };
}

/** Lines of text, scans of a folder or list, pictures of a folder, or rows of a format of pairs. */
type RowKind = "lines" | "scans" | "pictures" | "pairs";

/** Which rows and columns there are; no columns where the format has no names for them. */
export async function describeRows(
  file: string,
  towers: readonly { readonly modality: Modality }[],
): Promise<{ readonly kind: RowKind; readonly columns: readonly string[] | null }> {
  if (/\.txt$/i.test(file)) return { kind: "lines", columns: ["text"] };
  const modality = towers.length === 1 ? towers[0]?.modality : undefined;
  const isFolder = (await stat(file).catch(() => null))?.isDirectory() ?? false;
  if (modality === "volume" && (isFolder || /\.json$/i.test(file)))
    return { kind: "scans", columns: ["volume"] };
  if (modality === "image" && isFolder) {
    const { names, inFolders } = await looseImages(file);
    if (names.length === 0 && !inFolders)
      throw new AdaptDataError(
        `${file} holds no pictures (.jpg, .png, .webp), neither itself nor in folders of classes.`,
      );
    if (!inFolders) return { kind: "pictures", columns: ["image"] };
  }
  return { kind: "pairs", columns: await listColumns(file) };
}

/** Opens rows as they were described. */
export async function openRows(
  file: string,
  kind: RowKind,
  named: boolean,
  wanted: readonly string[],
  skipped: SkipLog,
): Promise<OpenRows> {
  if (kind === "lines") return { rows: textLines(file), files: null };
  if (kind === "scans") return openScans(file);
  if (kind === "pictures") return openPictures(file);
  return named ? openNamed(file, skipped) : openTable(file, wanted, skipped);
}
