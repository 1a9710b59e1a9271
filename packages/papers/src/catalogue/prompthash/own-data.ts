import { type CaptionedImageSet, selectImages, trainBpeTokenizer } from "@concord/data";
import { foldIn, type NDArray, permutation } from "@concord/tensor";
import {
  type CaptionedFiles,
  captionedFiles,
  captionedInputs,
  checkCaptionedFiles,
  readCaptionedImages,
  readImagePairs,
} from "../../harness/captioned-images.ts";
import type { PresetName, UnitContext } from "../../harness/contract.ts";
import { type Inputs, integerInput, textInput } from "../../harness/inputs.ts";
import type { PromptHashConfig } from "./config.ts";
import { isReleasedLayout, releasedPairs } from "./released-layout.ts";
import type { TaggedImages } from "./scenes.ts";
import { longestText, promptSentence, type Task, taskOf } from "./task.ts";

const MAX_EPOCHS = 10_000;
/** The similarity of a batch is a product over all labels. */
const MAX_LABELS = 2000;
/** The buffers hold the codes of all training items. */
const MAX_IMAGES = 200_000;
const SPLIT_STREAM = 20;

export const inputs = captionedInputs(
  "Tagged pictures: .csv, .tsv, .jsonl or .parquet with the columns image, caption and labels; or a folder with index.mat, caption.mat or .txt, and label.mat.",
  [
    {
      name: "labels-column",
      kind: "text",
      placeholder: "NAME",
      description: "Column of labels. Default: labels.",
      requires: ["pairs"],
    },
    {
      name: "separator",
      kind: "text",
      placeholder: "TEXT",
      description: "What parts the labels of a picture. Default: |.",
      requires: ["pairs"],
    },
    {
      name: "min-count",
      kind: "text",
      placeholder: "N",
      description: "Labels of fewer pictures are left out. Default: 10.",
      requires: ["pairs"],
    },
  ],
  [
    {
      name: "epochs",
      kind: "text",
      placeholder: "N",
      description: "Epochs of the hashing. Default: the preset's.",
      requires: ["pairs"],
    },
    {
      name: "balance",
      kind: "flag",
      description: "Similar pairs weigh as much as all others together: for labels that few pictures share.",
      requires: ["pairs"],
    },
  ],
);

/** A run on the user's own pictures. */
export interface OwnRun extends CaptionedFiles {
  readonly labelsColumn: string;
  readonly separator: string;
  readonly minCount: number;
  /** The preset's configuration with the user's changes. */
  readonly config: PromptHashConfig;
}

/**
 * What the inputs ask for, or null when they name no pairs.
 *
 * @throws Error when a number is malformed or out of its range
 */
export function ownRun(config: PromptHashConfig, given: Inputs): OwnRun | null {
  const { image } = config.encoder;
  const files = captionedFiles(given, {
    size: config.data.own.imageSize,
    patchSize: image.kind === "vision-transformer" ? image.patchSize : undefined,
  });
  if (files === null) return null;
  const separator = textInput(given, "separator") ?? "|";
  if (separator === "") throw new Error("--separator must not be empty.");
  const epochs = integerInput(given, "epochs", { most: MAX_EPOCHS }) ?? config.hashing.epochs;
  return {
    ...files,
    labelsColumn: textInput(given, "labels-column") ?? "labels",
    separator,
    minCount: integerInput(given, "min-count", { most: MAX_IMAGES }) ?? 10,
    config: { ...config, hashing: { ...config.hashing, epochs, balance: given.balance === true } },
  };
}

/**
 * Checks the inputs of a run before anything is computed.
 *
 * @throws Error when a number is malformed, files are missing or the preset needs pictures and got none
 */
export async function validateOwnRun(
  config: PromptHashConfig,
  given: Inputs,
  preset: PresetName,
): Promise<void> {
  const run = ownRun(config, given);
  if (!run) {
    if (config.data.generated) return;
    throw new Error(
      `The preset '${preset}' trains on your own tagged pictures, e.g. MIRFlickr-25K: --pairs mirflickr.csv --images mirflickr, with the columns image, caption and labels`,
    );
  }
  await checkCaptionedFiles(run);
}

/** Reads all pictures: of a table, or of a folder in the layout of the released code. */
async function readPictures(context: UnitContext<PromptHashConfig>, run: OwnRun): Promise<CaptionedImageSet> {
  if (!(await isReleasedLayout(run.pairs))) return readCaptionedImages(context, run);
  const images = run.images ?? run.pairs;
  return readImagePairs(context, {
    pairs: releasedPairs(run.pairs, { images, column: run.labelsColumn, separator: run.separator }),
    images,
    size: run.imageSize,
    strict: run.strict,
  });
}

/**
 * Labels of some pictures from one text each.
 *
 * @param texts  e.g. "dog|sky", undefined where there is none
 * @returns names of the labels that at least `minCount` pictures have, most frequent first, and [N, C] of 0 and 1
 * @throws Error when no label or too many are left, or one label belongs to all pictures
 */
export function readLabels(
  texts: readonly (string | undefined)[],
  { separator, minCount }: { readonly separator: string; readonly minCount: number },
): { readonly classes: readonly string[]; readonly labels: NDArray<"float32"> } {
  const lists = texts.map((text) => [
    ...new Set(
      (text ?? "")
        .split(separator)
        .map((label) => label.trim())
        .filter((label) => label !== ""),
    ),
  ]);
  const counts = new Map<string, number>();
  for (const label of lists.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  if (counts.size === 0)
    throw new Error(`--labels-column: none of the ${texts.length} pictures has a label in this column.`);
  const classes = [...counts]
    .filter(([, count]) => count >= minCount)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([label]) => label);
  if (classes.length === 0)
    throw new Error(
      `--min-count: none of the ${counts.size} labels belongs to ${minCount} pictures or more; is the separator ${JSON.stringify(separator)}?`,
    );
  if (classes.length > MAX_LABELS)
    throw new Error(`--min-count: ${classes.length} labels are left, at most ${MAX_LABELS} are possible.`);
  const place = new Map(classes.map((label, c) => [label, c]));
  const kept = lists.filter((list) => list.some((label) => place.has(label)));
  if (kept.every((list) => list.includes(classes[0] as string)))
    throw new Error(
      `--labels-column: all ${kept.length} pictures with labels have the label ${JSON.stringify(classes[0])}, so that all would be similar; leave it out.`,
    );
  const data = new Float32Array(texts.length * classes.length);
  lists.forEach((list, i) => {
    for (const label of list) {
      const c = place.get(label);
      if (c !== undefined) data[i * classes.length + c] = 1;
    }
  });
  return { classes, labels: { dtype: "float32", shape: [texts.length, classes.length], data } };
}

function labelTexts(set: CaptionedImageSet, { labelsColumn, pairs }: OwnRun): (string | undefined)[] {
  const labels = set.labels[labelsColumn];
  if (!labels) {
    const names = Object.keys(set.labels).map((name) => JSON.stringify(name));
    throw new Error(
      `--labels-column: ${pairs} has no column ${JSON.stringify(labelsColumn)} with texts such as "dog|sky"; beside image and caption there is ${names.join(", ") || "none"}.`,
    );
  }
  return Array.from(labels.indices, (index) => (index < 0 ? undefined : labels.values[index]));
}

/** Loads and splits the user's pictures; tells how many rows were rejected and why, and what has no label. */
export async function loadOwnTask(context: UnitContext<PromptHashConfig>, run: OwnRun): Promise<Task> {
  const { own } = run.config.data;
  const set = await readPictures(context, run);
  const { classes, labels } = readLabels(labelTexts(set, run), run);
  const width = classes.length;
  const order = Array.from(permutation(foldIn(context.key, SPLIT_STREAM), set.count));
  const tagged = order.filter((i) => labels.data.subarray(i * width, (i + 1) * width).includes(1));
  if (tagged.length < set.count)
    context.note(
      `${set.count - tagged.length} pictures have no label that is kept, and are left out.`,
      "warning",
    );
  const [queries, training] = [own.queries, own.training].map((share) =>
    Math.round(share * tagged.length),
  ) as [number, number];
  if (queries < 1 || training < 2 || queries + training > tagged.length)
    throw new Error(
      `${tagged.length} pictures with labels are too few: of them ${queries} would be queries and ${training} would train, at least 1 and 2 are needed.`,
    );
  if (tagged.length > MAX_IMAGES)
    throw new Error(
      `${tagged.length} pictures are more than the ${MAX_IMAGES} whose codes are kept in memory.`,
    );
  const items: TaggedImages = {
    set: selectImages(set, tagged),
    labels: {
      dtype: "float32",
      shape: [tagged.length, width],
      data: Float32Array.from(
        tagged.flatMap((i) => Array.from(labels.data.subarray(i * width, (i + 1) * width))),
      ),
    },
    classes,
  };
  const seen = selectImages(
    items.set,
    Array.from({ length: training }, (_, i) => queries + i),
  );
  // Neither tokenizer nor stage A may see queries.
  const tokenizer = trainBpeTokenizer([...seen.captions.flat(), promptSentence(classes)], {
    maxVocabulary: own.vocabulary,
  });
  context.note(
    `${tagged.length} pictures with ${width} labels: ${queries} queries, ${training} to train, ${tagged.length - queries} in the database.`,
  );
  return taskOf({
    items,
    pretraining: seen,
    queries,
    training,
    tokenizer,
    context: Math.min(own.context, longestText(tokenizer, items)),
  });
}
