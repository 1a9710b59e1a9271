import {
  type CaptionedImageSet,
  loadCaptionedImages,
  openImageFiles,
  openPairs,
  selectImages,
  splitImages,
  trainBpeTokenizer,
} from "@concord/data";
import { foldIn } from "@concord/tensor";
import type { PresetName, RunInput, UnitContext } from "../../harness/contract.ts";
import { type Inputs, integerInput, strictInput, textInput } from "../../harness/inputs.ts";
import { noteSkippedRows } from "../../harness/skipped-rows.ts";
import type { ClipRefineConfig } from "./config.ts";
import { type Classification, longestText, type Task } from "./task.ts";

const MAX_EPOCHS = 10_000;
const MAX_IMAGE_SIZE = 512;
const SPLIT_STREAM = 5;

export const inputs: readonly RunInput[] = [
  {
    name: "pairs",
    kind: "path",
    placeholder: "FILE.csv",
    description:
      "Captioned images: .csv, .tsv or .jsonl with the columns image and caption, COCO captions or Karpathy splits as .json, or a folder of class folders.",
  },
  {
    name: "images",
    kind: "path",
    placeholder: "DIR|FILE.tar",
    description: "Folder or .tar that the image paths start from. Default: the folder of --pairs.",
    requires: ["pairs"],
  },
  {
    name: "image-column",
    kind: "text",
    placeholder: "NAME",
    description: "Column of image paths. Default: image.",
    requires: ["pairs"],
  },
  {
    name: "caption-column",
    kind: "text",
    placeholder: "NAME",
    description: "Column of captions. Default: caption.",
    requires: ["pairs"],
  },
  {
    name: "label-column",
    kind: "text",
    placeholder: "NAME",
    description:
      "Column with the class of an image, for zero-shot accuracy with the prompt 'a photo of {class}'.",
    requires: ["pairs"],
  },
  {
    name: "image-size",
    kind: "text",
    placeholder: "PIXELS",
    description: "Side that images are scaled to.",
    requires: ["pairs"],
  },
  {
    name: "epochs",
    kind: "text",
    placeholder: "N",
    description: "Epochs of pre-training (stage A). Default: about as many steps as on the generated world.",
    requires: ["pairs"],
  },
  {
    name: "refine-epochs",
    kind: "text",
    placeholder: "N",
    description: "Epochs of refinement (stage B). Default: 1, as in the paper.",
    requires: ["pairs"],
  },
  strictInput("pairs"),
];

/** A run on the user's own pairs. */
export interface OwnRun {
  readonly pairs: string;
  readonly images: string | undefined;
  readonly imageColumn: string | undefined;
  readonly captionColumn: string | undefined;
  readonly labelColumn: string | undefined;
  readonly imageSize: number;
  readonly strict: boolean;
  /** Epochs of pre-training that the user wants. */
  readonly epochs: number | undefined;
  /** The preset's configuration with the user's changes. */
  readonly config: ClipRefineConfig;
}

/**
 * What the inputs ask for, or null when they name no pairs.
 *
 * @throws Error when a number is malformed or out of its range
 */
export function ownRun(config: ClipRefineConfig, given: Inputs): OwnRun | null {
  const pairs = textInput(given, "pairs");
  if (pairs === undefined) return null;
  const imageSize = integerInput(given, "image-size", { most: MAX_IMAGE_SIZE }) ?? config.data.own.imageSize;
  const epochs = integerInput(given, "epochs", { most: MAX_EPOCHS });
  const refineEpochs = integerInput(given, "refine-epochs", { most: MAX_EPOCHS }) ?? config.refinement.epochs;
  const { image } = config.encoder;
  if (image.kind === "vision-transformer" && imageSize % image.patchSize !== 0)
    throw new Error(
      `--image-size must be a multiple of ${image.patchSize} for this encoder, got ${imageSize}.`,
    );
  return {
    pairs,
    images: textInput(given, "images"),
    imageColumn: textInput(given, "image-column"),
    captionColumn: textInput(given, "caption-column"),
    labelColumn: textInput(given, "label-column"),
    imageSize,
    strict: given.strict === true,
    epochs,
    config: { ...config, refinement: { ...config.refinement, epochs: refineEpochs } },
  };
}

/**
 * Epochs of pre-training on own images: what the user wants, else as many as make the steps that the preset does on
 * the generated world, else the preset's.
 */
export function pretrainingEpochs({ epochs, config }: OwnRun, images: number): number {
  if (epochs !== undefined) return epochs;
  const { data, pretraining } = config;
  if (!data.generated) return pretraining.epochs;
  const stepsPerEpoch = (count: number): number => Math.max(1, Math.floor(count / pretraining.batchSize));
  const steps = pretraining.epochs * stepsPerEpoch(data.generated.pretraining);
  return Math.ceil(steps / stepsPerEpoch(images));
}

function open(run: OwnRun) {
  return openPairs(run.pairs, {
    ...(run.imageColumn !== undefined && { image: run.imageColumn }),
    ...(run.captionColumn !== undefined && { caption: run.captionColumn }),
  });
}

/**
 * Checks the inputs of a run before anything is computed.
 *
 * @throws Error when a number is malformed, files are missing or the preset needs pairs and got none
 */
export async function validateOwnRun(
  config: ClipRefineConfig,
  given: Inputs,
  preset: PresetName,
): Promise<void> {
  const run = ownRun(config, given);
  if (!run) {
    if (config.data.generated) return;
    throw new Error(
      `The preset '${preset}' trains on your own pairs, e.g. COCO captions: --pairs annotations/captions_train2017.json --images train2017`,
    );
  }
  const opened = await open(run);
  await openImageFiles(run.images ?? opened.images);
}

/** Loads, splits and tokenises the user's pairs; tells how many rows were rejected and why. */
export async function loadOwnTask(context: UnitContext<ClipRefineConfig>, run: OwnRun): Promise<Task> {
  const { own } = run.config.data;
  const opened = await open(run);
  const { set, problems } = await loadCaptionedImages({
    pairs: opened.pairs,
    images: run.images ?? opened.images,
    size: run.imageSize,
    strict: run.strict,
    signal: context.signal,
    onProgress: ({ done, total }) => context.progress({ phase: "reading images", step: done, steps: total }),
  });
  noteSkippedRows(context, problems);
  const { training, heldOut } = splitImages(set, foldIn(context.key, SPLIT_STREAM), {
    training: 1 - own.heldOut,
    heldOut: own.heldOut,
  });
  const evaluation = selectImages(
    heldOut,
    Array.from({ length: Math.min(own.evaluation, heldOut.count) }, (_, i) => i),
  );
  const classifications =
    run.labelColumn === undefined ? [] : [classificationOf(evaluation, run.labelColumn)];
  // The tokenizer must not have seen the held-out captions.
  const tokenizer = trainBpeTokenizer(training.captions.flat(), {
    maxVocabulary: own.vocabulary,
    // A bag of words has no use for the marks of begin and end.
    boundaries: run.config.encoder.text.kind === "transformer",
  });
  context.note(
    `${set.count} images: ${training.count} to train, ${evaluation.count} of ${heldOut.count} held-out ones to evaluate.`,
  );
  return {
    pretraining: training,
    refinement: training,
    evaluation,
    classifications,
    tokenizer,
    context: Math.min(own.context, longestText(tokenizer, [training, evaluation], classifications)),
  };
}

function classificationOf(set: CaptionedImageSet, column: string): Classification {
  const labels = set.labels[column];
  if (!labels) {
    const names = Object.keys(set.labels).map((name) => JSON.stringify(name));
    throw new Error(
      `--label-column: there is no column ${JSON.stringify(column)}; the others are ${names.join(", ") || "none"}.`,
    );
  }
  return {
    name: column,
    labels: labels.indices,
    prompts: labels.values.map((value) => [`a photo of ${value}`]),
    knowledge: "new",
  };
}
