import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";

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

const entry = z.union([
  z.string().transform((image) => ({ image, label: undefined })),
  z.object({ image: z.string(), label: z.string().optional() }),
]);
const decathlon = z.object({
  training: z.array(entry).max(MAX_VOLUMES).default([]),
  validation: z.array(entry).max(MAX_VOLUMES).default([]),
  test: z.array(entry).max(MAX_VOLUMES).default([]),
  labels: z.record(z.string(), z.string()).default({}),
});

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
  let parsed: z.infer<typeof decathlon>;
  try {
    parsed = decathlon.parse(JSON.parse(await readList(path)));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new Error(
      `${path} is no list of volumes, {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "validation": [..]}: ${reason}`,
      { cause: error },
    );
  }
  const root = dirname(resolve(path));
  const files = (list: readonly { readonly image: string; readonly label?: string | undefined }[]) =>
    Promise.all(
      list.map(
        async ({ image, label }): Promise<VolumeFiles> => ({
          name: basename(image).replace(ENDING, ""),
          image: await below(root, image, path),
          label: label === undefined ? null : await below(root, label, path),
        }),
      ),
    );
  // The test part of a decathlon list has no labels: more volumes to learn from.
  const unlabelled = parsed.test.map(({ image }) => ({ image }));
  const training = await files([...parsed.training, ...unlabelled]);
  if (training.length === 0) throw new Error(`${path} lists no volume under "training"`);
  return { training, validation: await files(parsed.validation), classNames: parsed.labels };
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
