import { packCodes } from "@concord/align";
import type { FieldValue } from "@concord/data";
import type { Encoder, EncoderItem } from "../encoders/encoder.ts";
import { normalizeInPlace } from "../encoders/pooling.ts";
import type { EmbedInput } from "./inputs.ts";
import { createEmbeddingWriter } from "./writer.ts";

/** An input that has no vector. */
export interface EmbedProblem {
  readonly place: string;
  readonly reason: string;
}

/** An input cannot be embedded, in strict mode. */
export class EmbedError extends Error {
  override readonly name = "EmbedError";
}

export interface EmbedProgress {
  /** Items that have their vector, or their problem, by now. */
  readonly done: number;
  readonly problems: number;
  readonly itemsPerSecond: number;
}

export interface EmbedOptions {
  readonly encoder: Encoder;
  readonly inputs: AsyncIterable<EmbedInput> | Iterable<EmbedInput>;
  /** Bring vectors to length 1, whatever the encoder does. */
  readonly normalize?: boolean | undefined;
  /** Most items in one run of the model. */
  readonly batch?: number | undefined;
  /** Throw at the first input that has no vector, instead of skipping it. */
  readonly strict?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProblem?: ((problem: EmbedProblem) => void) | undefined;
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
}

/** Some vectors, with what is known of their items. */
export interface EmbeddedBlock {
  readonly rows: number;
  readonly width: number;
  /** [rows, width], row-major. */
  readonly values: Float32Array;
  readonly fields: readonly Readonly<Record<string, FieldValue>>[];
}

/** Items that are taken at a time: few at first, so that somebody who waits sees something soon. */
const FIRST_ITEMS = 16;
const MOST_ITEMS = 1024;

async function* chunks(inputs: EmbedOptions["inputs"]): AsyncGenerator<EmbedInput[]> {
  let size = FIRST_ITEMS;
  let chunk: EmbedInput[] = [];
  for await (const input of inputs) {
    chunk.push(input);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
    size = Math.min(2 * size, MOST_ITEMS);
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * The vectors of items, block by block, in the order of the inputs. Inputs that cannot be read or encoded have none:
 * they are reported and skipped.
 *
 * @throws EmbedError in strict mode; EncoderError when the model fails; AbortError when `signal` is aborted
 */
export async function* embedBlocks(options: EmbedOptions): AsyncGenerator<EmbeddedBlock, void, undefined> {
  const { encoder, normalize = false, strict = false, batch, signal } = options;
  const began = performance.now();
  let [done, problems] = [0, 0];
  const report = (problem: EmbedProblem): void => {
    problems++;
    if (strict) throw new EmbedError(`${problem.place}: ${problem.reason}`);
    options.onProblem?.(problem);
  };
  for await (const chunk of chunks(options.inputs)) {
    signal?.throwIfAborted();
    const good: { readonly input: EmbedInput; readonly item: EncoderItem }[] = [];
    for (const input of chunk) {
      if ("reason" in input.item) report({ place: input.place, reason: input.item.reason });
      else good.push({ input, item: input.item });
    }
    const encoded = await encoder.encode(
      good.map(({ item }) => item),
      { ...(batch === undefined ? {} : { batch }), ...(signal === undefined ? {} : { signal }) },
    );
    for (const { index, reason } of encoded.problems)
      report({ place: good[index]?.input.place ?? "", reason });
    if (normalize) normalizeInPlace(encoded.values, encoded.width);
    done += chunk.length;
    const seconds = (performance.now() - began) / 1000;
    options.onProgress?.({ done, problems, itemsPerSecond: done / seconds });
    if (encoded.rows.length > 0)
      yield {
        rows: encoded.rows.length,
        width: encoded.width,
        values: encoded.values,
        fields: encoded.rows.map((index) => good[index]?.input.fields ?? {}),
      };
  }
}

export interface EmbedFileOptions extends EmbedOptions {
  /** A `.npy`, `.parquet`, `.jsonl` or `.csv` file. Beside `.npy`, columns go to `NAME.fields.jsonl`. */
  readonly out: string;
  readonly overwrite?: boolean | undefined;
  /** Keep the signs only: one bit a dimension, packed (`.npy` of bytes). */
  readonly binary?: boolean | undefined;
  /** Columns to keep. Default: those of the first item. */
  readonly fields?: readonly string[] | undefined;
}

export interface EmbedSummary {
  readonly rows: number;
  readonly width: number;
  /** Inputs that have no vector. */
  readonly problems: number;
  readonly seconds: number;
}

/**
 * Embeds items into a file, which appears under its name when it is complete; whatever happens before leaves nothing.
 *
 *   await using encoder = await openEncoder("models/all-MiniLM-L6-v2");
 *   const inputs = embedInputs(["captions.csv"], { modality: encoder.modality, column: "caption" });
 *   await embed({ encoder, inputs, out: "captions.parquet" });
 *
 * @throws EmbedError in strict mode, or when no input has a vector; VectorFileError when the file is there already;
 *   EncoderError when the model fails; AbortError when `signal` is aborted
 */
export async function embed(options: EmbedFileOptions): Promise<EmbedSummary> {
  const { encoder, binary = false } = options;
  const began = performance.now();
  let problems = 0;
  const counted: EmbedOptions = {
    ...options,
    onProblem(problem) {
      problems++;
      options.onProblem?.(problem);
    },
  };
  await using writer = await createEmbeddingWriter(options.out, {
    width: encoder.width,
    binary,
    overwrite: options.overwrite ?? false,
    fields: options.fields,
  });
  for await (const block of embedBlocks(counted)) await writer.write(block);
  options.signal?.throwIfAborted();
  if (writer.rows === 0)
    throw new EmbedError(
      problems === 0 ? "there was nothing to embed" : `none of ${problems} inputs could be embedded`,
    );
  await writer.finish();
  return { rows: writer.rows, width: encoder.width, problems, seconds: (performance.now() - began) / 1000 };
}

/** Signs of vectors [N, D], eight to a byte: [N, ⌈D / 8⌉], a bit set where the value is above 0. */
export function signCodes(values: Float32Array, width: number): Uint8Array {
  return packCodes({ dtype: "float32", shape: [values.length / width, width], data: values }).bytes;
}
