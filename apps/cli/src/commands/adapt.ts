import { hasRecipe, listRecipes, loadRecipe } from "@concord/papers";
import type { Recipe, RecipeOption } from "@concord/papers/recipes";
import type { AdaptRequest, TowerRequest } from "@concord/toolkit";
import { type Command, InvalidArgumentError, Option } from "commander";
import { AdaptDisplay } from "../adapt-display.ts";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { renderAdaptation, renderPlan } from "../render/adapt.ts";
import { shellText } from "../render/text.ts";
import { listenForStop } from "../stop-request.ts";

interface AdaptFlags {
  readonly pairs?: string;
  readonly images?: string;
  readonly encoder: readonly Named[];
  readonly vectors: readonly Named[];
  readonly column: readonly Named[];
  readonly anchor?: string;
  readonly labels?: string;
  readonly labelColumn?: string;
  readonly groupColumn?: string;
  readonly compare?: string;
  readonly score?: string;
  readonly out?: string;
  readonly train?: AdaptRequest["train"];
  readonly steps?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly rank?: number;
  readonly seed?: number;
  readonly heldOut?: number;
  readonly validation?: number;
  readonly metric?: string;
  readonly evaluateEvery?: number;
  readonly patience?: number;
  readonly cache?: string;
  readonly resume?: boolean;
  readonly saveEmbeddings?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

interface Named {
  readonly name: string;
  readonly value: string;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

/** `image=path`, any number of times. */
function named(text: string, before: readonly Named[] = []): Named[] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1)
    throw new InvalidArgumentError("Expected NAME=VALUE, e.g. image=clip-vision.onnx.");
  const name = text.slice(0, at);
  if (before.some((one) => one.name === name)) throw new InvalidArgumentError(`'${name}' was given already.`);
  return [...before, { name, value: text.slice(at + 1) }];
}

/** `lambdaRafa` as `lambda-rafa`. */
function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function rangeText(option: RecipeOption): string {
  if (option.type === "choice") return option.choices.join(", ");
  if (option.type === "flag") return "";
  const { minimum, maximum } = option;
  if (minimum === undefined) return maximum === undefined ? "" : `at most ${maximum}`;
  return maximum === undefined ? `at least ${minimum}` : `${minimum} to ${maximum}`;
}

/** The flag that an option of a recipe becomes. */
function recipeOption(name: string, option: RecipeOption): Option {
  const range = rangeText(option);
  const description = `${option.description} Default ${String(option.default)} (${option.source})${range === "" ? "" : `; ${range}`}.`;
  const flag = flagOf(name);
  if (option.type === "flag") return new Option(option.default ? `--no-${flag}` : `--${flag}`, description);
  return new Option(`--${flag} <${option.type === "choice" ? "name" : "n"}>`, description);
}

/** The recipe that the command line names, whose options it may use; null when it names none. */
export async function recipeFor(args: readonly string[]): Promise<Recipe | null> {
  if (args[0] !== "adapt") return null;
  for (const argument of args.slice(1)) if (await hasRecipe(argument)) return loadRecipe(argument);
  return null;
}

/** Declares `concord adapt`, with the options of the recipe that is meant. */
export function addAdapt(
  program: Command,
  context: Context,
  recipe: Recipe | null,
  settle: (code: ExitCode) => void,
): void {
  const command = program
    .command("adapt")
    .summary("mend your encoders or embeddings by a paper's recipe")
    .description(
      recipe
        ? `${recipe.summary} (${recipe.slug}, on your own data: what was best on validation rows is compared with your encoders on rows that nothing was chosen by, and exported as ONNX if it is better.)`
        : "Runs a paper's recipe on your own data: trains a head, adapters or all weights on top of your encoders, keeps what is best on validation rows, and writes ONNX encoders, a report before and after, and examples.\nRecipes take further flags: see `concord adapt RECIPE --help`.",
    )
    .argument("[recipe]", "slug of a paper with a recipe")
    .argument(
      "[files...]",
      "instead of encoders: files of vectors (.npy, .npz, .safetensors, .parquet, .csv, .jsonl), row by row",
    );
  const group = (title: string, options: readonly Option[]): void => {
    command.optionsGroup(title);
    for (const option of options) command.addOption(option);
  };
  group("Your data:", [
    new Option(
      "--pairs <file>",
      "pairs as CSV, TSV, JSONL, Parquet, COCO, class folder or tar; for one encoder also lines of a .txt, or a folder of pictures or scans",
    ),
    new Option(
      "--encoder <name=path>",
      "an ONNX file, or a folder with tokenizer or preprocessor as on the Hugging Face hub; once for each side",
    )
      .argParser(named)
      .default([], "none"),
    new Option("--vectors <name=file>", "vectors computed before, instead of an encoder")
      .argParser(named)
      .default([], "none"),
    new Option("--column <name=column>", "column of the pairs with the items of this encoder")
      .argParser(named)
      .default([], "told by names"),
    new Option("--images <dir>", "folder or tar that paths start from (default: beside the pairs)"),
    new Option("--anchor <name>", "the encoder that stays as it is (default: text, else the last)"),
    new Option("--label-column <column>", "labels of the rows; several parted by | or ;"),
    new Option("--labels <file>", "labels of vectors, one a row"),
    new Option("--group-column <column>", "rows with equal values stay on one side of the split"),
    new Option("--compare <column>", "for one encoder: a second item a row, to measure with"),
    new Option("--score <column>", "how alike the two are said to be"),
  ]);
  group("Training:", [
    new Option("--train <what>", "head (on frozen encoders), adapters (LoRA) or whole").choices([
      "head",
      "adapters",
      "whole",
    ]),
    new Option("--steps <n>", "steps of training").argParser(number),
    new Option("--epochs <n>", "times that the rows are seen").argParser(number),
    new Option("--batch <n>", "rows a step").argParser(number),
    new Option("--learning-rate <n>", "peak of the learning rate").argParser(number),
    new Option("--weight-decay <n>", "decoupled weight decay of matrices").argParser(number),
    new Option("--rank <n>", "rank of the adapters").argParser(number),
    new Option("--seed <n>", "of split, start and batches (default: 0)").argParser(number),
    new Option("--held-out <share>", "share of the rows that only the report sees (default: 0.1)").argParser(
      number,
    ),
    new Option(
      "--validation <share>",
      "share of the rows that choose the best step (default: as --held-out)",
    ).argParser(number),
    new Option(
      "--metric <name>",
      `metric that chooses: ${recipe?.measure ? `${recipe.measure.metric.id}, ` : ""}mrr, recall@1, recall@5, recall@10, map, spearman, uniformity`,
    ),
    new Option("--evaluate-every <steps>", "steps between looks at the validation rows").argParser(number),
    new Option(
      "--patience <looks>",
      "looks without a better one before training ends (default: 10)",
    ).argParser(number),
  ]);
  group("Output:", [
    new Option("--out <dir>", "folder for what comes out; never overwritten"),
    new Option("--resume", "go on with the run in --out; the rest of the command line as before"),
    new Option("--save-embeddings", "also the held-out vectors before and after, as .npy"),
    new Option(
      "--cache <dir>",
      "features of frozen encoders are kept here by content (default: $CONCORD_CACHE, else the user's cache)",
    ),
    new Option("--dry-run", "say what would be done"),
    new Option("--json", "no progress; the record (or the plan) as JSON on standard output"),
  ]);
  const own = Object.entries(recipe?.options ?? {}).map(([name, option]) => ({
    name,
    option: recipeOption(name, option),
  }));
  if (recipe && own.length > 0)
    group(
      `Options of ${recipe.slug}:`,
      own.map(({ option }) => option),
    );
  const slug = recipe?.slug ?? "clip-refine";
  const kind = recipe?.needs.modalities?.[0] ?? "text";
  const sides =
    recipe?.needs.towers === "one"
      ? `--encoder ${kind}=${kind === "text" ? "minilm" : kind}/`
      : "--encoder image=clip/ --encoder text=clip/";
  const files = recipe?.needs.towers === "one" ? "vectors.npy" : "images.npy texts.npy";
  const withPairs = `--pairs pairs.csv ${sides}`;
  // Views are made of items, not of vectors.
  const last = recipe?.views ? withPairs : files;
  const examples = [withPairs, ...(recipe?.views ? [] : [files])].map((given) => `${given} --out adapted`);
  const lines = [...examples, `${last} --out adapted --resume   (after a kill)`].map(
    (line) => `\n  ${context.name} adapt ${slug} ${line}`,
  );
  command.addHelpText("after", `\nExamples:${lines.join("")}`);
  command.action(
    async (
      given: string | undefined,
      files: readonly string[],
      flags: AdaptFlags & Readonly<Record<string, unknown>>,
    ) => {
      if (given === undefined)
        throw new UsageError(`Which recipe? There are ${(await listRecipes()).join(", ")}.`);
      // Says which recipes there are, and what was meant, when there is none of this name.
      const chosen = recipe?.slug === given ? recipe : await loadRecipe(given);
      settle(await runAdapt(context, requestOf(chosen, files, flags, own), flags));
    },
  );
}

function requestOf(
  recipe: Recipe,
  files: readonly string[],
  flags: AdaptFlags & Readonly<Record<string, unknown>>,
  own: readonly { readonly name: string; readonly option: Option }[],
): AdaptRequest {
  const columns = new Map(flags.column.map(({ name, value }) => [name, value]));
  const vectors = [
    ...files.map((value, i) => ({
      name: files.length === 1 ? "vectors" : (["a", "b", "c", "d", "e", "f"][i] ?? `set${i + 1}`),
      value,
    })),
    ...flags.vectors,
  ];
  const towers = [
    ...flags.encoder.map(({ name, value }): [string, TowerRequest] => [
      name,
      { encoder: value, ...(columns.has(name) && { column: columns.get(name) as string }) },
    ]),
    ...vectors.map(({ name, value }): [string, TowerRequest] => [
      name,
      { vectors: value, ...(columns.has(name) && { column: columns.get(name) as string }) },
    ]),
  ];
  const names = towers.map(([name]) => name);
  const strange = [...columns.keys()].find((name) => !names.includes(name));
  if (strange !== undefined)
    throw new UsageError(
      `--column ${strange}=...: there is no encoder of this name; there are ${names.join(", ") || "none"}.`,
    );
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`'${twice}' names an encoder and vectors.`);
  if (towers.length === 0)
    throw new UsageError(
      "Nothing to adapt: give encoders (--encoder NAME=PATH, with --pairs FILE) or files of vectors.",
    );
  if (flags.out === undefined) throw new UsageError("Where to? Give --out DIR.");
  const options = own.flatMap(({ name, option }) => {
    const value = flags[option.attributeName()];
    const isDefault = option.negate ? value === true : value === undefined;
    return isDefault ? [] : [[name, value] as const];
  });
  const kept: AdaptRequest = {
    recipe: recipe.slug,
    towers: Object.fromEntries(towers),
    out: flags.out,
    options: Object.fromEntries(options),
  };
  const renamed: Readonly<Record<string, unknown>> = {
    pairs: flags.pairs,
    images: flags.images,
    anchor: flags.anchor,
    labels: flags.labels,
    labelColumn: flags.labelColumn,
    groupColumn: flags.groupColumn,
    compareColumn: flags.compare,
    scoreColumn: flags.score,
    train: flags.train,
    steps: flags.steps,
    epochs: flags.epochs,
    batchSize: flags.batch,
    learningRate: flags.learningRate,
    weightDecay: flags.weightDecay,
    rank: flags.rank,
    seed: flags.seed,
    heldOut: flags.heldOut,
    validation: flags.validation,
    metric: flags.metric,
    evaluateEvery: flags.evaluateEvery,
    patience: flags.patience,
    cache: flags.cache,
    resume: flags.resume,
    saveEmbeddings: flags.saveEmbeddings,
  };
  return {
    ...kept,
    ...Object.fromEntries(Object.entries(renamed).filter(([, value]) => value !== undefined)),
  };
}

async function runAdapt(context: Context, request: AdaptRequest, flags: AdaptFlags): Promise<ExitCode> {
  // The engine comes with it, which other commands do not need.
  const { adapt, planAdapt } = await import("@concord/toolkit");
  const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
  if (flags.dryRun) {
    const plan = await planAdapt(request);
    context.stdout.write(flags.json ? `${JSON.stringify(plan)}\n` : `${renderPlan(plan, style)}\n`);
    return ExitCode.done;
  }
  const controller = new AbortController();
  const display = flags.json ? null : new AdaptDisplay(context);
  const end = listenForStop(context, () => {
    display?.print("Stopping after the current step; once more to stop at once.");
    controller.abort();
  });
  try {
    const { record } = await adapt(request, {
      signal: controller.signal,
      onProgress: (progress) => display?.observe(progress),
      onNote: (note) => display?.print(`note: ${note}`),
    });
    display?.end();
    context.stdout.write(
      flags.json ? `${JSON.stringify(record)}\n` : `\n${renderAdaptation(record, request.out, style)}\n`,
    );
    return ExitCode.done;
  } catch (error) {
    display?.end();
    if (!controller.signal.aborted) throw error;
    context.stderr.write(
      `\nStopped. The same command with --resume goes on from there:\n  ${context.name} adapt ${shellText(request.recipe as string)} ... --out ${shellText(request.out)} --resume\n`,
    );
    return ExitCode.cancelled;
  } finally {
    end();
    display?.end();
  }
}
