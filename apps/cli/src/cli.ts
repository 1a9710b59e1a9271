import { readFileSync } from "node:fs";
import type { Experiment, RunInput } from "@concord/papers";
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
import { resumeRun, runPaper } from "./commands/run.ts";
import { listRuns, showRun } from "./commands/runs.ts";
import { addSearch } from "./commands/search-options.ts";
import { type StartOptions, startServer } from "./commands/start.ts";
import { type Context, coloursFor, columnsOf } from "./context.ts";
import { describeError, ExitCode, UsageError } from "./errors.ts";
import { paragraph } from "./render/text.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

const MAX_PORT = 65_535;
const MAX_SEED_COUNT = 1000;

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > MAX_SEED_COUNT) {
    throw new InvalidArgumentError(`Expected how many seeds, 1 to ${MAX_SEED_COUNT}.`);
  }
  return count;
}

function parseList(text: string): string[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.some((item) => item === "")) throw new InvalidArgumentError("Expected a list such as a,b,c.");
  return items;
}

function parseSeeds(text: string): number[] {
  return parseList(text).map((item) => {
    if (!/^\d{1,15}$/.test(item)) throw new InvalidArgumentError("Expected seeds such as 3,4,5.");
    return Number(item);
  });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > MAX_PORT) {
    throw new InvalidArgumentError(`Expected a port from 0 (any free one) to ${MAX_PORT}.`);
  }
  return port;
}

function runsOption(): Option {
  return new Option("--runs <dir>", "folder with the runs (default: $CONCORD_RUNS, else ./runs)");
}

function deviceOption(): Option {
  return new Option(
    "--device <name>",
    "where to compute: cpu, webgpu or cuda (default: $CONCORD_DEVICE, else cpu); `concord doctor` says what starts here",
  );
}

function jsonOption(description: string): Option {
  return new Option("--json", description);
}

const EXIT_CODES = `
Exit codes:
  0    done, whatever the verdict on the claims
  1    something failed
  2    the command line asks for what does not exist
  130  cancelled; \`run --resume\` goes on from there`;

interface RunFlags {
  readonly preset?: string;
  readonly seeds?: number;
  readonly seedList?: number[];
  readonly arms?: string[];
  readonly device?: string;
  readonly runs?: string;
  readonly json?: boolean;
  readonly queue?: boolean;
  readonly resume?: string;
  readonly parallel?: number;
}

function addRunOptions(command: Command): Command {
  return command
    .argument("[paper]", "slug of the paper, see `concord papers --runs-here`")
    .option("--preset <name>", "size of the run: smoke (seconds), default (minutes) or paper (full size)")
    .addOption(
      new Option("--seeds <n>", "how many seeds: 0, 1, ... (default: the preset's)")
        .argParser(parseCount)
        .conflicts("seedList"),
    )
    .addOption(new Option("--seed-list <list>", "which seeds, e.g. 3,4,5").argParser(parseSeeds))
    .addOption(new Option("--arms <list>", "which arms, e.g. pre-trained,clip-refine").argParser(parseList))
    .addOption(deviceOption())
    .addOption(
      new Option(
        "--parallel <n>",
        "units done at the same time (default: as cores and memory allow; 1 for the preset 'paper')",
      ).argParser(parseCount),
    )
    .option("--queue", "leave the run to the site instead of executing it here")
    .option("--resume <id>", "go on with a run that was queued, cancelled, killed or failed")
    .addOption(runsOption())
    .addOption(jsonOption("no progress; the finished record as JSON on standard output"));
}

/** The option of `concord run` that an experiment's input becomes. */
function inputOption({ name, kind, placeholder, description, requires = [] }: RunInput): Option {
  const value = kind === "flag" ? "" : ` <${placeholder ?? (kind === "path" ? "PATH" : "TEXT")}>`;
  const needs = requires.length === 0 ? "" : ` Needs ${requires.map((other) => `--${other}`).join(", ")}.`;
  return new Option(`--${name}${value}`, `${description}${needs}`);
}

function presetHelp({ presets }: Experiment, columns: number): string {
  const indent = " ".repeat(11);
  const lines = Object.entries(presets).map(([name, { description }]) => {
    const text = paragraph(description, columns, indent).slice(indent.length);
    return `  ${name.padEnd(indent.length - 2)}${text}`;
  });
  return `\nPresets:\n${lines.join("\n")}`;
}

function armHelp({ arms }: Experiment): string {
  return `\nArms:\n  ${arms.map(({ id, role }) => (role === "ablation" ? id : `${id} (${role})`)).join("\n  ")}`;
}

/** The paper that `concord run ARGS` is about, found before its experiment's flags are known. */
async function findPaper(args: readonly string[], { papers }: Context): Promise<string | undefined> {
  const probe = addRunOptions(new Command("run"))
    .helpOption(false)
    .option("-h, --help")
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  try {
    probe.parse([...args], { from: "user" });
  } catch (error) {
    // The real parser will say what is wrong.
    if (error instanceof CommanderError) return undefined;
    throw error;
  }
  const [first] = probe.args;
  if (first === undefined || !first.startsWith("-")) return first;
  // The paper is named after flags of its own; what those take does not look different from a paper.
  for (const candidate of probe.args) if (await papers.hasExperiment(candidate)) return candidate;
  return undefined;
}

function examples(context: Context, lines: readonly (readonly [command: string, meaning: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${context.name} ${command.padEnd(width)}  ${meaning}`).join("\n")}`;
}

function addRun(program: Command, context: Context, experiment: Experiment | null, settle: Settle): void {
  const run = addRunOptions(program.command("run"))
    .summary("test a paper's claims, or go on with a run")
    .description(
      experiment
        ? `Tests the claims of '${experiment.slug}': trains its arms over paired seeds and judges every claim.`
        : "Tests a paper's claims: trains its arms (baseline, method, ablations) over paired seeds and judges every claim by its 95 % interval against the margin declared beforehand.\nPapers take further flags, e.g. for your own data: see `concord run PAPER --help`.",
    );
  const inputs = experiment?.inputs ?? [];
  const options = inputs.map((input) => ({ input, option: inputOption(input) }));
  if (options.length > 0) run.optionsGroup("Your data:");
  for (const { option } of options) run.addOption(option);
  if (experiment)
    run.addHelpText("after", `${presetHelp(experiment, columnsOf(context.stdout))}\n${armHelp(experiment)}`);
  const slug = experiment?.slug ?? "clip-refine";
  run.addHelpText(
    "after",
    examples(context, [
      [`run ${slug} --preset smoke`, "does everything work?"],
      [`run ${slug}`, "the default preset, minutes"],
      [`run ${slug} --seeds 5`, "narrower intervals"],
      ...(inputs.some(({ name }) => name === "pairs")
        ? ([[`run ${slug} --pairs pairs.csv --images photos`, "on your own pairs"]] as const)
        : []),
      ["run --resume ID", "go on where a run stopped"],
    ]),
  );
  run.action(async (paper: string | undefined, flags: RunFlags & Readonly<Record<string, unknown>>) => {
    const { runs, json, queue, parallel } = flags;
    if (flags.resume !== undefined) {
      if (
        paper !== undefined ||
        Object.keys(flags).some((name) => !["resume", "runs", "json", "queue", "parallel"].includes(name))
      ) {
        throw new UsageError(
          "--resume goes on with a run as it was asked for: give only --runs, --parallel and --json with it.",
        );
      }
      settle(await resumeRun(context, flags.resume, { runs, json, queue, parallel }));
      return;
    }
    if (!experiment) {
      throw new UsageError(`Which paper? See \`${context.name} papers --runs-here\`, or give --resume ID.`);
    }
    const given = options.flatMap(({ input, option }) => {
      const value = flags[option.attributeName()];
      return typeof value === "string" || typeof value === "boolean" ? [[input.name, value] as const] : [];
    });
    const seeds =
      flags.seeds === undefined ? flags.seedList : Array.from({ length: flags.seeds }, (_, seed) => seed);
    const request = {
      inputs: Object.fromEntries(given),
      ...(flags.preset === undefined ? {} : { preset: flags.preset }),
      ...(seeds === undefined ? {} : { seeds }),
      ...(flags.arms === undefined ? {} : { arms: flags.arms }),
      ...(flags.device === undefined ? {} : { device: flags.device }),
    };
    settle(await runPaper(context, experiment, request, { runs, json, queue, parallel }));
  });
}

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

/** The experiment whose flags the command line may use; null when it names none. */
async function experimentFor(args: readonly string[], context: Context): Promise<Experiment | null> {
  if (args[0] !== "run") return null;
  const paper = await findPaper(args.slice(1), context);
  return paper === undefined ? null : context.papers.loadExperiment(paper);
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
