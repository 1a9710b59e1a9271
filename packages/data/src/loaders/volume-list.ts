import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { isRecord } from "../json.ts";

/** Files of a scan. */
export interface VolumeFiles {
  readonly name: string;
  readonly image: string;
  readonly label: string | null;
}

export interface ListedVolumes {
  readonly training: readonly VolumeFiles[];
  /** Given apart by a list; empty where the split is ours to make. */
  readonly validation: readonly VolumeFiles[];
  /** Names of label values, where a list gives them. */
  readonly classNames: Readonly<Record<string, string>>;
}

const ENDING = /\.nii(\.gz)?$/;
const MAX_VOLUMES = 100_000;
const MAX_LIST_BYTES = 64 * 2 ** 20;

/** A part of a list: names of files, or of pairs of files. @throws Error that says which entry is none */
function entriesOf(
  list: Readonly<Record<string, unknown>>,
  part: string,
): { image: string; label: string | null }[] {
  const entries = list[part] ?? [];
  if (!Array.isArray(entries) || entries.length > MAX_VOLUMES)
    throw new Error(`"${part}" must be a list of at most ${MAX_VOLUMES} volumes`);
  return entries.map((entry: unknown, i) => {
    if (typeof entry === "string") return { image: entry, label: null };
    const { image, label = null } = isRecord(entry) ? entry : {};
    if (typeof image !== "string" || (label !== null && typeof label !== "string"))
      throw new Error(
        `"${part}" has at place ${i} neither a file's name nor {"image": name, "label": name or none}`,
      );
    return { image, label };
  });
}

/** Names of label values. @throws Error unless they are texts by value */
function classNamesOf({ labels = {} }: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  if (!isRecord(labels) || !Object.values(labels).every((name) => typeof name === "string"))
    throw new Error('"labels" must give names by values, such as {"1": "liver"}');
  return labels as Readonly<Record<string, string>>;
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `${path}: ${error.code === "ENOENT" ? "there is no such file or folder" : error.message}`,
    );
  });
  return found.isDirectory();
}

/** The scans of a folder, with labels of the same file name in another. */
async function listFolder(folder: string, labels: string | null): Promise<ListedVolumes> {
  const names = (await readdir(folder)).filter((name) => ENDING.test(name) && !name.startsWith(".")).sort();
  if (names.length === 0) throw new Error(`${folder} holds no .nii or .nii.gz file`);
  if (names.length > MAX_VOLUMES) throw new Error(`${folder} holds more than ${MAX_VOLUMES} volumes`);
  const labelled = new Set(labels === null ? [] : await readdir(labels));
  if (labels !== null && !names.some((name) => labelled.has(name)))
    throw new Error(`${labels} holds no file with the name of a volume in ${folder}, such as ${names[0]}`);
  const training = names.map((name) => ({
    name: name.replace(ENDING, ""),
    image: join(folder, name),
    label: labels !== null && labelled.has(name) ? join(labels, name) : null,
  }));
  return { training, validation: [], classNames: {} };
}

/** A file that a list names, as long as it lies below the list's folder, links followed. */
async function below(root: string, path: string, list: string): Promise<string> {
  const inside = (file: string, folder: string): boolean => {
    const way = relative(folder, file);
    return (
      way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && resolve(folder, way) === resolve(file)
    );
  };
  const file = resolve(root, path);
  if (!inside(file, root))
    throw new Error(`${list} names ${JSON.stringify(path)}, which leads outside of its folder`);
  const real = await realpath(file).catch(() => null);
  if (real !== null && !inside(real, await realpath(root)))
    throw new Error(`${list} names ${JSON.stringify(path)}, a link that leads outside of its folder`);
  return file;
}

async function readList(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size > MAX_LIST_BYTES)
      throw new Error(`${path} has ${size} bytes; a list has at most ${MAX_LIST_BYTES}`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** A list as the Medical Segmentation Decathlon has it: {"training": [{"image": .., "label": ..}], "validation": [..]}. */
async function listFromJson(path: string): Promise<ListedVolumes> {
  const root = dirname(resolve(path));
  const files = (list: ReturnType<typeof entriesOf>): Promise<VolumeFiles[]> =>
    Promise.all(
      list.map(async ({ image, label }) => ({
        name: basename(image).replace(ENDING, ""),
        image: await below(root, image, path),
        label: label === null ? null : await below(root, label, path),
      })),
    );
  let parts: Readonly<Record<"training" | "validation" | "test", ReturnType<typeof entriesOf>>>;
  let classNames: ListedVolumes["classNames"];
  try {
    const list: unknown = JSON.parse(await readList(path));
    if (!isRecord(list)) throw new Error("it is no object");
    classNames = classNamesOf(list);
    parts = {
      training: entriesOf(list, "training"),
      validation: entriesOf(list, "validation"),
      test: entriesOf(list, "test"),
    };
  } catch (error) {
    throw new Error(
      `${path} is no list of volumes, {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "validation": [..]}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  // The test part of a decathlon list has no labels: more volumes to learn from.
  const unlabelled = parts.test.map(({ image }) => ({ image, label: null }));
  const training = await files([...parts.training, ...unlabelled]);
  if (training.length === 0) throw new Error(`${path} lists no volume under "training"`);
  return { training, validation: await files(parts.validation), classNames };
}

/**
 * The volumes of a folder, or of a decathlon list.
 *
 * @param labels  folder with segmentations under the same file names; not with a list, which names them itself
 * @throws Error that says what is missing, malformed or outside of the list's folder
 */
export async function listVolumes(volumes: string, labels: string | null): Promise<ListedVolumes> {
  if (await isFolder(volumes)) {
    if (labels !== null && !(await isFolder(labels))) throw new Error(`${labels} is not a folder`);
    return listFolder(volumes, labels);
  }
  if (extname(volumes) !== ".json")
    throw new Error(`${volumes} is neither a folder of NIfTI files nor a .json list of them`);
  if (labels !== null) throw new Error(`--labels goes with a folder; ${volumes} names its labels itself`);
  return listFromJson(volumes);
}
