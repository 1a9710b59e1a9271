import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isTable, type RowProblem, readTable } from "@concord/data";
import type { Key } from "@concord/tensor";
import { TEMPLATES } from "./attributes.ts";
import type { Sensor } from "./defaults.ts";
import { jsonRows } from "./own-annotations.ts";

/** Most rows of a file. */
const MAX_ROWS = 5_000_000;
const MAX_CAPTION = 10_000;

/** One usable row: a sample with one of its captions. */
export interface Row {
  /** In the files of its sensor. Frames of a clip are separated by |, or lie in a folder that the path names. */
  readonly path: string;
  readonly caption: string;
  /** Colour picture of the same event, in the files of the pictures. */
  readonly picture?: string;
  /** Its class. */
  readonly label?: string;
  /** What it belongs with across sensors; default its class, else its caption. */
  readonly owner?: string;
  /** Samples of one group are on one side of the split. Default: the path. */
  readonly group?: string;
  /** Line, or number of the record. */
  readonly line: number;
}

export type Report = (problem: Omit<RowProblem, "file">) => void;

/** What to read and how. */
export interface RowRequest {
  /** A table, a .json of annotations, or a folder of classes. */
  readonly table: string;
  /** Where paths start. */
  readonly root: string;
  /** Where paths of colour pictures start. */
  readonly pictureRoot: string;
  readonly sensor: Sensor | "image";
  readonly labelColumn: string | undefined;
  /** Which frame and which frame's caption stands for a clip. */
  readonly key: Key;
  readonly report: Report;
}

/** Extensions of a sensor's files. */
const FILES: Readonly<Record<Sensor | "image", RegExp>> = {
  image: /\.(jpe?g|png|webp)$/i,
  infrared: /\.(jpe?g|png|webp)$/i,
  video: /\.(jpe?g|png|webp)$/i,
  depth: /\.png$/i,
  audio: /\.(wav|wave|flac)$/i,
};

/** Whether a file of this name can hold rows. */
export function isRowFile(path: string): boolean {
  return isTable(path) || /\.json$/i.test(path);
}

/**
 * The rows of a user's file. Those that cannot be used are reported.
 *
 * @throws Error when the file cannot be read, is of none of the known formats, lacks a column, or has too many rows
 */
export async function readRows(request: RowRequest): Promise<Row[]> {
  const { table, report } = request;
  const source = isTable(table)
    ? tableRows(request)
    : /\.json$/i.test(table)
      ? jsonRows(request)
      : classRows(request);
  const rows: Row[] = [];
  for await (const row of source) {
    const caption = row.caption.trim();
    const { line } = row;
    if (!caption) report({ line, reason: "empty caption", value: "" });
    else if (caption.length > MAX_CAPTION)
      report({ line, reason: `caption over ${MAX_CAPTION} characters`, value: caption.slice(0, 40) });
    else rows.push({ ...row, caption });
    if (rows.length > MAX_ROWS) throw new Error(`${table} has more than ${MAX_ROWS} rows.`);
  }
  return rows;
}

/** Names that published tables have for columns of ours: AudioCaps and Clotho, MSR-VTT. */
const PATH_COLUMNS: Readonly<Partial<Record<Sensor | "image", readonly string[]>>> = {
  audio: ["file_name", "youtube_id"],
  video: ["video_id"],
};
const CAPTION_COLUMNS = ["caption", "sentence"] as const;

async function* tableRows({ table, sensor, labelColumn, report }: RowRequest): AsyncGenerator<Row> {
  for await (const row of readTable(table)) {
    if ("reason" in row) {
      report(row);
      continue;
    }
    const { values, line } = row;
    const text = (name: string): string | undefined => {
      const value = values[name];
      return value === undefined || value === null || value === "" ? undefined : String(value);
    };
    const there = (names: readonly string[]): string | undefined => names.find((name) => name in values);
    const column = there([sensor, ...(PATH_COLUMNS[sensor] ?? [])]);
    // Clotho has five captions of a sound, side by side.
    const numbered = Object.keys(values).filter((name) => /^caption_\d+$/.test(name));
    const said = there(CAPTION_COLUMNS);
    const missing =
      column === undefined ? sensor : said === undefined && numbered.length === 0 ? "caption" : null;
    if (missing !== null)
      throw new Error(
        `${table}: there is no column "${missing}"; there are ${Object.keys(values)
          .map((key) => JSON.stringify(key))
          .join(", ")}.`,
      );
    const path = text(column as string);
    if (path === undefined) {
      report({ line, reason: `no path in the column ${column}`, value: "" });
      continue;
    }
    const [picture, label] = [text("image"), labelColumn === undefined ? undefined : text(labelColumn)];
    for (const name of said === undefined ? numbered : [said])
      yield {
        path: column === "youtube_id" ? `${path}.wav` : path,
        caption: text(name) ?? "",
        ...(picture !== undefined && sensor !== "image" && { picture }),
        ...(label !== undefined && { label }),
        line,
      };
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new Error(`There is no folder at ${folder}.`, { cause });
  });
  return entries
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** A folder of one folder for each class: its name is the label, and the caption names it. Of video, clips are folders. */
async function* classRows({ table, sensor, report }: RowRequest): AsyncGenerator<Row> {
  const template = TEMPLATES[sensor === "image" ? "rgb" : sensor][0] as string;
  let classes = 0;
  for (const folder of await entriesOf(table)) {
    if (!folder.isDirectory()) {
      report({ line: 0, reason: "not a class folder", value: folder.name });
      continue;
    }
    classes++;
    const label = folder.name.replaceAll("_", " ");
    for (const entry of await entriesOf(join(table, folder.name))) {
      const path = `${folder.name}/${entry.name}`;
      if (sensor === "video" ? !entry.isDirectory() : !FILES[sensor].test(entry.name)) {
        const wanted = sensor === "video" ? "a folder of frames" : `a file of ${sensor}`;
        report({ line: 0, reason: `not ${wanted}`, value: path });
        continue;
      }
      yield { path, caption: template.replace("{}", () => label), label, line: 0 };
    }
  }
  if (classes === 0)
    throw new Error(
      `${table}: expected one folder for each class, with files of ${sensor} in it; there is none.`,
    );
}

/** The pictures in a folder, in the order of their numbers, then names. @throws Error when there is none */
export async function framesIn(root: string, folder: string): Promise<string[]> {
  const entries = await entriesOf(join(root, folder));
  const number = (name: string): number => Number(/(\d+)\.\w+$/.exec(name)?.[1] ?? 0);
  return entries
    .filter(({ name }) => FILES.video.test(name))
    .map(({ name }) => `${folder}/${name}`)
    .sort((a, b) => number(a) - number(b) || (a < b ? -1 : 1));
}
