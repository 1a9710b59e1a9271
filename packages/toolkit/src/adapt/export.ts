import { copyFile, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { RecipeTower } from "@concord/papers/recipes";
import {
  appendOnnx,
  compile,
  type ExportAxis,
  type ExportInput,
  exportOnnx,
  exportOnnxWithData,
  type NDArray,
  openOnnx,
  type Tensor,
} from "@concord/tensor";
import type { Encoder, EncoderItem } from "../encoders/encoder.ts";
import { AdaptRequestError } from "./errors.ts";
import type { OutputFolder } from "./folder.ts";
import type { Embedder, Trainable } from "./model.ts";
import type { EncoderLayer, Tower } from "./tower.ts";
import { tracedPooling } from "./traced-pooling.ts";

/** Larger models keep their weights in a second file: protobuf ends at 2 GiB. */
const ONE_FILE_BYTES = 1.5 * 2 ** 30;
const MAX_SETTINGS_BYTES = 256 * 2 ** 20;
/**
 * Files beside a model that its preprocessing needs, as the hub names them. Those that describe pooling are left behind:
 * the exported model pools by itself.
 */
const SETTINGS_FILES = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "preprocessor_config.json",
  "processor_config.json",
  "feature_extractor_config.json",
  "config_sentence_transformers.json",
  "sentence_bert_config.json",
];
/** Names by which models of the hub call the vector of an item. */
const outputNames: Readonly<Record<Encoder["modality"], string>> = {
  text: "sentence_embedding",
  image: "image_embeds",
  volume: "volume_embeds",
  audio: "audio_embeds",
  vector: "embedding",
};

/** A model that was written. */
export interface ExportedTower {
  readonly tower: string;
  /** Below the output folder, with '/'. */
  readonly file: string;
  /** Folder with tokenizer or preprocessor files, where there are such. */
  readonly folder: string | null;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Length of the vectors, or bits of the codes. */
  readonly width: number;
  readonly modality: Encoder["modality"];
}

/** What an exported model computes after its encoder. */
export interface Finish {
  /** Null for the untouched model. */
  readonly trainable: Trainable | null;
  readonly embedder: Embedder;
  readonly producerVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
}

function finishOf({ trainable, embedder }: Finish, tower: RecipeTower) {
  return (head: unknown, features: Tensor): Tensor => {
    if (trainable) return embedder.embed(head, features, tower);
    return embedder.base ? embedder.base(features, tower) : features;
  };
}

/** Axes of the model's inputs: batches and texts are open, pictures have the size of the preprocessing. */
function inputAxes(
  layer: EncoderLayer["layer"],
  encoder: Encoder,
  sample: Readonly<Record<string, NDArray>>,
): Record<string, ExportInput> {
  const wanted = new Map(layer.inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  const { mask } = encoder.graph;
  return Object.fromEntries(
    Object.entries(sample).flatMap(([name, feed]) => {
      const info = wanted.get(name);
      if (!info && name !== mask) return [];
      const shape = feed.shape.map((size, axis): number | string => {
        if (axis === 0) return "batch";
        const fixed = info?.shape?.[axis];
        if (typeof fixed === "number") return fixed;
        return encoder.modality === "text" && axis === 1 ? "sequence" : size;
      });
      return [[name, { shape, dtype: info?.dtype ?? feed.dtype }]];
    }),
  );
}

/** Text models have a longest text; which, the file does not say, and longer traces fail. */
const longestTexts: readonly (number | null)[] = [null, 512, 128, 77, 64, 32];

function withAxes<T>(
  inputs: Readonly<Record<string, ExportInput>>,
  write: (axes: Record<string, ExportAxis>, inputs: Readonly<Record<string, ExportInput>>) => T,
): T {
  const open = Object.values(inputs).some(({ shape }) => shape.includes("sequence"));
  if (!open) return write({}, inputs);
  let failure: unknown;
  for (const maximum of longestTexts) {
    try {
      return write(maximum === null ? {} : { sequence: { maximum } }, inputs);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

interface Written {
  readonly model: Uint8Array;
  readonly data: Uint8Array | null;
}

/** What stands behind a model that is not taken apart. */
async function appendedModel(
  tower: Tower,
  facts: RecipeTower,
  finish: Finish,
): Promise<
  Written & {
    readonly inputs: readonly string[];
    readonly output: string;
    readonly beside: readonly string[];
  }
> {
  const { encoder, data } = tower as Tower & { encoder: Encoder };
  if (data.kind !== "items") throw new Error(`tower '${tower.name}' has no items`);
  const { graph, modality } = encoder;
  await using session = await openOnnx(graph.file);
  const { feeds } = await encoder.preprocess(data.items.slice(0, 1));
  const names = session.inputs.map(({ name }) => name);
  const taken = Object.fromEntries(Object.entries(feeds).filter(([name]) => names.includes(name)));
  const { shape } = (await session.run(taken, [graph.output]))[graph.output] as NDArray;
  const width = shape[shape.length === 4 ? 1 : shape.length - 1] as number;
  const openShape = {
    2: ["batch", width],
    3: ["batch", "sequence", width],
    4: ["batch", width, "rows", "columns"],
  }[shape.length];
  if (!openShape)
    throw new AdaptRequestError(
      `${graph.file}: '${graph.output}' has ${shape.length} axes; one vector an item, tokens [B, T, D] or places [B, D, H, W] are needed`,
    );
  // Vectors [B, D] are pooled already.
  const mask = shape.length === 3 ? graph.mask : null;
  const output = graph.pooling === "none" ? graph.output : outputNames[modality];
  const features = output === "features" ? "encoded" : "features";
  const complete = finishOf(finish, facts);
  const tail = exportOnnx(
    ((p: { readonly head: unknown }, given: Readonly<Record<string, Tensor>>) => ({
      [output]: complete(
        p.head,
        tracedPooling(given[features] as Tensor, graph, mask === null ? undefined : given[mask]),
      ),
    })) as never,
    {
      params: { head: finish.trainable?.head ?? {} },
      inputs: {
        [features]: { shape: openShape },
        ...(mask === null ? {} : { [mask]: { shape: ["batch", "sequence"], dtype: "int64" } }),
      },
      name: tower.name,
      producerVersion: finish.producerVersion,
    } as never,
  );
  const model = await appendOnnx(graph.file, tail, {
    connect: { [features]: graph.output, ...(mask === null ? {} : { [mask]: mask }) },
    metadata: finish.metadata,
  });
  const inputs = mask === null || names.includes(mask) ? names : [...names, mask];
  return { model, data: null, inputs, output, beside: session.externalFiles };
}

async function encoderModel(
  tower: Tower,
  facts: RecipeTower,
  finish: Finish,
  dataName: string,
): Promise<Written & { readonly inputs: readonly string[]; readonly output: string }> {
  const { encoder, layer, data } = tower as Tower & { encoder: Encoder; layer: EncoderLayer };
  if (data.kind !== "items") throw new Error(`tower '${tower.name}' has no items`);
  const { feeds } = await encoder.preprocess(data.items.slice(0, 1));
  const inputs = inputAxes(layer.layer, encoder, feeds);
  const weights = await layer.merge(finish.trainable?.encoders[tower.name] ?? layer.params);
  const params = { encoder: weights, head: finish.trainable?.head ?? {} };
  const output = encoder.graph.pooling === "none" ? encoder.graph.output : outputNames[encoder.modality];
  const complete = finishOf(finish, facts);
  const compute = (
    p: { readonly encoder: Record<string, Tensor>; readonly head: unknown },
    given: Readonly<Record<string, Tensor>>,
  ) => ({
    [output]: complete(p.head, layer.applyMerged(p.encoder, given)),
  });
  const common = {
    params,
    name: tower.name,
    producerVersion: finish.producerVersion,
    metadata: finish.metadata,
  };
  const bytes = Object.values(weights).reduce((sum, array) => sum + array.data.byteLength, 0);
  const written = withAxes(inputs, (axes, axed): Written => {
    const all = { ...common, inputs: axed, axes };
    if (bytes < ONE_FILE_BYTES) return { model: exportOnnx(compute as never, all), data: null };
    return exportOnnxWithData(compute as never, { ...all, location: dataName });
  });
  return { ...written, inputs: Object.keys(inputs), output };
}

/** Copies a file so that it is there as a whole or not at all. */
async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}.tmp`;
  try {
    await copyFile(from, temporary);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The settings files beside a model. */
async function settingsOf(
  modelFile: string,
): Promise<{ readonly folder: string; readonly files: readonly string[] }> {
  const beside = dirname(resolve(modelFile));
  const folder = basename(beside) === "onnx" ? dirname(beside) : beside;
  const found: string[] = [];
  for (const name of SETTINGS_FILES) {
    const info = await stat(join(folder, name)).catch(() => null);
    if (info?.isFile() && info.size <= MAX_SETTINGS_BYTES) found.push(name);
  }
  return { folder, files: found };
}

/**
 * Writes the model of one tower: encoder, head and all in one ONNX file; where the encoder came with tokenizer or
 * preprocessor files, a folder in the layout that it had.
 *
 * @throws OnnxExportError when something of the model depends on the batch
 */
export async function exportTower(
  folder: OutputFolder,
  tower: Tower,
  facts: RecipeTower,
  finish: Finish,
): Promise<ExportedTower> {
  const { name, encoder } = tower;
  const width =
    finish.trainable || finish.embedder.bits !== null ? await outputWidth(tower, facts, finish) : tower.width;
  if (!encoder) {
    const complete = finishOf(finish, facts);
    const model = exportOnnx(
      ((p: { readonly head: unknown }, { features }: { readonly features: Tensor }) => ({
        embedding: complete(p.head, features),
      })) as never,
      {
        params: { head: finish.trainable?.head ?? {} },
        inputs: { features: { shape: ["batch", tower.width] } },
        name,
        producerVersion: finish.producerVersion,
        metadata: finish.metadata,
      } as never,
    );
    await folder.write(`${name}.onnx`, [model]);
    return {
      tower: name,
      file: `${name}.onnx`,
      folder: null,
      inputs: ["features"],
      output: "embedding",
      width,
      modality: "vector",
    };
  }
  const settings = await settingsOf(encoder.graph.file);
  const within = settings.files.length > 0;
  const below = relative(settings.folder, resolve(encoder.graph.file)).replaceAll("\\", "/");
  const file = within ? `${name}/${below}` : `${name}.onnx`;
  const dataName = `${basename(file)}_data`;
  const { model, data, inputs, output, beside } = tower.layer
    ? { ...(await encoderModel(tower, facts, finish, dataName)), beside: [] }
    : await appendedModel(tower, facts, finish);
  for (const location of beside)
    await copyWhole(
      join(dirname(resolve(encoder.graph.file)), location),
      join(folder.path, dirname(file), location),
    );
  if (data) await folder.write(join(dirname(file), dataName).replaceAll("\\", "/"), [data]);
  await folder.write(file, [model]);
  for (const setting of settings.files)
    await copyWhole(join(settings.folder, setting), join(folder.path, name, setting));
  return {
    tower: name,
    file,
    folder: within ? name : null,
    inputs,
    output,
    width,
    modality: encoder.modality,
  };
}

async function outputWidth(tower: Tower, facts: RecipeTower, finish: Finish): Promise<number> {
  const complete = finishOf(finish, facts);
  const run = compile((head: unknown, features: Tensor) => complete(head, features));
  const one: NDArray<"float32"> = {
    dtype: "float32",
    shape: [1, tower.width],
    data: tower.features.data.slice(0, tower.width),
  };
  const { shape } = (await run((finish.trainable?.head ?? {}) as never, one)) as NDArray;
  await run.close();
  return shape[1] as number;
}

/** Of files that come without a name; NIfTI is told from its compressed form by its first bytes. */
const endings: Readonly<Partial<Record<Encoder["modality"], string>>> = {
  image: ".png",
  volume: ".nii",
  audio: ".wav",
};

/** `.jpg`, `.nii.gz`; none where a name has a strange one. */
function endingOf(path: string): string {
  return /(\.nii)?\.[a-z0-9]{1,5}$/.exec(path.toLowerCase())?.[0] ?? "";
}

/** Held-out items for the examples: texts and vectors as they are, small files copied. */
export async function exampleItems(
  folder: OutputFolder,
  tower: Tower,
  rows: readonly number[],
): Promise<readonly (string | readonly number[] | { readonly file: string })[]> {
  const { data } = tower;
  const items: (string | readonly number[] | { readonly file: string })[] = [];
  for (const [place, row] of rows.entries()) {
    if (data.kind === "vectors") {
      const width = tower.width;
      items.push([...data.vectors.data.slice(row * width, (row + 1) * width)]);
      continue;
    }
    const item = data.items[row] as EncoderItem;
    if ("text" in item) items.push(item.text);
    else if ("vector" in item) items.push(Array.from(item.vector));
    else if ("path" in item || "bytes" in item) {
      const bytes = "bytes" in item ? item.bytes : await readFile(item.path);
      const ending =
        "path" in item ? endingOf(item.path) : (endings[tower.encoder?.modality ?? "vector"] ?? "");
      const file = `example-files/${tower.name}-${place + 1}${ending}`;
      await folder.write(file, [bytes]);
      items.push({ file });
    }
  }
  return items;
}
