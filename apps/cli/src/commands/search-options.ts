import type { SearchMetric } from "@concord/toolkit";
import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";
import { addEncoderOptions, type EncoderFlags, parseNames } from "./embed-options.ts";
import { parseWhole } from "./shared-options.ts";

export interface SearchFlags extends EncoderFlags {
  readonly queryText?: string[];
  readonly queryFile?: string[];
  readonly queryVectors?: string;
  readonly encoder?: string;
  readonly ids?: string;
  readonly fields?: string[];
  readonly column?: string;
  readonly k: number;
  readonly metric: SearchMetric;
  readonly hamming?: boolean;
  readonly exact?: boolean;
  readonly json?: boolean;
}

const MAX_K = 100_000;
const METRICS = ["cosine", "dot", "euclidean"] as const satisfies readonly SearchMetric[];

/** Adds `concord search` to the command line. */
export function addSearch(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  const collect = (value: string, before: string[] = []): string[] => [...before, value];
  const command = program
    .command("search")
    .summary("find the nearest vectors of a file")
    .description(
      "Finds the vectors of a .npy, .npz, safetensors, Parquet, JSONL or CSV file that are nearest to a query, with the texts, paths and ids that `embed` kept beside them. Up to 200,000 vectors are all compared; beyond, a graph of neighbours is built once and saved beside the file. Prints a table on a terminal, a JSON line a hit elsewhere.",
    )
    .argument("<vectors>", "file of vectors")
    .option("--query-text <text>", "what to look for (several are searched for one after another)", collect)
    .option("--query-file <file>", "a picture or sound to look for", collect)
    .option("--query-vectors <file>", "file of vectors to look for")
    .option(
      "--encoder <dir>",
      "encoder that makes queries vectors; without --query-…, of lines on standard input",
    )
    .addOption(new Option("-k, --k <n>", "hits a query").default(10).argParser(parseWhole(1, MAX_K)))
    .addOption(new Option("--metric <name>", "how vectors are compared").choices(METRICS).default("cosine"))
    .option("--hamming", "compare signs only (files of packed codes are always searched so)")
    .option("--exact", "compare all vectors, however many there are")
    .option("--ids <file>", "table with a row for each vector, for files of vectors alone")
    .addOption(
      new Option("--fields <list>", "columns to show, e.g. id,text (default: all)").argParser(parseNames),
    )
    .option("--column <name>", "column, prefix or array that holds the vectors")
    .option("--json", "JSON lines on a terminal too");
  addEncoderOptions(command)
    .addHelpText(
      "after",
      `\nExamples:
  ${context.name} search photos.npy --encoder models/clip --query-text "a red bicycle"
  ${context.name} search captions.parquet --query-vectors queries.npy -k 5 --fields id,caption
  ${context.name} embed models/clip queries.txt | ${context.name} search photos.npy | head`,
    )
    .action(async (path: string, flags: SearchFlags) => {
      const { runSearch } = await import("./search.ts");
      settle(await runSearch(context, path, flags));
    });
}
