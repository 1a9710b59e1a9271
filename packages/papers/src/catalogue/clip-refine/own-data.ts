import { type CaptionedImageSet, selectImages, splitImages, trainBpeTokenizer } from "@concord/data";
import { foldIn } from "@concord/tensor";
import {
  type CaptionedFiles,
  captionedFiles,
  captionedInputs,
  checkCaptionedFiles,
  readCaptionedImages,
} from "../../harness/captioned-images.ts";
import type { PresetName, UnitContext } from "../../harness/contract.ts";
import { epochsFor, type Inputs, integerInput, textInput } from "../../harness/inputs.ts";
import type { ClipRefineConfig } from "./config.ts";
import { type Classification, longestText, type Task } from "./task.ts";

const MAX_EPOCHS = 10_000;
const SPLIT_STREAM = 5;

export const inputs = captionedInputs(
  "Captioned images: .csv, .tsv or .jsonl with the columns image and caption, COCO captions or Karpathy splits as .json, or a folder of class folders.",
  [
    {
      name: "label-column",
      kind: "text",
      placeholder: "NAME",
      description:
        "Column with the class of an image, for zero-shot accuracy with the prompt 'a photo of {class}'.",
      requires: ["pairs"],
    },
  ],
  [
    {
      name: "epochs",
      kind: "text",
      placeholder: "N",
      description:
        "Epochs of pre-training (stage A). Default: about as many steps as on the generated world.",
      requires: ["pairs"],
    },
    {
      name: "refine-epochs",
      kind: "text",
      placeholder: "N",
      description: "Epochs of refinement (stage B). Default: 1, as in the paper.",
      requires: ["pairs"],
    },
  ],
);

/** A run on the user's own pairs. */
export interface OwnRun extends CaptionedFiles {
  readonly labelColumn: string | undefined;
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
  const { image } = config.encoder;
  const files = captionedFiles(given, {
    size: config.data.own.imageSize,
    patchSize: image.kind === "vision-transformer" ? image.patchSize : undefined,
  });
  if (files === null) return null;
  const epochs = integerInput(given, "epochs", { most: MAX_EPOCHS });
  const refineEpochs = integerInput(given, "refine-epochs", { most: MAX_EPOCHS }) ?? config.refinement.epochs;
  return {
    ...files,
    labelColumn: textInput(given, "label-column"),
    epochs,
    config: { ...config, refinement: { ...config.refinement, epochs: refineEpochs } },
  };
}

/**
 * Epochs of pre-training on own images: what the user wants, else as many as make the steps that the preset does on
 * the generated world, else the preset's.
 */
export function pretrainingEpochs({ epochs, config }: OwnRun, images: number): number {
  return epochsFor(epochs, config.pretraining, config.data.generated?.pretraining, images);
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
  await checkCaptionedFiles(run);
}

/** Loads, splits and tokenises the user's pairs; tells how many rows were rejected and why. */
export async function loadOwnTask(context: UnitContext<ClipRefineConfig>, run: OwnRun): Promise<Task> {
  const { own } = run.config.data;
  const set = await readCaptionedImages(context, run);
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
