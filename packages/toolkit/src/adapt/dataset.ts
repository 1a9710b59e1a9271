import { open, stat } from "node:fs/promises";
import { ImageFileError, type ImageFiles, openImageFiles } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import type { Encoder, EncoderItem, Modality } from "../encoders/encoder.ts";
import { at, describeRows, openRows } from "./dataset-rows.ts";
import { AdaptDataError } from "./errors.ts";
import type { AdaptRequest, RowLabels } from "./request.ts";

export const MAX_ROWS = 5_000_000;
const MAX_TEXT_CHARACTERS = 100_000;
const MAX_CLASSES = 4096;
/** Largest file of a scan; pictures have the limit of `openImageFiles`. */
const MAX_SCAN_BYTES = 2 ** 30;
/** Bytes of files out of archives that are held in memory. */
const MAX_HELD_BYTES = 2 * 2 ** 30;

/** Rows that cannot be used, counted by reason. */
export interface Skipped {
  readonly count: number;
  readonly byReason: Readonly<Record<string, number>>;
  /** The first few in full. */
  readonly examples: readonly string[];
}

export class SkipLog implements Skipped {
  count = 0;
  readonly byReason: Record<string, number> = {};
  readonly examples: string[] = [];

  add(reason: string, where: string): void {
    this.count++;
    this.byReason[reason] = (this.byReason[reason] ?? 0) + 1;
    if (this.examples.length < 5) this.examples.push(`${where}: ${reason}`);
  }
}

export type TowerData =
  | { readonly kind: "items"; readonly items: readonly EncoderItem[] }
  | { readonly kind: "vectors"; readonly vectors: NDArray<"float32"> };

/** Rows as they were read: one item or vector of each tower, and what is known beside. */
export interface Dataset {
  readonly count: number;
  readonly towers: ReadonlyMap<string, TowerData>;
  readonly labels: readonly RowLabels[] | null;
  readonly groups: readonly string[] | null;
  /** For one tower: what each row is compared with, and how alike they are said to be. */
  readonly compare: readonly EncoderItem[] | null;
  readonly scores: Float64Array | null;
  /** Which column each tower was read from. */
  readonly columns: Readonly<Record<string, string>>;
  readonly skipped: Skipped;
}

/** Names that columns of a kind usually have, most usual first. */
const usualColumns: Readonly<Record<Modality, readonly string[]>> = {
  text: ["text", "caption", "sentence", "sentence1", "title", "name", "description", "label"],
  image: [
    "image",
    "image_path",
    "path",
    "file",
    "filename",
    "filepath",
    "img",
    "picture",
    "photo",
    "png",
    "jpg",
    "jpeg",
    "webp",
  ],
  volume: [
    "volume",
    "scan",
    "image",
    "volume_path",
    "image_path",
    "path",
    "file",
    "filename",
    "nifti",
    "nii",
  ],
  audio: ["audio", "audio_path", "path", "file", "filename", "sound", "wav", "flac"],
  vector: ["vector", "embedding", "features"],
};

function shown(names: readonly string[]): string {
  const some = names.slice(0, 40).map((name) => JSON.stringify(name));
  return some.join(", ") + (names.length > some.length ? ` and ${names.length - some.length} more` : "");
}

function requireColumn(file: string, columns: readonly string[], wanted: string, flag: string): string {
  if (columns.includes(wanted)) return wanted;
  throw new AdaptDataError(
    `${file}: there is no column ${JSON.stringify(wanted)} (${flag}); the columns are ${shown(columns)}`,
  );
}

/** The column of each tower: the one named, else its own name, else a usual one that no other tower has. */
export function chooseColumns(
  file: string,
  columns: readonly string[],
  towers: readonly {
    readonly name: string;
    readonly modality: Modality;
    readonly column?: string | undefined;
  }[],
): Readonly<Record<string, string>> {
  const chosen = new Map<string, string>();
  for (const { name, column } of towers) {
    if (column !== undefined) chosen.set(name, requireColumn(file, columns, column, `--column ${name}=...`));
    else if (columns.includes(name)) chosen.set(name, name);
  }
  for (const { name, modality } of towers) {
    if (chosen.has(name)) continue;
    const taken = new Set(chosen.values());
    const lower = new Map(
      columns.filter((column) => !taken.has(column)).map((column) => [column.toLowerCase(), column]),
    );
    const usual = usualColumns[modality].find((candidate) => lower.has(candidate));
    if (usual === undefined)
      throw new AdaptDataError(
        `${file}: no column looks like ${modality} for '${name}'; the columns are ${shown(columns)}. Name one: --column ${name}=COLUMN`,
      );
    chosen.set(name, lower.get(usual) as string);
  }
  return Object.fromEntries(chosen);
}

/** `a|b`, `a; b` or `["a", "b"]` as labels. */
export function parseLabels(text: string): RowLabels {
  const trimmed = text.trim();
  if (trimmed.startsWith("[")) {
    try {
      const list: unknown = JSON.parse(trimmed);
      if (Array.isArray(list)) return [...new Set(list.map(String).filter(Boolean))];
    } catch {
      // A label may begin with a bracket.
    }
  }
  return [
    ...new Set(
      trimmed
        .split(/[|;]/)
        .map((label) => label.trim())
        .filter(Boolean),
    ),
  ];
}

async function bytesOf(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await file.read(bytes, 0, length, offset);
    if (bytesRead !== length) throw new ImageFileError("the archive ends within the file");
    return bytes;
  } finally {
    await file.close();
  }
}

/** Makes items of cells: texts as they are, files by their names below a folder or archive. */
class ItemMaker {
  readonly #files: ImageFiles | null;
  #held = 0;

  constructor(files: ImageFiles | null) {
    this.#files = files;
  }

  /** The item, or the reason why there is none. */
  async make(modality: Modality, cell: string | undefined): Promise<EncoderItem | string> {
    if (cell === undefined || cell.trim() === "") return "an empty cell";
    if (modality === "text")
      return cell.length <= MAX_TEXT_CHARACTERS ? { text: cell } : "a text that is too long";
    if (modality === "vector") {
      const vector = parseVector(cell);
      return vector ? { vector } : "not a list of finite numbers";
    }
    if (!this.#files) return "no folder of files";
    try {
      const place = await this.#files.locate(cell);
      if (place.kind === "file" && place.offset === 0) {
        if ((await stat(place.path)).size === place.length) return { path: place.path };
      }
      const bytes =
        place.kind === "bytes" ? place.bytes : await bytesOf(place.path, place.offset, place.length);
      if (place.kind === "file") this.#held += bytes.length;
      if (this.#held > MAX_HELD_BYTES)
        throw new AdaptDataError(
          `${this.#files.path}: more than ${MAX_HELD_BYTES} bytes of files; extract the archive first`,
        );
      return { bytes };
    } catch (error) {
      if (error instanceof ImageFileError) return error.message;
      throw error;
    }
  }
}

function parseVector(cell: string): Float32Array | null {
  try {
    const list: unknown = JSON.parse(cell);
    if (!Array.isArray(list) || !list.every((value) => typeof value === "number" && Number.isFinite(value)))
      return null;
    return Float32Array.from(list as number[]);
  } catch {
    return null;
  }
}

interface ItemTower {
  readonly name: string;
  readonly encoder: Encoder;
  readonly column?: string | undefined;
}

/** Rows of a file of pairs, their items checked as far as that needs no encoder. */
export async function readPairs(
  request: AdaptRequest & { readonly pairs: string },
  towers: readonly ItemTower[],
  onRow?: (rows: number) => void,
): Promise<Dataset> {
  const { pairs: file, labelColumn, groupColumn, compareColumn, scoreColumn } = request;
  const skipped = new SkipLog();
  const described = towers.map(({ name, encoder, column }) => ({ name, modality: encoder.modality, column }));
  const { kind, columns } = await describeRows(file, described);
  const known = columns ?? [
    "image",
    "caption",
    ...[labelColumn, groupColumn].filter((name) => name !== undefined),
  ];
  const chosen = chooseColumns(file, known, described);
  const extra: readonly (readonly [string | undefined, string])[] = [
    [labelColumn, "--label-column"],
    [groupColumn, "--group-column"],
    [compareColumn, "--compare"],
    [scoreColumn, "--score"],
  ];
  for (const [name, flag] of extra) if (name !== undefined) requireColumn(file, known, name, flag);
  const isFile = ({ modality }: { readonly modality: Modality }): boolean =>
    modality === "image" || modality === "volume" || modality === "audio";
  const inOrder = [...described.filter(isFile), ...described.filter((tower) => !isFile(tower))];
  const wanted = [
    ...new Set([
      ...inOrder.map(({ name }) => chosen[name] as string),
      ...extra.flatMap(([name]) => name ?? []),
    ]),
  ];
  const opened = await openRows(file, kind, columns === null, wanted, skipped);
  const { rows } = opened;
  const place = request.images ?? opened.files;
  const limits = described.some(({ modality }) => modality === "volume")
    ? { maxFileBytes: MAX_SCAN_BYTES }
    : {};
  const files = typeof place === "string" ? await openImageFiles(place, limits) : place;
  const maker = new ItemMaker(described.some(isFile) ? files : null);

  const items = towers.map((): EncoderItem[] => []);
  const labels: RowLabels[] = [];
  const groups: string[] = [];
  const compare: EncoderItem[] = [];
  const scores: number[] = [];
  let count = 0;
  const first = described[0];
  for await (const row of rows) {
    if (++count > MAX_ROWS) throw new AdaptDataError(`${file} has more than ${MAX_ROWS} rows`);
    if (count % 1000 === 0) onRow?.(count);
    const made = await Promise.all(
      described.map(({ name, modality }) => maker.make(modality, row[chosen[name] as string])),
    );
    const other =
      compareColumn === undefined ? null : await maker.make(first?.modality ?? "text", row[compareColumn]);
    const wrong = [...made, other].find((item) => typeof item === "string");
    const score = scoreColumn === undefined ? 0 : Number.parseFloat(row[scoreColumn] ?? "");
    if (wrong !== undefined || !Number.isFinite(score)) {
      skipped.add(typeof wrong === "string" ? wrong : "the score is no number", row[at]);
      continue;
    }
    made.forEach((item, i) => (items[i] as EncoderItem[]).push(item as EncoderItem));
    if (labelColumn !== undefined) labels.push(parseLabels(row[labelColumn] ?? ""));
    if (groupColumn !== undefined) groups.push(row[groupColumn] ?? "");
    if (other !== null) compare.push(other as EncoderItem);
    if (scoreColumn !== undefined) scores.push(score);
  }
  const kept = items[0]?.length ?? 0;
  if (kept === 0) {
    const [example] = skipped.examples;
    throw new AdaptDataError(
      `${file} has no usable row${example ? `; ${skipped.count} were skipped, e.g. ${example}` : ""}`,
    );
  }
  return {
    count: kept,
    towers: new Map(towers.map(({ name }, i) => [name, { kind: "items", items: items[i] as EncoderItem[] }])),
    labels: labelColumn === undefined ? null : labels,
    groups: groupColumn === undefined ? null : groups,
    compare: compareColumn === undefined ? null : compare,
    scores: scoreColumn === undefined ? null : Float64Array.from(scores),
    columns: chosen,
    skipped,
  };
}

export interface LabelTable {
  /** [rows, C] with 1 where a label holds. */
  readonly values: NDArray<"float32">;
  readonly names: readonly string[];
}

/** Labels as a table of 0 and 1, the labels in the order of their names. @throws AdaptDataError with none or too many */
export function labelTable(labels: readonly RowLabels[]): LabelTable {
  const names = [...new Set(labels.flat())].sort();
  if (names.length === 0) throw new AdaptDataError("The label column is empty in all rows.");
  if (names.length > MAX_CLASSES)
    throw new AdaptDataError(
      `There are ${names.length} different labels, more than ${MAX_CLASSES}; is the label column one of texts or ids?`,
    );
  const place = new Map(names.map((name, i) => [name, i]));
  const data = new Float32Array(labels.length * names.length);
  labels.forEach((row, i) => {
    for (const label of row) data[i * names.length + (place.get(label) as number)] = 1;
  });
  return { values: { dtype: "float32", shape: [labels.length, names.length], data }, names };
}
