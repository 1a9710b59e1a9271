import { addAbortSignal, Readable } from "node:stream";
import {
  type EmbeddedBlock,
  EmbedInputError,
  type EmbedInputOptions,
  type EmbedProblem,
  type EmbedProgress,
  type Encoder,
  EncoderError,
  embed,
  embedBlocks,
  embedInputs,
  lineInputs,
  type Modality,
  type OpenEncoderOptions,
  openEncoder,
  VectorFileError,
} from "@concord/toolkit";
import { type Context, coloursFor } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { writeOut } from "../output.ts";
import { countText, durationText, printable } from "../render/text.ts";
import { StageDisplay } from "../stage-display.ts";
import { listenForStop } from "../stop-request.ts";
import type { EmbedFlags, EncoderFlags } from "./embed-options.ts";

/** Problems that are shown one by one. */
const MAX_SHOWN = 10;

/** What the command line asked for is at fault, rather than the program. */
export function asUsage(error: unknown): unknown {
  const kinds = [EncoderError, EmbedInputError, VectorFileError, RangeError];
  return kinds.some((kind) => error instanceof kind)
    ? new UsageError((error as Error).message, { cause: error })
    : error;
}

/** Opens an encoder and says what it had to assume. */
export async function openWithFlags(
  context: Context,
  path: string,
  flags: EncoderFlags,
  guess?: Modality,
): Promise<Encoder> {
  const options: OpenEncoderOptions = {
    modality: flags.modality ?? guess,
    modelFile: flags.modelFile,
    output: flags.output,
    pooling: flags.pooling,
    prompt: flags.prompt,
  };
  const encoder = await openEncoder(path, options);
  for (const note of encoder.notes)
    context.stderr.write(`${coloursFor(context.stderr, context.env).dim(printable(note))}\n`);
  return encoder;
}

/** Standard input, which ends with an error when the work is stopped. @throws UsageError on a terminal */
export function standardInput(context: Context, signal: AbortSignal, advice: string): Readable {
  const { stdin } = context;
  if (stdin === undefined || stdin.isTTY === true) throw new UsageError(advice);
  return addAbortSignal(signal, stdin instanceof Readable ? stdin : Readable.from(stdin));
}

/** The kind of input that file names speak of. */
function guessModality(files: readonly string[]): Modality | undefined {
  if (files.some((file) => /\.(jpe?g|png|webp|gif|tiff?|avif)$/i.test(file))) return "image";
  if (files.some((file) => /\.nii(\.gz)?$/i.test(file))) return "volume";
  if (files.some((file) => /\.(wav|flac)$/i.test(file))) return "audio";
  return files.length === 0 || files.some((file) => file === "-" || /\.(txt|md)$/i.test(file))
    ? "text"
    : undefined;
}

/** An encoder of the kind that the files speak of, if the folder has one, else of the only kind that it has. */
async function openFor(
  context: Context,
  path: string,
  files: readonly string[],
  flags: EmbedFlags,
): Promise<Encoder> {
  const guess = flags.modality === undefined ? guessModality(files) : undefined;
  if (guess !== undefined) {
    try {
      return await openWithFlags(context, path, flags, guess);
    } catch (error) {
      if (!(error instanceof EncoderError)) throw error;
      // Lines may be the paths of pictures: what the folder itself says counts then, and its errors.
    }
  }
  return openWithFlags(context, path, flags);
}

/** Nine digits give back every float32. */
function lineOf({ values, width, fields }: EmbeddedBlock, row: number): string {
  const vector = Array.from(values.subarray(row * width, (row + 1) * width), (v) => Number(v.toPrecision(9)));
  return `${JSON.stringify({ ...fields[row], vector })}\n`;
}

/** Embeds files or standard input, into a file or to standard output. */
export async function runEmbed(
  context: Context,
  path: string,
  files: readonly string[],
  flags: EmbedFlags,
): Promise<ExitCode> {
  const { out } = flags;
  if (flags.binary && out === undefined)
    throw new UsageError("--binary writes packed bits, which are no text: give --out FILE.npy with it.");
  const stopping = new AbortController();
  const { signal } = stopping;
  const endWatch = listenForStop(context, () => stopping.abort());
  const display = new StageDisplay(context);
  const problems: EmbedProblem[] = [];
  let skipped = 0;
  try {
    const fromInput = files.length === 0 || (files.length === 1 && files[0] === "-");
    const stdin = fromInput
      ? standardInput(
          context,
          signal,
          "Say what is to be embedded: files, folders, tables, or lines on standard input.",
        )
      : undefined;
    await using encoder = await openFor(context, path, files, flags);
    const input: EmbedInputOptions = {
      modality: encoder.modality,
      column: flags.column,
      fields: flags.fields,
    };
    const settings = {
      encoder,
      inputs: stdin ? lineInputs(stdin, "standard input", input) : embedInputs(files, input),
      normalize: flags.normalize,
      batch: flags.batch,
      strict: flags.strict,
      signal,
      onProblem(problem: EmbedProblem) {
        if (++skipped <= MAX_SHOWN) problems.push(problem);
      },
      onProgress({ done, itemsPerSecond }: EmbedProgress) {
        const speed = `${Math.round(itemsPerSecond).toLocaleString("en-GB")} items/s`;
        display.show({ stage: `Embedding: ${countText(done, "item")}, ${speed}`, done: null, total: null });
      },
    };
    let rows = 0;
    if (out === undefined) {
      for await (const block of embedBlocks(settings)) {
        rows += block.rows;
        for (let row = 0; row < block.rows; row++) await writeOut(context.stdout, lineOf(block, row));
      }
    } else {
      const { overwrite, binary, fields } = flags;
      const summary = await embed({ ...settings, out, overwrite, binary, fields });
      rows = summary.rows;
      display.end();
      context.stderr.write(
        `${countText(rows, "vector")} of ${summary.width}${binary ? " bits" : ""} in ${durationText(summary.seconds)}: ${printable(out)}\n`,
      );
    }
    display.end();
    reportProblems(context, problems, skipped);
    if (rows + skipped === 0) context.stderr.write("There was nothing to embed.\n");
    return rows > 0 ? ExitCode.done : ExitCode.failed;
  } catch (error) {
    if (signal.aborted) return ExitCode.cancelled;
    display.end();
    reportProblems(context, problems, skipped);
    throw asUsage(error);
  } finally {
    display.end();
    endWatch();
  }
}

function reportProblems({ stderr }: Context, problems: readonly EmbedProblem[], skipped: number): void {
  if (skipped === 0) return;
  const lines = problems.map(({ place, reason }) => `  ${printable(place)}: ${printable(reason)}`);
  if (skipped > problems.length) lines.push(`  and ${countText(skipped - problems.length, "more", "more")}`);
  stderr.write(`${countText(skipped, "item")} could not be embedded:\n${lines.join("\n")}\n`);
}
