import { stat } from "node:fs/promises";
import { type TextTokenizer, trainWordTokenizer } from "@concord/data";
import type { PresetName, RunInput, UnitContext } from "../../harness/contract.ts";
import { type Inputs, integerInput, strictInput, textInput } from "../../harness/inputs.ts";
import { noteSkippedRows } from "../../harness/skipped-rows.ts";
import type { WhitenedCseConfig } from "./config.ts";
import { problemCounter, readSentences, readStsSet } from "./sts-files.ts";
import type { StsSet, Task } from "./task.ts";

const MAX_STEPS = 1_000_000;
const MAX_RATE = 1;
/** A number such as 2e-4 or 0.001. */
const DECIMAL = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** Words seen once in a corpus have no neighbours to speak of. */
const LEAST_COUNT = 2;

export const inputs: readonly RunInput[] = [
  {
    name: "sentences",
    kind: "path",
    placeholder: "FILE.txt",
    description:
      "Plain sentences to train on: .txt with one a line, or a column of .csv, .tsv, .jsonl or .parquet.",
    requires: ["sts"],
  },
  {
    name: "sentence-column",
    kind: "text",
    placeholder: "NAME",
    description: "Column of the sentences. Default: sentence, text or sent0, else the first one.",
    requires: ["sentences"],
  },
  {
    name: "sts",
    kind: "path",
    placeholder: "FILE.csv|DIR",
    description:
      "Scored pairs to measure on: sts-test.csv of the STS benchmark, SICK's .txt or .tsv, a table with the columns a, b and score, or a folder in SentEval's layout.",
    requires: ["sentences"],
  },
  {
    name: "sts-dev",
    kind: "path",
    placeholder: "FILE.csv|DIR",
    description: "Scored pairs that choose the best checkpoint. Default: the last checkpoint is kept.",
    requires: ["sentences"],
  },
  {
    name: "steps",
    kind: "text",
    placeholder: "N",
    description:
      "Steps of training. Default: as many as on the generated sentences, or an epoch of the preset paper.",
    requires: ["sentences"],
  },
  {
    name: "learning-rate",
    kind: "text",
    placeholder: "RATE",
    description:
      "Learning rate of all arms. Default: those found on 100,000 English sentences, for each arm its own.",
    requires: ["sentences"],
  },
  strictInput("sentences"),
];

/** A run on the user's own sentences. */
export interface OwnRun {
  readonly sentences: string;
  readonly column: string | undefined;
  readonly sts: string;
  readonly development: string | undefined;
  readonly strict: boolean;
  /** The preset's configuration with the user's changes. */
  readonly config: WhitenedCseConfig;
}

/**
 * What the inputs ask for, or null when they name no sentences.
 *
 * @throws Error when the number of steps or the learning rate is malformed, or sentences come without scored pairs
 */
export function ownRun(config: WhitenedCseConfig, given: Inputs): OwnRun | null {
  const sentences = textInput(given, "sentences");
  if (sentences === undefined) return null;
  const sts = textInput(given, "sts");
  if (sts === undefined) throw new Error("--sentences needs --sts: scored pairs to measure on.");
  const steps = integerInput(given, "steps", { most: MAX_STEPS });
  const rate = textInput(given, "learning-rate");
  if (rate !== undefined && !(DECIMAL.test(rate) && Number(rate) > 0 && Number(rate) <= MAX_RATE))
    throw new Error(
      `--learning-rate must be a number above 0, at most ${MAX_RATE}, got ${JSON.stringify(rate)}.`,
    );
  const training = {
    ...config.training,
    ...(steps !== undefined && { steps }),
    learningRates: rate === undefined ? config.data.own.learningRates : { usual: Number(rate), of: {} },
  };
  return {
    sentences,
    column: textInput(given, "sentence-column"),
    sts,
    development: textInput(given, "sts-dev"),
    strict: given.strict === true,
    config: { ...config, training },
  };
}

/**
 * Checks the inputs of a run before anything is computed.
 *
 * @throws Error when a number is malformed, files are missing or the preset needs sentences and got none
 */
export async function validateOwnRun(
  config: WhitenedCseConfig,
  given: Inputs,
  preset: PresetName,
): Promise<void> {
  const run = ownRun(config, given);
  if (!run) {
    if (config.data.world) return;
    throw new Error(
      `The preset '${preset}' trains on your own sentences, e.g. a million lines of Wikipedia: --sentences wiki1m_for_simcse.txt --sts sts-test.csv --sts-dev sts-dev.csv`,
    );
  }
  for (const path of [run.sentences, run.sts, run.development]) {
    if (path === undefined) continue;
    await stat(path).catch((error: unknown) => {
      throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    });
  }
}

/** Reads and tokenises the user's sentences and pairs; tells what was skipped and why. */
export async function loadOwnTask(context: UnitContext<unknown>, run: OwnRun): Promise<Task> {
  const { own } = run.config.data;
  const { signal } = context;
  const readPairs = async (path: string): Promise<StsSet> => {
    const { onProblem, problems } = problemCounter(run.strict);
    const set = await readStsSet(path, { onProblem, signal });
    noteSkippedRows(context, problems, `rows of ${path}`);
    return set;
  };
  const test = await readPairs(run.sts);
  const development = run.development === undefined ? null : await readPairs(run.development);
  context.progress({ phase: "reading sentences", step: 0, steps: 1 });
  const { onProblem, problems } = problemCounter(run.strict);
  const sentences = await readSentences(run.sentences, {
    onProblem,
    signal,
    most: own.sentences,
    onGuess: (column) =>
      context.note(
        `${run.sentences}: no column has a usual name; the first one is read, whose heading is ${JSON.stringify(column)}. --sentence-column names another.`,
        "warning",
      ),
    ...(run.column !== undefined && { column: run.column }),
  });
  noteSkippedRows(context, problems, `rows of ${run.sentences}`);
  const tokenizer = trainWordTokenizer(sentences, {
    maxVocabulary: own.vocabulary,
    minCount: LEAST_COUNT,
    boundaries: run.config.encoder.pooling === "first",
  });
  signal.throwIfAborted();
  checkVocabulary(run, sentences.length, tokenizer.vocabularySize);
  context.note(
    `${sentences.length} sentences to train on, ${tokenizer.vocabularySize} words, ${test.pairs.length} pairs to measure on${development ? `, ${development.pairs.length} to choose the checkpoint` : ""}. ${unknownShare(tokenizer, test)}`,
  );
  return {
    sentences,
    tokens: tokenizer.encodeBatch(sentences, { length: own.context }),
    tokenizer,
    context: own.context,
    development,
    test,
  };
}

/** Word vectors of D directions need more than D words. */
function checkVocabulary({ sentences: path, config }: OwnRun, sentences: number, vocabulary: number): void {
  const { width } = config.encoder;
  if (config.start.words.kind === "random" || vocabulary > width) return;
  throw new Error(
    `${path}: ${sentences} sentences with ${vocabulary} different words (those seen at least ${LEAST_COUNT} times, and marks) are too few for an encoder of width ${width}, which needs more than ${width}.`,
  );
}

/** How much of the test the vocabulary does not know, in words. */
function unknownShare(tokenizer: TextTokenizer, { pairs }: StsSet): string {
  const unknown = tokenizer.tokenId("[UNK]");
  const ids = pairs.flatMap(({ a, b }) => [...tokenizer.encode(a), ...tokenizer.encode(b)]);
  const share = ids.filter((id) => id === unknown).length / Math.max(1, ids.length);
  return `${(100 * share).toFixed(1)} % of the words in the pairs are unknown.`;
}
