import type { Experiment, RunInput } from "@concord/papers";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type Context, columnsOf } from "../context.ts";
import { type ExitCode, UsageError } from "../errors.ts";
import { paragraph } from "../render/text.ts";
import { deviceOption, examples, jsonOption, parseWhole, runsOption } from "./shared-options.ts";

const MAX_SEED_COUNT = 1000;
/** Each takes the memory of a unit. */
const MAX_PARALLEL = 64;

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

function addRunOptions(command: Command): Command {
  return command
    .argument("[paper]", "slug of the paper, see `concord papers --runs-here`")
    .option("--preset <name>", "size of the run: smoke (seconds), default (minutes) or paper (full size)")
    .addOption(
      new Option("--seeds <n>", "how many seeds: 0, 1, ... (default: the preset's)")
        .argParser(parseWhole(1, MAX_SEED_COUNT))
        .conflicts("seedList"),
    )
    .addOption(new Option("--seed-list <list>", "which seeds, e.g. 3,4,5").argParser(parseSeeds))
    .addOption(new Option("--arms <list>", "which arms, e.g. pre-trained,clip-refine").argParser(parseList))
    .addOption(deviceOption())
    .addOption(
      new Option(
        "--parallel <n>",
        "units done at the same time (default: as cores and memory allow; 1 for the preset 'paper')",
      ).argParser(parseWhole(1, MAX_PARALLEL)),
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

/** The experiment whose flags the command line may use; null when it names none. */
export async function experimentFor(args: readonly string[], context: Context): Promise<Experiment | null> {
  if (args[0] !== "run") return null;
  const paper = await findPaper(args.slice(1), context);
  return paper === undefined ? null : context.papers.loadExperiment(paper);
}

/** Adds `concord run` to the command line, with the flags of the experiment that is meant. */
export function addRun(
  program: Command,
  context: Context,
  experiment: Experiment | null,
  settle: (code: ExitCode) => void,
): void {
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
    const { resumeRun, runPaper } = await import("./run.ts");
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
