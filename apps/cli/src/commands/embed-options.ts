import { MODALITIES, type Modality, POOLINGS, type Pooling } from "@concord/toolkit/names";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";
import { parseWhole } from "./shared-options.ts";

/** What opens an encoder; `search` has the same flags. */
export interface EncoderFlags {
  readonly modality?: Modality;
  readonly modelFile?: string;
  readonly output?: string;
  readonly pooling?: Pooling;
  readonly prompt?: string;
}

export interface EmbedFlags extends EncoderFlags {
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly column?: string;
  readonly fields?: string[];
  readonly normalize?: boolean;
  readonly batch?: number;
  readonly binary?: boolean;
  readonly strict?: boolean;
}

const MAX_BATCH = 65_536;

export function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name === "")) throw new InvalidArgumentError("Expected a list such as id,text.");
  return names;
}

export function addEncoderOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--modality <kind>", "kind of input, for models that take several").choices(MODALITIES),
    )
    .option("--model-file <name>", "model file of the folder, e.g. quantized, fp16 or onnx/model_q4.onnx")
    .option("--output <name>", "output of the model to read (default: told by its name)")
    .addOption(
      new Option("--pooling <kind>", "how tokens become one vector (default: as the folder says)").choices(
        POOLINGS.filter((pooling) => pooling !== "none"),
      ),
    )
    .option("--prompt <name|text>", "what goes before every text: a name that the folder knows, or the text");
}

/** Adds `concord embed` to the command line. */
export function addEmbed(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  const command = program
    .command("embed")
    .summary("turn texts, pictures, scans or sounds into vectors with an ONNX encoder")
    .description(
      "Embeds with any ONNX encoder: a file, or a folder in the layout of Hugging Face's hub, transformers.js or sentence-transformers. Takes lines of text (standard input, .txt), pictures, scans (NIfTI) and sounds (files, folders, patterns), a column of a CSV, TSV, JSONL or Parquet table, and webdataset archives. Vectors keep the order and the columns of their items, and go to a .npy, .parquet, .jsonl or .csv file, or as JSON lines to standard output. What cannot be embedded is counted, named and skipped.",
    )
    .argument("<encoder>", "folder of the encoder, or its .onnx file")
    .argument("[files...]", "what to embed; nothing or - for standard input")
    .option("--out <file>", "where vectors go (default: standard output, as JSON lines)")
    .option("--overwrite", "replace the file")
    .option(
      "--column <name>",
      "column with the texts or paths; on standard input, lines are then JSON objects",
    )
    .addOption(
      new Option("--fields <list>", "columns to keep, e.g. id,text (default: all)").argParser(parseNames),
    )
    .option("--normalize", "bring vectors to length 1")
    .addOption(
      new Option("--batch <n>", "most items in one run of the model").argParser(parseWhole(1, MAX_BATCH)),
    )
    .option("--binary", "keep signs only, one bit a number, packed (.npy)")
    .option("--strict", "stop at the first item that cannot be embedded");
  addEncoderOptions(command)
    .addHelpText(
      "after",
      `\nExamples:
  ${context.name} embed models/all-MiniLM-L6-v2 captions.csv --column caption --out captions.parquet
  ${context.name} embed models/clip photos/ --modality image --out photos.npy
  echo "a red bicycle" | ${context.name} embed models/clip --modality text | ${context.name} search photos.npy`,
    )
    .action(async (path: string, files: string[], flags: EmbedFlags) => {
      const { runEmbed } = await import("./embed.ts");
      settle(await runEmbed(context, path, files, flags));
    });
}
