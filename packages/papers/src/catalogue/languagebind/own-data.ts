import { stat } from "node:fs/promises";
import { openImageFiles } from "@concord/data";
import type { PresetName, RunInput } from "../../harness/contract.ts";
import { type Inputs, integerInput, strictInput, textInput } from "../../harness/inputs.ts";
import type { LanguageBindConfig } from "./config.ts";
import { SENSORS, type Sensor } from "./defaults.ts";
import { isRowFile } from "./own-rows.ts";

const MAX_EPOCHS = 10_000;
const MAX_IMAGE_SIZE = 512;
/** Side of own pictures with the small encoders, unless the user says otherwise. */
const SMALL_IMAGE_SIZE = 32;

/** What is read beside tables. */
const ALSO: Readonly<Record<Sensor, string>> = {
  video:
    "annotations (.json) of VIDAL-10M, MSR-VTT, DiDeMo or ActivityNet Captions, whose clips are folders of frames, or a folder with one folder for each class",
  depth: "annotations of VIDAL-10M (.json), or a folder with one folder for each class",
  infrared: "annotations of VIDAL-10M (.json), or a folder with one folder for each class",
  audio:
    "the .csv of Clotho or AudioCaps, annotations of VIDAL-10M (.json), or a folder with one folder for each class",
};

const SENSOR_FILES: Readonly<Record<Sensor, string>> = {
  video: "frames of clips: a folder of them, or their paths separated by |, in the column video",
  depth: "16-bit grey PNG in millimetres",
  infrared: "JPEG, PNG or WebP",
  audio: "WAV or FLAC",
};

export const inputs: readonly RunInput[] = [
  {
    name: "pairs",
    kind: "path",
    placeholder: "FILE|DIR",
    description:
      "Captioned colour pictures that language is learned from: .csv, .tsv, .jsonl or .parquet with the columns image and caption, in as many languages as you like; or annotations of VIDAL-10M (.json), or a folder with one folder for each class.",
  },
  {
    name: "images",
    kind: "path",
    placeholder: "DIR|FILE.tar",
    description: "Folder or .tar that the paths of pictures start from. Default: the folder of --pairs.",
    requires: ["pairs"],
  },
  ...SENSORS.flatMap((sensor): RunInput[] => [
    {
      name: sensor,
      kind: "path",
      placeholder: "FILE|DIR",
      description: `Captioned samples of ${sensor} (${SENSOR_FILES[sensor]}), with the columns ${sensor} and caption; with a column image (a colour picture of the same event) image-bound arms can run, too. Also ${ALSO[sensor]}.`,
      requires: ["pairs"],
    },
    {
      name: `${sensor}-files`,
      kind: "path",
      placeholder: "DIR|FILE.tar",
      description: `Folder, .tar or .tar.gz that the paths of --${sensor} start from. Default: the folder of --${sensor}.`,
      requires: [sensor],
    },
  ]),
  {
    name: "label-column",
    kind: "text",
    placeholder: "NAME",
    description:
      "Column with the class of a sample, in the files that have it: for zero-shot accuracy, and samples of one class count as belonging together across sensors. Default: equal captions belong together.",
    requires: ["pairs"],
  },
  {
    name: "image-size",
    kind: "text",
    placeholder: "PIXELS",
    description: `Side that pictures are scaled to. Default: ${SMALL_IMAGE_SIZE}, with the preset paper 224.`,
    requires: ["pairs"],
  },
  {
    name: "epochs",
    kind: "text",
    placeholder: "N",
    description: "Epochs of stage A. Default: about as many steps as on generated events.",
    requires: ["pairs"],
  },
  {
    name: "bind-epochs",
    kind: "text",
    placeholder: "N",
    description: "Epochs of stage B, for every sensor. Default: about as many steps as on generated events.",
    requires: ["pairs"],
  },
  strictInput("pairs"),
];

/** A file of captioned samples and where its paths start. */
export interface SampleFiles {
  readonly table: string;
  readonly files: string | undefined;
}

/** A run on the user's own data. */
export interface OwnRun {
  readonly pairs: SampleFiles;
  readonly sensors: Readonly<Partial<Record<Sensor, SampleFiles>>>;
  readonly labelColumn: string | undefined;
  readonly strict: boolean;
  readonly epochs: number | undefined;
  readonly bindEpochs: number | undefined;
  /** The preset's configuration with the user's sizes. */
  readonly config: LanguageBindConfig;
}

/**
 * What the inputs ask for, or null when they name no pairs.
 *
 * @throws Error when a number is malformed or out of its range
 */
export function ownRun(config: LanguageBindConfig, given: Inputs): OwnRun | null {
  const table = textInput(given, "pairs");
  if (table === undefined) return null;
  const { patchSize, inputSize } = config.encoder;
  const side =
    integerInput(given, "image-size", { most: MAX_IMAGE_SIZE }) ??
    (config.data.generated ? SMALL_IMAGE_SIZE : inputSize[0]);
  if (side % patchSize !== 0)
    throw new Error(`--image-size must be a multiple of ${patchSize} for this encoder, got ${side}.`);
  const sensors = SENSORS.flatMap((sensor) => {
    const own = textInput(given, sensor);
    return own === undefined
      ? []
      : [[sensor, { table: own, files: textInput(given, `${sensor}-files`) }] as const];
  });
  return {
    pairs: { table, files: textInput(given, "images") },
    sensors: Object.fromEntries(sensors),
    labelColumn: textInput(given, "label-column"),
    strict: given.strict === true,
    epochs: integerInput(given, "epochs", { most: MAX_EPOCHS }),
    bindEpochs: integerInput(given, "bind-epochs", { most: MAX_EPOCHS }),
    config: { ...config, encoder: { ...config.encoder, inputSize: [side, side] } },
  };
}

/**
 * Checks the inputs of a run before anything is computed.
 *
 * @throws Error when a number is malformed, files are missing or of no known format, or the preset needs own data and
 *   got none
 */
export async function validateOwnRun(
  config: LanguageBindConfig,
  given: Inputs,
  preset: PresetName,
): Promise<void> {
  const run = ownRun(config, given);
  if (!run) {
    if (config.data.generated) return;
    throw new Error(
      `The preset '${preset}' trains on your own data: --pairs pictures.csv --images DIR, and sensors such as --audio sounds.csv --audio-files DIR`,
    );
  }
  if (Object.keys(run.sensors).length === 0)
    throw new Error(
      `--pairs gives pictures only; give at least one sensor to bind: ${SENSORS.map((sensor) => `--${sensor}`).join(", ")}.`,
    );
  for (const [name, { table, files }] of [["pairs", run.pairs], ...Object.entries(run.sensors)] as const) {
    const info = await stat(table).catch(() => null);
    if (!info) throw new Error(`--${name}: there is no file or folder at ${table}.`);
    if (info.isFile() && !isRowFile(table))
      throw new Error(
        `--${name}: expected a .csv, .tsv, .jsonl, .parquet or .json file or a folder of classes, got ${table}.`,
      );
    if (files !== undefined) await openImageFiles(files);
  }
}
