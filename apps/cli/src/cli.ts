import { readFileSync } from "node:fs";
import type { Experiment } from "@concord/papers";
import type { Recipe } from "@concord/papers/recipes";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { addAdapt, recipeFor } from "./commands/adapt.ts";
import { addBackup } from "./commands/backup.ts";
import { addDiagnose } from "./commands/diagnose-options.ts";
import { addDigest } from "./commands/digest.ts";
import { addEmbed } from "./commands/embed-options.ts";
import { addExport } from "./commands/export.ts";
import { addIndex } from "./commands/index-options.ts";
import { addIngest } from "./commands/ingest-options.ts";
import { addMail } from "./commands/mail.ts";
import { showPapers } from "./commands/papers.ts";
import { addResetPassword } from "./commands/reset-password.ts";
import { addRestore } from "./commands/restore.ts";
import { addRun, experimentFor } from "./commands/run-options.ts";
import { listRuns, showRun } from "./commands/runs.ts";
import { addSearch } from "./commands/search-options.ts";
import { deviceOption, examples, jsonOption, runsOption } from "./commands/shared-options.ts";
import { type StartOptions, startServer } from "./commands/start.ts";
import { type Context, coloursFor, columnsOf } from "./context.ts";
import { describeError, ExitCode } from "./errors.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

const MAX_PORT = 65_535;

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > MAX_PORT) {
    throw new InvalidArgumentError(`Expected a port from 0 (any free one) to ${MAX_PORT}.`);
  }
  return port;
}

const EXIT_CODES = `
Exit codes:
  0    done, whatever the verdict on the claims
  1    something failed
  2    the command line asks for what does not exist
  130  cancelled; \`run --resume\` goes on from there`;

type Settle = (code: ExitCode) => void;

function createProgram(
  context: Context,
  { experiment, recipe }: { readonly experiment: Experiment | null; readonly recipe: Recipe | null },
  settle: Settle,
): Command {
  const program = new Command("concord")
    .description("Finds the paper that makes your embeddings agree, and runs it on your data.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .helpCommand("help [command]", "explain a command")
    .showHelpAfterError(`See \`${context.name} --help\`.`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) =>
        write(text.replace(/^error:/, coloursFor(context.stderr, context.env).red("Error:"))),
      getOutHelpWidth: () => columnsOf(context.stdout),
      getErrHelpWidth: () => columnsOf(context.stderr),
      getOutHasColors: () => coloursFor(context.stdout, context.env).isColorSupported,
      getErrHasColors: () => coloursFor(context.stderr, context.env).isColorSupported,
    })
    .configureHelp({ styleTitle: (text) => coloursFor(context.stdout, context.env).bold(text) })
    .addHelpText(
      "after",
      `${examples(context, [
        ["papers", "the catalogue"],
        ["papers clip-refine", "one paper: summary, claims, published tables"],
        ["run clip-refine --preset smoke", "test its claims, small"],
        ["runs", "what was run here"],
        ["diagnose images.npy texts.npy", "what is wrong with embeddings, and what helps"],
        ["adapt clip-refine images.npy texts.npy --out adapted", "mend them"],
        ["ingest arxiv-rss --categories cs.LG", "today's papers into the site"],
        ["start", "the site: papers, search, runs"],
        ["doctor", "is everything here that it needs?"],
      ])}\n${EXIT_CODES}\n\nColours follow NO_COLOR and FORCE_COLOR; CONCORD_DEBUG=1 shows where an error arose.`,
    );

  program
    .command("papers")
    .summary("list the catalogue, search it, show one paper")
    .description(
      "Lists the catalogue, newest first; with words, the papers that contain them all; with a slug, that paper.",
    )
    .argument("[query...]", "a slug, or words to look for")
    .option("--topic <topic>", "only papers with this topic, e.g. image-text")
    .option("--runs-here", "only papers whose claims can be run")
    .addOption(jsonOption("the same as JSON"))
    .addHelpText(
      "after",
      examples(context, [
        ["papers", "all, newest first"],
        ["papers modality gap", "those about the modality gap"],
        ["papers --topic medical-imaging", "one topic"],
        ["papers clip-refine", "one paper in full"],
      ]),
    )
    .action(async (query: string[], flags: { json?: boolean; topic?: string; runsHere?: boolean }) => {
      settle(await showPapers(context, query.length === 0 ? undefined : query.join(" "), flags));
    });

  addRun(program, context, experiment, settle);
  addAdapt(program, context, recipe, settle);
  addDiagnose(program, context, settle);
  addEmbed(program, context, settle);
  addSearch(program, context, settle);

  program
    .command("runs")
    .summary("list what was run here, show one run")
    .description(
      "Lists the runs of a folder, newest first, or shows one of them with its results and verdicts.",
    )
    .argument("[id]", "a run's id, or a part of it that no other has")
    .addOption(runsOption())
    .addOption(jsonOption("the same as JSON"))
    .action(async (id: string | undefined, flags: { json?: boolean; runs?: string }) => {
      settle(await (id === undefined ? listRuns(context, flags) : showRun(context, id, flags)));
    });

  addIngest(program, context, settle);
  addIndex(program, context, settle);
  addBackup(program, context, settle);
  addRestore(program, context, settle);
  addResetPassword(program, context, settle);
  addExport(program, context, settle);
  addDigest(program, context, settle);
  addMail(program, context, settle);

  program
    .command("start")
    .summary("serve the site: papers, runs, live curves")
    .description("Serves the site and executes the runs that are started or queued there, one at a time.")
    .addOption(
      new Option("--port <port>", "port to listen on, 0 for any free one (default: 4100)").argParser(
        parsePort,
      ),
    )
    .option("--host <address>", "address to listen on (default: 127.0.0.1, for this machine alone)")
    .option("--allow-host <name...>", "names that requests may carry, e.g. of a reverse proxy")
    .option("--data <folder>", "folder of papers and people (default: concord-data)")
    .addOption(runsOption())
    .option("--config <file>", "settings as JSON; see docs/running-a-site.md")
    .addHelpText(
      "after",
      examples(context, [
        ["start", "http://127.0.0.1:4100, for this machine alone"],
        ["start --port 0", "on any free port"],
        ["start --allow-host papers.example.org", "behind a reverse proxy"],
      ]),
    )
    .action(async (flags: StartOptions) => {
      settle(await startServer(context, flags));
    });

  program
    .command("doctor")
    .summary("say what Concord runs on, and test it")
    .description(
      "Shows versions, processor, memory and devices, and tests for about ten seconds whether training here is right, repeatable, and how fast. Exit code 0: healthy, 1: not.",
    )
    .addOption(deviceOption())
    .option("--quick", "a self-test of about two seconds, with rough figures of speed")
    .addOption(jsonOption("the same as JSON"))
    .addHelpText(
      "after",
      examples(context, [
        ["doctor", "the whole report"],
        ["doctor --device webgpu", "the same, computed on another device"],
        ["doctor --json", "for a bug report"],
      ]),
    )
    .action(async (flags: { device?: string; quick?: boolean; json?: boolean }) => {
      const { runDoctor } = await import("./commands/doctor.ts");
      settle(await runDoctor(context, flags));
    });
  return program;
}

/**
 * The `concord` command.
 *
 * @param args  what follows the command's name
 * @returns the exit code; errors are printed, never thrown
 */
export async function runCli(args: readonly string[], context: Context): Promise<ExitCode> {
  let code: ExitCode = ExitCode.done;
  try {
    const experiment = await experimentFor(args, context);
    const recipe = await recipeFor(args);
    const program = createProgram(context, { experiment, recipe }, (outcome) => {
      code = outcome;
    });
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its message (or the help that was asked for) already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    const described = describeError(error, Boolean(context.env.CONCORD_DEBUG));
    context.stderr.write(`${coloursFor(context.stderr, context.env).red("Error:")} ${described.text}\n`);
    return described.code;
  }
}
