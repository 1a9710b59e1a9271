import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type PairSource, shownValue } from "./rows.ts";
import { readLines } from "./text-file.ts";

export interface ImageFolderOptions {
  /** Folder under the root, e.g. "train" or "val". Without it the class folders lie in the root itself. */
  readonly split?: string;
  /** File with a line `id<TAB>name` per class; folders are named by id. Without it a folder's name is the class. */
  readonly classList?: string;
  /** Caption of an image, with the placeholder `{class}`. Default "a photo of {class}". */
  readonly template?: string;
}

/** One class of an image folder. */
export interface FolderClass {
  /** Name of the folder. */
  readonly id: string;
  readonly name: string;
}

const imageFile = /\.(jpe?g|png|webp)$/i;

/**
 * A classification set laid out as `root/split/class/*.jpg`. Images carry the label "class" and, as caption,
 * the template filled with the class name; paths are relative to the root. Folders that the class list lacks
 * are reported and skipped. Classes and files come in the order of their names.
 *
 * @throws Error when a folder or the class list cannot be read, or the template lacks its placeholder
 */
export function imageFolderPairs(root: string, options: ImageFolderOptions = {}): PairSource {
  const { split = "", classList, template = "a photo of {class}" } = options;
  if (!template.includes("{class}"))
    throw new RangeError(`imageFolderPairs: the template "${template}" lacks the placeholder {class}`);
  const folder = join(root, split);
  return {
    file: folder,
    async *rows(report) {
      const classNames = classList === undefined ? undefined : await readClassNames(classList);
      for (const id of await directoriesIn(folder)) {
        const name = classNames ? classNames.get(id) : id;
        if (name === undefined) {
          const reason = "class folder is not in the class list";
          report({ file: folder, line: 0, reason, value: shownValue(id) });
          continue;
        }
        const caption = template.replaceAll("{class}", () => name);
        const labels = new Map([["class", name]]);
        for (const file of (await readdir(join(folder, id))).sort()) {
          if (!imageFile.test(file)) continue;
          const image = [split, id, file].filter((part) => part !== "").join("/");
          yield { image, caption, labels, file: folder, line: 0 };
        }
      }
    },
  };
}

/** The classes of an image folder, in the order of the class list, else of the folders' names. */
export async function imageFolderClasses(
  root: string,
  options: ImageFolderOptions = {},
): Promise<FolderClass[]> {
  if (options.classList !== undefined)
    return Array.from(await readClassNames(options.classList), ([id, name]) => ({ id, name }));
  return (await directoriesIn(join(root, options.split ?? ""))).map((id) => ({ id, name: id }));
}

/**
 * Pictures that lie in a folder itself, in the order of their names, and whether folders in it hold pictures too: a
 * folder without classes, one of classes, or something of both.
 *
 * @throws Error when there is no folder
 */
export async function looseImages(
  root: string,
): Promise<{ readonly names: readonly string[]; readonly inFolders: boolean }> {
  const folders = await directoriesIn(root);
  const entries = await readdir(root, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile() && imageFile.test(entry.name));
  let inFolders = false;
  for (const folder of folders)
    inFolders ||= (await readdir(join(root, folder))).some((name) => imageFile.test(name));
  return { names: names.map(({ name }) => name).sort(), inFolders };
}

async function directoriesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new Error(`There is no image folder at ${folder}.`, { cause });
  });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

async function readClassNames(file: string): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for await (const { text, line } of readLines(file)) {
    if (text !== null && text.trim() === "") continue;
    const [id, name, ...rest] = (text ?? "").split("\t").map((part) => part.trim());
    if (!id || !name || rest.length > 0)
      throw new Error(
        `${file}:${line}: a line must be id<TAB>name, got ${JSON.stringify(shownValue(text ?? ""))}`,
      );
    if (names.has(id)) throw new Error(`${file}:${line}: class ${JSON.stringify(id)} is listed twice`);
    names.set(id, name);
  }
  if (names.size === 0) throw new Error(`${file} lists no class`);
  return names;
}
