import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import type { PairRow, PairSource } from "@concord/data";
import { type MatArray, readMat } from "./mat-file.ts";

/** Names that the released code looks for. */
const keys = {
  index: ["index", "imgs", "FAll"],
  caption: ["caption", "tags", "YAll"],
  label: ["category", "LAll", "labels", "label"],
} as const;
const MAX_BYTES = 2 ** 29;

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** The first file that there is. */
async function firstOf(folder: string, names: readonly string[]): Promise<string> {
  for (const name of names) if (await isFile(join(folder, name))) return join(folder, name);
  throw new Error(`${folder} has no ${names.join(" or ")}, which belongs beside its other files.`);
}

/** Whether a path is a folder in the layout of the released code. */
export async function isReleasedLayout(path: string): Promise<boolean> {
  return (await isFile(join(path, "index.mat"))) || (await isFile(join(path, "index.npy")));
}

async function variable(path: string, names: readonly string[]): Promise<readonly [string, MatArray]> {
  const variables = await readMat(path);
  const name = names.find((candidate) => variables.has(candidate));
  if (name === undefined)
    throw new Error(
      `${path}: expected a variable ${names.join(", ")}; there is ${[...variables.keys()].map((key) => JSON.stringify(key)).join(", ") || "none"}.`,
    );
  return [name, variables.get(name) as MatArray];
}

/** Texts of each item: a matrix of characters, or cells of texts or of cells of texts. */
function textsOf(path: string, name: string, value: MatArray): string[][] {
  if (value.kind === "text") return value.rows.map((row) => [row]);
  if (value.kind === "cells")
    return value.cells.map((cell, i) => {
      if (cell.kind === "text" && cell.rows.length > 0) return [...cell.rows];
      // An empty text is kept as an empty matrix of characters or numbers.
      if (cell.kind === "text" || (cell.kind === "numbers" && cell.data.length === 0)) return [""];
      if (cell.kind === "cells") return textsOf(path, `${name}{${i + 1}}`, cell).flat();
      throw new Error(`${path}: ${name}{${i + 1}} must hold text, got ${describe(cell)}.`);
    });
  throw new Error(`${path}: ${name} must hold texts, got ${describe(value)}.`);
}

function describe(value: MatArray): string {
  if (value.kind === "numbers") return `numbers [${value.shape.join(", ")}]`;
  return value.kind === "other" ? value.what : value.kind;
}

/**
 * Texts of an `.npy` file, as NumPy keeps an array [N] of str or bytes.
 *
 * @throws Error when it is none or broken
 */
async function npyTexts(path: string): Promise<string[]> {
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes; up to ${MAX_BYTES} are read.`);
  const bytes = await readFile(path);
  const long = bytes[6] === 1 ? 2 : 4;
  const start = 8 + long + (bytes.length > 12 ? bytes.readUIntLE(8, long) : 0);
  const header = bytes.toString("latin1", 8 + long, start);
  const type = /'descr':\s*'([<|>=])([US])(\d+)'/.exec(header);
  const shape = /'shape':\s*\((\d+),\)/.exec(header);
  if (bytes.toString("latin1", 1, 6) !== "NUMPY" || !type || type[1] === ">" || type[3] === "0" || !shape)
    throw new Error(`${path} must be an .npy file with an array [N] of texts (NumPy's str or bytes).`);
  const [length, rows] = [Number(type[3]), Number(shape[1])];
  const width = length * (type[2] === "U" ? 4 : 1);
  if (start + rows * width > bytes.length)
    throw new Error(`${path} ends before the last of its ${rows} texts.`);
  return Array.from({ length: rows }, (_, row) => {
    const at = start + row * width;
    if (type[2] === "S") return bytes.toString("utf8", at, at + width).replace(/\0+$/, "");
    const codes = Array.from({ length }, (_, i) => bytes.readUInt32LE(at + 4 * i)).filter((code) => code > 0);
    return codes.map((code) => String.fromCodePoint(Math.min(code, 0x10ffff))).join("");
  });
}

/** Captions of all items, one or several each. */
async function captionsOf(folder: string): Promise<readonly [path: string, captions: string[][]]> {
  const path = await firstOf(folder, ["caption.mat", "caption.txt"]);
  if (path.endsWith(".mat")) return [path, textsOf(path, ...(await variable(path, keys.caption)))];
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes; up to ${MAX_BYTES} are read.`);
  const lines = (await readFile(path, "utf8")).replace(/\r?\n$/, "").split(/\r?\n/);
  return [path, lines.map((line) => [line.trim()])];
}

/**
 * A data set in the layout of the released code: a folder with `index.mat` or `index.npy` (paths of pictures),
 * `caption.mat` or `caption.txt` (a line an item) and `label.mat` (0 or 1, items by labels). Labels have no names there:
 * they are called label1, label2 and so on. Prompts of the released code, `prompt_caption.npz`, are not read.
 *
 * @param folder  with these files
 * @param options.images     folder or archive that paths start from; absolute paths within a folder are made relative
 * @param options.column     what the column of labels is to be called
 * @param options.separator  what parts labels in it
 * @source released code (load_data.py)
 */
export function releasedPairs(
  folder: string,
  options: { readonly images: string; readonly column: string; readonly separator: string },
): PairSource {
  const root = resolve(options.images);
  return {
    file: folder,
    async *rows(): AsyncIterable<PairRow> {
      const index = await firstOf(folder, ["index.mat", "index.npy"]);
      const paths = index.endsWith(".mat")
        ? textsOf(index, ...(await variable(index, keys.index))).map(([path = ""]) => path)
        : await npyTexts(index);
      const [captionFile, captions] = await captionsOf(folder);
      const labelFile = await firstOf(folder, ["label.mat"]);
      const [name, labels] = await variable(labelFile, keys.label);
      if (labels.kind !== "numbers" || labels.shape.length !== 2)
        throw new Error(`${labelFile}: ${name} must hold numbers [items, labels], got ${describe(labels)}.`);
      const [items, width] = labels.shape as [number, number];
      if (captions.length !== paths.length || items !== paths.length)
        throw new Error(
          `${folder}: ${index} names ${paths.length} pictures, but ${captionFile} has captions of ${captions.length} and ${labelFile} labels of ${items}.`,
        );
      const odd = labels.data.findIndex((value) => value !== 0 && value !== 1);
      if (odd >= 0)
        throw new Error(
          `${labelFile}: ${name} must hold 0 and 1, got ${labels.data[odd]} in row ${(odd % items) + 1}.`,
        );
      for (const [i, path] of paths.entries()) {
        const held = Array.from({ length: width }, (_, c) => c).filter(
          (c) => labels.data[c * items + i] === 1,
        );
        const text = held.map((c) => `label${c + 1}`).join(options.separator);
        const image = isAbsolute(path) ? relative(root, path) : path;
        for (const caption of captions[i] as string[])
          yield { image, caption, labels: new Map([[options.column, text]]), file: folder, line: i + 1 };
      }
    },
  };
}
