import { MODALITIES } from "@concord/papers";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";
import type { ExitCode } from "../errors.ts";

export interface DiagnoseFlags {
  readonly pairs?: string;
  readonly pairColumns?: readonly string[];
  readonly ids?: readonly string[];
  readonly unpaired?: boolean;
  readonly labels?: string;
  readonly labelColumn?: string;
  readonly column?: readonly string[];
  readonly key?: readonly string[];
  readonly names?: readonly string[];
  readonly modalities?: readonly string[];
  readonly sample?: number;
  readonly queries?: number;
  readonly seed?: number;
  readonly html?: string;
  readonly json?: boolean;
}

function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.length > 2 || names.some((name) => name === ""))
    throw new InvalidArgumentError("Expected one name, or two with a comma between them.");
  return names;
}

function parseModalities(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  const wrong = names.find((name) => !(MODALITIES as readonly string[]).includes(name));
  if (wrong !== undefined) throw new InvalidArgumentError(`Expected some of ${MODALITIES.join(", ")}.`);
  return names;
}

function parseAtLeast(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < least)
      throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
    return value;
  };
}

/** Adds `concord diagnose` to the command line. */
export function addDiagnose(program: Command, context: Context, settle: (code: ExitCode) => void): void {
  program
    .command("diagnose")
    .summary("say what is wrong with embeddings, and what helps")
    .description(
      "Reads vectors from .npy, .npz, safetensors, Parquet, JSONL or CSV and says in plain words what is wrong with them: two sets that should agree (row i of A belongs to row i of B, unless --pairs or --unpaired says otherwise), or one set, with labels or without. Every number has a 95 % interval; costs are measured, not guessed. Papers that address what was found are named, the most exact one first.",
    )
    .argument("<a>", "file of vectors, one a row")
    .argument("[b]", "second file, when two sets should agree")
    .option("--pairs <file>", "table of pairs: two columns with row numbers from 0, or ids with --ids")
    .addOption(new Option("--pair-columns <a,b>", "columns of --pairs (default: a,b)").argParser(parseNames))
    .addOption(
      new Option("--ids <a,b>", "id columns of the two files that --pairs speaks of").argParser(parseNames),
    )
    .addOption(new Option("--unpaired", "two sets without pairs, e.g. two domains").conflicts("pairs"))
    .option(
      "--labels <file|column>",
      "labels of the rows: a file with one a row (FILE,FILE for both sets), or a column beside the vectors",
    )
    .option("--label-column <name>", "column of a labels file with several")
    .addOption(
      new Option("--column <a,b>", "column of the vectors in Parquet, JSONL and CSV").argParser(parseNames),
    )
    .addOption(new Option("--key <a,b>", "array in .npz and safetensors").argParser(parseNames))
    .addOption(
      new Option("--names <a,b>", "what the sets are called in the report (default: file names)").argParser(
        parseNames,
      ),
    )
    .addOption(
      new Option(
        "--modalities <list>",
        "what the sets are, e.g. image,text, for the order of papers",
      ).argParser(parseModalities),
    )
    .addOption(
      new Option("--sample <n>", "rows kept for comparing rows with rows (default: 100000)").argParser(
        parseAtLeast(20),
      ),
    )
    .addOption(
      new Option("--queries <n>", "queries of each retrieval (default: 2000)").argParser(parseAtLeast(20)),
    )
    .addOption(new Option("--seed <n>", "of samples and resamples (default: 0)").argParser(parseAtLeast(0)))
    .option("--html <file>", "write the report as one page with plots")
    .option("--json", "the same as JSON on standard output")
    .addHelpText(
      "after",
      `\nExamples:
  ${context.name} diagnose captions.npy pictures.npy --html report.html
  ${context.name} diagnose texts.parquet images.parquet --column vector --pairs pairs.csv --ids id
  ${context.name} diagnose old.npy new.npy --unpaired
  ${context.name} diagnose features.npy --labels classes.txt`,
    )
    .action(async (a: string, b: string | undefined, flags: DiagnoseFlags) => {
      const { runDiagnose } = await import("./diagnose.ts");
      settle(await runDiagnose(context, a, b, flags));
    });
}
