import { type ListedVolumes, listVolumes, NiftiError, readNifti, type VolumeFiles } from "@concord/data";
import { foldIn, type NDArray, permutation } from "@concord/tensor";
import type { PresetName, RunInput, UnitContext } from "../../harness/contract.ts";
import type { VocoConfig } from "./config.ts";
import { checkGeometry } from "./crops.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { type PreparationOptions, prepareVolume } from "./prepare-volume.ts";
import type { PreparedVolume, Task } from "./task.ts";

type Inputs = Readonly<Record<string, string | boolean>>;

const MAX_SIDE = 512;
const MAX_CLASSES = 128;
/** Most bytes of all prepared volumes together. */
const MAX_BYTES = 16 * 2 ** 30;
const SHOWN_PROBLEMS = 5;
const SPLIT_STREAM = 41;

const requires = ["volumes"] as const;
export const inputs: readonly RunInput[] = [
  {
    name: "volumes",
    kind: "path",
    placeholder: "DIR|LIST.json",
    description:
      'Folder of .nii and .nii.gz volumes, or a decathlon list: {"training": [{"image": .., "label": ..}], "validation": [..]}.',
  },
  {
    name: "labels",
    kind: "path",
    placeholder: "DIR",
    description:
      "Folder with segmentations under the volumes' file names. Without labels nothing is segmented.",
    requires,
  },
  {
    name: "window",
    kind: "text",
    placeholder: "LOW,HIGH|auto",
    description:
      "Values that become 0 and 1. Default: -175,250 (Hounsfield units, as in the paper); auto takes the 0.5 and 99.5 percentiles of each volume, e.g. for MR.",
    requires,
  },
  {
    name: "foreground",
    kind: "text",
    placeholder: "SHARE",
    description:
      "Keep the box around voxels above this, after scaling. Default: 0.3, as in the paper; 0 keeps everything.",
    requires,
  },
  {
    name: "side",
    kind: "text",
    placeholder: "VOXELS",
    description: "Side of the plane after resizing, a multiple of twice the grid (8).",
    requires,
  },
  {
    name: "depth",
    kind: "text",
    placeholder: "VOXELS",
    description: "Depth after resizing.",
    requires,
  },
  {
    name: "labelled",
    kind: "text",
    placeholder: "N",
    description: "How many labelled volumes fine-tuning sees. Default: 3.",
    requires,
  },
  {
    name: "strict",
    kind: "flag",
    description: "Stop at the first volume that cannot be used, instead of skipping and counting it.",
    requires,
  },
];

/** What a user asked for, checked. */
export interface OwnRun {
  readonly volumes: string;
  readonly labels: string | null;
  readonly preparation: PreparationOptions;
  readonly labelled: number;
  readonly strict: boolean;
  /** The preset with the user's sizes. */
  readonly config: VocoConfig;
}

function textOf(given: Inputs, name: string): string | undefined {
  const value = given[name];
  return typeof value === "string" ? value : undefined;
}

function integer(given: Inputs, name: string, least: number, most: number, usual: number): number {
  const text = textOf(given, name);
  if (text === undefined) return usual;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most))
    throw new Error(`--${name} must be an integer from ${least} to ${most}, got ${JSON.stringify(text)}`);
  return value;
}

function windowOf(text: string | undefined): readonly [number, number] | null {
  if (text === undefined) return PAPER_DEFAULTS.window;
  if (text === "auto") return null;
  const [low = Number.NaN, high = Number.NaN, ...rest] = text.split(",").map(Number);
  if (rest.length > 0 || !(Number.isFinite(low) && Number.isFinite(high) && high > low))
    throw new Error(`--window must be LOW,HIGH with LOW below HIGH, or auto, got ${JSON.stringify(text)}`);
  return [low, high];
}

/**
 * @returns null without --volumes
 * @throws Error that names the input and what it must be
 */
export function ownRun(config: VocoConfig, given: Inputs): OwnRun | null {
  const volumes = textOf(given, "volumes");
  if (volumes === undefined) return null;
  const foreground = Number(textOf(given, "foreground") ?? PAPER_DEFAULTS.foreground);
  if (!(foreground >= 0 && foreground < 1))
    throw new Error(
      `--foreground must be a number from 0 to below 1, got ${JSON.stringify(given.foreground)}`,
    );
  const side = integer(given, "side", 8, MAX_SIDE, config.geometry.side);
  const depth = integer(given, "depth", 1, MAX_SIDE, config.geometry.depth);
  const geometry = { ...config.geometry, side, depth };
  checkGeometry(geometry);
  return {
    volumes,
    labels: textOf(given, "labels") ?? null,
    preparation: { window: windowOf(textOf(given, "window")), foreground, side, depth },
    labelled: integer(given, "labelled", 1, 10_000, config.data.own.labelled),
    strict: given.strict === true,
    config: { ...config, geometry },
  };
}

/** Fewest volumes to train on, and to test on: positions are compared between scans. */
const FEWEST = 2;

/**
 * The volumes, enough of them and each once: one that came twice would be trained and tested on.
 *
 * @throws Error that says what was listed and what is needed
 */
async function listChecked({ volumes, labels }: OwnRun): Promise<ListedVolumes> {
  const listed = await listVolumes(volumes, labels);
  const { training, validation } = listed;
  const seen = new Set<string>();
  for (const { image } of [...training, ...validation]) {
    if (seen.has(image))
      throw new Error(`${volumes}: ${image} is listed twice; a volume is trained on or tested on, once`);
    seen.add(image);
  }
  const apart = validation.length > 0;
  if (training.length < (apart ? 1 : 2) * FEWEST || (apart && validation.length < FEWEST))
    throw new Error(
      `${volumes}: ${training.length} volumes${apart ? ` to train on and ${validation.length} to test on` : ""}; at least ${FEWEST} to train on and ${FEWEST} to test on are needed`,
    );
  return listed;
}

/** Checks what can be checked before anything is computed. */
export async function validateOwnRun(config: VocoConfig, given: Inputs, preset: PresetName): Promise<void> {
  const run = ownRun(config, given);
  if (run) await listChecked(run);
  else if (!config.data.generated)
    throw new Error(`The ${preset} preset trains on your own volumes: give --volumes.`);
}

/** A volume whose labels still have the values of the file. */
type Loaded = PreparedVolume;

async function load(
  context: UnitContext<unknown>,
  files: readonly VolumeFiles[],
  run: OwnRun,
): Promise<{ readonly loaded: ReadonlyMap<VolumeFiles, Loaded>; readonly problems: readonly string[] }> {
  const { side, depth } = run.preparation;
  const bytes = files.length * side * side * depth * 8;
  if (bytes > MAX_BYTES)
    throw new Error(
      `${files.length} volumes of ${side} × ${side} × ${depth} need ${Math.ceil(bytes / 2 ** 30)} GiB of memory, at most ${MAX_BYTES / 2 ** 30} are used: give fewer, or a smaller --side`,
    );
  const loaded = new Map<VolumeFiles, Loaded>();
  const problems: string[] = [];
  for (const [i, one] of files.entries()) {
    context.signal.throwIfAborted();
    try {
      const raw = await readNifti(one.image);
      const labels = one.label === null ? null : (await readNifti(one.label)).volume;
      loaded.set(one, { name: one.name, ...prepareVolume(raw.volume, labels, run.preparation) });
    } catch (error) {
      const reason =
        error instanceof NiftiError
          ? error.message
          : `${one.image}${one.label === null ? "" : ` with ${one.label}`}: ${(error as Error).message}`;
      if (run.strict) throw new Error(reason, { cause: error });
      problems.push(reason);
    }
    context.progress({ phase: "reading volumes", step: i + 1, steps: files.length });
  }
  if (problems.length > 0) {
    const shown = problems.slice(0, SHOWN_PROBLEMS).join("; ");
    const more = problems.length > SHOWN_PROBLEMS ? `; and ${problems.length - SHOWN_PROBLEMS} more` : "";
    context.note(`${problems.length} of ${files.length} volumes were skipped: ${shown}${more}`, "warning");
  }
  return { loaded, problems };
}

/** Label values to classes 1 to C, in their order. */
function numbered(volume: Loaded, classes: ReadonlyMap<number, number>): PreparedVolume {
  if (!volume.labels) return volume;
  const data = volume.labels.data.map((value) => classes.get(value) ?? 0);
  const labels: NDArray<"int32"> = { dtype: "int32", shape: volume.labels.shape, data };
  return { ...volume, labels };
}

/**
 * The user's volumes in three sets. A list's validation part is the test set; otherwise a share is held out at random,
 * volumes with labels first. Fine-tuning sees the first labelled ones of the rest, pre-training all of the rest.
 */
export async function loadOwnTask(context: UnitContext<unknown>, run: OwnRun): Promise<Task> {
  const listed = await listChecked(run);
  const { heldOut, test: most } = run.config.data.own;
  const order = permutation(foldIn(context.key, SPLIT_STREAM), listed.training.length);
  const shuffled = Array.from(order, (i) => listed.training[i] as VolumeFiles);
  const ranked = [
    ...shuffled.filter(({ label }) => label !== null),
    ...shuffled.filter(({ label }) => label === null),
  ];
  const held =
    listed.validation.length > 0 ? 0 : Math.min(most, Math.max(FEWEST, Math.round(heldOut * ranked.length)));
  const testFiles = listed.validation.length > 0 ? listed.validation.slice(0, most) : ranked.slice(0, held);
  const { loaded, problems } = await load(context, [...testFiles, ...ranked.slice(held)], run);
  const pick = (files: readonly VolumeFiles[]): Loaded[] =>
    files.flatMap((one) => {
      const volume = loaded.get(one);
      return volume ? [volume] : [];
    });
  const [test, rest] = [pick(testFiles), pick(ranked.slice(held))];
  if (test.length < FEWEST || rest.length < FEWEST)
    throw new Error(
      `${run.volumes}: ${rest.length} volumes to train on and ${test.length} to test on can be used; ${FEWEST} of each are needed${problems.length > 0 ? `. ${problems.length} were skipped, the first: ${problems[0]}` : ""}`,
    );
  const labelled = rest.filter(({ labels }) => labels !== null).slice(0, run.labelled);
  if (labelled.length > 0 && labelled.length < run.labelled)
    context.note(
      `${labelled.length} volumes with labels are left to fine-tune on, not ${run.labelled}`,
      "warning",
    );
  const values = new Set([...labelled, ...test].flatMap(({ labels }) => [...new Set(labels?.data)]));
  values.delete(0);
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length > MAX_CLASSES)
    throw new Error(
      `${run.volumes}: labels have ${sorted.length} values besides 0, at most ${MAX_CLASSES} are used`,
    );
  const classes = new Map(sorted.map((value, i) => [value, i + 1]));
  const tested = test.filter(({ labels }) => labels !== null).length;
  const hasTruth = sorted.length > 0 && tested > 0;
  if (labelled.length + tested > 0 && !(hasTruth && labelled.length > 0))
    context.note(
      sorted.length === 0
        ? "nothing is segmented: the labels hold no value but 0"
        : `nothing is segmented: of the volumes with labels ${labelled.length} are to train on and ${tested} to test on; one of each is needed`,
      "warning",
    );
  return {
    unlabelled: rest,
    labelled: hasTruth ? labelled.map((volume) => numbered(volume, classes)) : [],
    test: test.map((volume) => numbered(volume, classes)),
    classes: sorted.map((value) => listed.classNames[String(value)] ?? `label ${value}`),
    alike: 0,
  };
}
