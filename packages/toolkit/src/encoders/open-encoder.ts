import { type NDArray, type OnnxSession, openOnnx } from "@concord/tensor";
import { audioPreparer } from "./audio.ts";
import { encoderDigest } from "./digest.ts";
import {
  type Encoded,
  type EncodeOptions,
  type Encoder,
  EncoderError,
  type EncoderItem,
  type Modality,
  type Pooling,
  type PreprocessOptions,
} from "./encoder.ts";
import { idleFeed } from "./feeds.ts";
import { imagePreparer } from "./image.ts";
import { type ModelFolder, openModelFolder } from "./model-folder.ts";
import { normalizeInPlace, pool } from "./pooling.ts";
import { readSentenceSettings } from "./pooling-config.ts";
import type { PreparedBatch, Preparer } from "./preparer.ts";
import { encodeAll } from "./schedule.ts";
import { textOf } from "./settings.ts";
import { chooseOutput, readSignature, type Signature } from "./signature.ts";
import { findPrompt, textPreparer } from "./text.ts";
import { vectorPreparer } from "./vector.ts";
import { volumePreparer } from "./volume.ts";

export interface OpenEncoderOptions {
  /** Which kind of input, for models that take several, and for folders with a model for each. */
  readonly modality?: Modality | undefined;
  /** The model file of a folder: a path below it, or a variant such as "quantized" or "fp16". */
  readonly modelFile?: string | undefined;
  /** Default: what the folder says, else what the model's outputs are called; see docs/embed-and-search.md. */
  readonly output?: string | undefined;
  readonly pooling?: Pooling | undefined;
  /** Bring vectors to length 1. Default: what modules.json says, else false. */
  readonly normalize?: boolean | undefined;
  /** Goes before every text: a name from config_sentence_transformers.json, e.g. "query", or the text itself. */
  readonly prompt?: string | undefined;
  /** Threads of the model; by default the number of cores. */
  readonly threads?: number | undefined;
  /** Threads that read pictures or scans. Default: the processors that this process may use, at most 8 (scans: 2). */
  readonly workers?: number | undefined;
  /** Largest model file in bytes. Default 2 GiB - 1; weights in files of their own do not count. */
  readonly maxModelBytes?: number | undefined;
}

function withoutPrefix(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/^(importOnnx|openOnnx): /, "");
}

/**
 * Opens an encoder: an .onnx file, or a folder in the layout of Hugging Face's hub, transformers.js and
 * sentence-transformers. Texts are cut into tokens, pictures and scans resized and normalised, sound brought to the model's
 * rate as the folder's files say; which inputs and outputs the model has is found out by their names and axes.
 *
 *   await using encoder = await openEncoder("models/all-MiniLM-L6-v2");
 *   const { values, width } = await encoder.encode([{ text: "a red bicycle" }]);
 *
 * Model and settings count as input from strangers: sizes are limited, and no file outside of the folder is read.
 *
 * @throws EncoderError saying what the folder or the model lacks, and what it has
 */
export async function openEncoder(path: string, options: OpenEncoderOptions = {}): Promise<Encoder> {
  const folder = await openModelFolder(path, options);
  let session: OnnxSession;
  try {
    session = await openOnnx(folder.modelFile, {
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.maxModelBytes === undefined ? {} : { limits: { fileBytes: options.maxModelBytes } }),
    });
  } catch (error) {
    throw new EncoderError(`${folder.modelFile}: ${withoutPrefix(error)}`, { cause: error });
  }
  let preparer: Preparer<unknown> | undefined;
  try {
    const signature = readSignature(folder.modelFile, session.inputs, options.modality);
    const notes: string[] = [];
    preparer = await preparerFor(folder, signature, options, notes);
    return await assemble(folder, session, signature, preparer, options, notes);
  } catch (error) {
    await preparer?.close();
    await session.release();
    throw error;
  }
}

async function preparerFor(
  folder: ModelFolder,
  { modality, inputs }: Signature,
  options: OpenEncoderOptions,
  notes: string[],
): Promise<Preparer<unknown>> {
  if (modality !== "text" && options.prompt !== undefined)
    throw new EncoderError(`${folder.name}: a prompt goes before texts; this is a model of ${modality}`);
  switch (modality) {
    case "text":
      return textPreparer(folder, inputs, options);
    case "image":
      if ((await folder.config("preprocessor_config.json")) === null)
        notes.push(
          "There is no preprocessor_config.json: pictures are scaled to [0, 1] and cut to the model's size, without mean and deviation.",
        );
      return imagePreparer(folder, inputs, options);
    case "volume":
      if ((await folder.config("preprocessor_config.json")) === null)
        notes.push(
          "There is no preprocessor_config.json: scans are scaled by their 0.5 and 99.5 percentiles and stretched to the model's size.",
        );
      return volumePreparer(folder, inputs, options);
    case "audio":
      return audioPreparer(folder, inputs);
    case "vector":
      return vectorPreparer(folder.name, inputs);
  }
}

/** Cuts and fills up batches for models whose first axis has one size only. */
function fixedBatch({ inputs }: Signature): number | undefined {
  const size = inputs.map(({ shape }) => shape[0]).find((axis) => typeof axis === "number");
  return typeof size === "number" ? size : undefined;
}

async function assemble(
  folder: ModelFolder,
  session: OnnxSession,
  signature: Signature,
  preparer: Preparer<unknown>,
  options: OpenEncoderOptions,
  notes: string[],
): Promise<Encoder> {
  const { modality } = signature;
  const sentence = await readSentenceSettings(folder);
  const config = await folder.config("config.json");
  const { output, pooling } = chooseOutput(folder.modelFile, session.outputs, modality, {
    output: options.output,
    pooling: options.pooling ?? sentence.pooling,
    modelType: textOf(config, "model_type"),
  });
  if (sentence.dense && pooling !== "none")
    throw new EncoderError(
      `${folder.name}: modules.json has Dense layers after pooling, which ${folder.modelFile} does not contain; export the whole model, with an output 'sentence_embedding'`,
    );
  if (!sentence.includePrompt && pooling !== "none") {
    const prompt = findPrompt(await folder.config("config_sentence_transformers.json"), options.prompt);
    if (prompt !== "")
      throw new EncoderError(
        `${folder.name}: 1_Pooling/config.json leaves prompts out of pooling, which is not supported; give an empty prompt`,
      );
  }
  if (
    pooling !== "none" &&
    modality === "text" &&
    options.pooling === undefined &&
    sentence.pooling === undefined
  )
    notes.push(
      `Nothing says how the tokens of '${output}' become one vector; their ${pooling === "mean" ? "mean" : `'${pooling}'`} is taken.`,
    );
  const normalize = options.normalize ?? sentence.normalize;
  const idle = Object.fromEntries(signature.idle.map((input) => [input.name, idleFeed(input)]));
  const fixed = fixedBatch(signature);

  /** One run of the model: [rows, D]. */
  const run = async (
    batch: PreparedBatch,
    rows: number,
  ): Promise<{ values: Float32Array; width: number }> => {
    let result: Readonly<Record<string, NDArray>>;
    try {
      result = await session.run({ ...batch.feeds, ...idle }, [output]);
    } catch (error) {
      throw new EncoderError(`${folder.modelFile}: ${withoutPrefix(error)}`, { cause: error });
    }
    const pooled = pool(result[output] as NDArray, pooling, batch.spans, output);
    if (pooled.rows !== rows)
      throw new EncoderError(
        `${folder.modelFile}: '${output}' has ${pooled.rows} rows for ${rows} items; it does not seem to be an embedding of each`,
      );
    if (normalize) normalizeInPlace(pooled.values, pooled.width);
    return pooled;
  };
  const collate = (items: readonly unknown[]): PreparedBatch => {
    if (fixed === undefined) return preparer.collate(items);
    const filled = [...items];
    while (filled.length < fixed) filled.push(items[0]);
    return preparer.collate(filled);
  };
  const runItems = async (items: readonly unknown[]): Promise<{ values: Float32Array; width: number }> => {
    const { values, width } = await run(collate(items), fixed ?? items.length);
    return { values: values.subarray(0, items.length * width), width };
  };

  // One item settles what the files leave open, and shows now rather than later that the model runs.
  const trial = await preparer.prepare([preparer.sample]);
  const [problem] = trial.problems;
  if (problem) throw new EncoderError(`${folder.name}: a trial item cannot be prepared: ${problem.reason}`);
  const { width } = await runItems(trial.ready.map(([, item]) => item));
  if (width < 1) throw new EncoderError(`${folder.modelFile}: '${output}' has vectors without values`);

  const settings = { modality, output, pooling, normalize, preprocessing: preparer.settings };
  const digest = await encoderDigest(folder.modelFile, session.externalFiles, settings);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= Promise.all([preparer.close(), session.release()]).then(() => {});
    return closed;
  };
  return {
    modality,
    name: folder.name,
    digest,
    width,
    graph: {
      file: folder.modelFile,
      output,
      pooling,
      mask: signature.inputs.find(({ role }) => role === "mask")?.name ?? null,
      normalize,
    },
    notes,
    async preprocess(items, { size, signal }: PreprocessOptions = {}) {
      signal?.throwIfAborted();
      if (size !== undefined && modality !== "volume" && modality !== "image")
        throw new EncoderError(
          `${folder.name}: another size can be had of pictures and scans; this is a model of ${modality}`,
        );
      const { ready, problems } = await preparer.prepare(items, signal, size);
      const feeds = ready.length === 0 ? {} : preparer.collate(ready.map(([, item]) => item)).feeds;
      return { feeds, rows: ready.map(([index]) => index), problems };
    },
    encode(items: readonly EncoderItem[], { batch, signal }: EncodeOptions = {}): Promise<Encoded> {
      if (batch !== undefined && (!Number.isInteger(batch) || batch < 1))
        return Promise.reject(new RangeError(`encode: batch must be an integer >= 1, got ${batch}`));
      const most = Math.min(batch ?? preparer.batch, fixed ?? Number.POSITIVE_INFINITY);
      return encodeAll(items, preparer, { most, width, signal, run: runItems });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
