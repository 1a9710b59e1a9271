import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { EncoderError, type Modality } from "./encoder.ts";

/** Largest configuration file that is read; a tokenizer.json may have more, see there. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20;
const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

export type Config = Readonly<Record<string, unknown>>;

/** A model's file and the folder in which its settings lie. */
export interface ModelFolder {
  /** What was asked for, for messages. */
  readonly name: string;
  readonly folder: string;
  /** Path of the .onnx file. */
  readonly modelFile: string;
  /** A JSON object from the folder; null when there is no such file. */
  config(path: string): Promise<Config | null>;
}

/** A file's name without `.onnx`, by kind of input, in order of preference, as transformers.js names them. */
const baseNames: Readonly<Record<Modality, readonly string[]>> = {
  text: ["text_model", "model", "encoder_model"],
  image: ["vision_model", "model", "encoder_model"],
  volume: ["volume_model", "model", "encoder_model"],
  audio: ["audio_model", "model", "encoder_model"],
  vector: ["model"],
};

function isRecord(value: unknown): value is Config {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readConfig(folder: string, path: string): Promise<Config | null> {
  const file = join(folder, path);
  const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw new EncoderError(`${file} cannot be read: ${error.message}`, { cause: error });
  });
  if (info === null) return null;
  const limit = basename(path) === "tokenizer.json" ? MAX_TOKENIZER_BYTES : MAX_CONFIG_BYTES;
  if (!info.isFile() || info.size > limit)
    throw new EncoderError(
      `${file}: expected a JSON file of at most ${limit} bytes, got ${info.isFile() ? `${info.size} bytes` : "no regular file"}`,
    );
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new EncoderError(`${file} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isRecord(content) && !(Array.isArray(content) && basename(path) === "modules.json"))
    throw new EncoderError(`${file}: expected a JSON object`);
  return isRecord(content) ? content : { modules: content };
}

/** The .onnx files of a folder and its `onnx` folder, as paths below it. */
async function onnxFiles(folder: string): Promise<string[]> {
  const lists = await Promise.all(
    ["onnx", ""].map(async (sub) => {
      const names = await readdir(join(folder, sub)).catch(() => [] as string[]);
      return names
        .filter((name) => name.endsWith(".onnx"))
        .map((name) => (sub === "" ? name : `${sub}/${name}`));
    }),
  );
  return lists.flat().sort();
}

function listed(files: readonly string[]): string {
  return files.length === 0 ? "it has no .onnx file" : `it has ${files.join(", ")}`;
}

/** The file that a person means by a path, a name without ending, or a variant such as "quantized" or "fp16". */
function chosenFile(
  files: readonly string[],
  wanted: string,
  modality: Modality | undefined,
): string | undefined {
  const plain = wanted.replace(/^\.\//, "").replace(/\.onnx$/, "");
  const bases = modality ? baseNames[modality] : [...new Set(Object.values(baseNames).flat())];
  const candidates = [plain, `onnx/${plain}`];
  for (const base of bases) candidates.push(`onnx/${base}_${plain}`, `${base}_${plain}`);
  return candidates.map((name) => `${name}.onnx`).find((name) => files.includes(name));
}

function defaultFile(files: readonly string[], modality: Modality | undefined): string | undefined {
  const bases = modality ? baseNames[modality] : ["model"];
  for (const base of bases)
    for (const name of [`onnx/${base}.onnx`, `${base}.onnx`]) if (files.includes(name)) return name;
  return files.length === 1 ? files[0] : undefined;
}

/**
 * Finds the model file and the settings of an encoder.
 *
 * @param path  a folder in the layout of Hugging Face's hub and transformers.js, or an .onnx file in or below one
 * @throws EncoderError saying which files are there when the one to use cannot be told
 */
export async function openModelFolder(
  path: string,
  options: { readonly modelFile?: string | undefined; readonly modality?: Modality | undefined } = {},
): Promise<ModelFolder> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new EncoderError(`There is no encoder at ${path}: expected an .onnx file or a folder with one.`, {
      cause,
    });
  });
  if (!info.isDirectory()) {
    if (options.modelFile !== undefined)
      throw new EncoderError(`${path} is a model file already; a model file is chosen from a folder`);
    if (!path.endsWith(".onnx"))
      throw new EncoderError(
        `${path}: expected an .onnx file or a folder with one in it or in its folder 'onnx'`,
      );
    const beside = dirname(resolve(path));
    // transformers.js keeps model files one level below their settings.
    const above = basename(beside) === "onnx" && !(await isThere(join(beside, "config.json")));
    const folder = above ? dirname(beside) : beside;
    return { name: path, folder, modelFile: path, config: (name) => readConfig(folder, name) };
  }
  const files = await onnxFiles(path);
  const { modelFile, modality } = options;
  const found =
    modelFile === undefined ? defaultFile(files, modality) : chosenFile(files, modelFile, modality);
  if (found === undefined) {
    const kinds = files.filter((name) => /(text|vision|volume|audio)_model\.onnx$/.test(name));
    const advice =
      files.length === 0
        ? " Convert the model to ONNX first, e.g. with optimum."
        : modelFile === undefined && modality === undefined && kinds.length > 1
          ? " Say which kind of input is meant: text, image, volume or audio."
          : " Name one of them as the model file.";
    const what =
      modelFile === undefined ? "no model file that can be told apart" : `no model file '${modelFile}'`;
    throw new EncoderError(`${path} has ${what}; ${listed(files)}.${advice}`);
  }
  const file = join(path, found);
  await checkInside(path, file);
  return { name: path, folder: path, modelFile: file, config: (name) => readConfig(path, name) };
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Hugging Face's own cache links into a folder of blobs beside the snapshots; anything else stays within. */
async function checkInside(folder: string, file: string): Promise<void> {
  const [root, found] = await Promise.all([realpath(folder), realpath(file)]);
  const cache = root.split(`${sep}snapshots${sep}`)[0] as string;
  const inside = [root, join(cache, "blobs")].some((base) => !relative(base, found).startsWith(".."));
  if (!inside) throw new EncoderError(`${file} is a link that leads out of ${folder}`);
}
