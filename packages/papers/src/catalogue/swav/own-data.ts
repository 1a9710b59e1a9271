import { readdir, stat } from "node:fs/promises";
import {
  type CaptionedImageSet,
  type ImageArrays,
  imageFolderPairs,
  loadCaptionedImages,
  looseImages,
  type PairSource,
  readImageArrays,
  readImageLabels,
} from "@concord/data";
import { type Key, permutation } from "@concord/tensor";
import type { PresetName, RunInput, UnitContext } from "../../harness/contract.ts";
import { epochsFor, type Inputs, integerInput, textInput } from "../../harness/inputs.ts";
import { noteSkippedRows } from "../../harness/skipped-rows.ts";
import type { SwavConfig } from "./config.ts";
import { resizeCrop } from "./random-resized-crop.ts";
import type { LabelledImages } from "./shapes-world.ts";

const MAX_EPOCHS = 10_000;
const MIN_IMAGE_SIZE = 8;
const MAX_IMAGE_SIZE = 512;
/** Largest share of the images that is held out where there is no file of test images. */
const HELD_OUT = 0.2;
/** Images that are copied between two turns of the event loop. */
const TURN = 500;

const arrayFile = /\.(idx3|[.-]idx3-ubyte|npy|bin)(\.gz)?$/i;

export const inputs: readonly RunInput[] = [
  {
    name: "images",
    kind: "path",
    placeholder: "PATH",
    description:
      "Images to learn from: a folder of class folders or of pictures, MNIST's .idx3 (also .gz), CIFAR's .bin or folder of batches, STL-10's _X.bin, .npy of bytes (N, H, W, 3).",
  },
  {
    name: "labels",
    kind: "path",
    placeholder: "FILE.idx1",
    description:
      "Classes of --images for measuring, where its format has none: .idx1 (also .gz) or STL-10's _y.bin.",
    requires: ["images"],
  },
  {
    name: "test-images",
    kind: "path",
    placeholder: "PATH",
    description:
      "Images to measure on, in any of these formats. Default: a fifth of --images, at most 2,000.",
    requires: ["images"],
  },
  {
    name: "test-labels",
    kind: "path",
    placeholder: "FILE.idx1",
    description: "Classes of --test-images, as --labels.",
    requires: ["test-images"],
  },
  {
    name: "image-size",
    kind: "text",
    placeholder: "PIXELS",
    description: "Side that images are scaled to: the shorter side, of which the centre square is taken.",
    requires: ["images"],
  },
  {
    name: "epochs",
    kind: "text",
    placeholder: "N",
    description: "Epochs of training. Default: about as many steps as on the generated world.",
    requires: ["images"],
  },
];

/** A run on the user's own images. */
export interface OwnRun {
  readonly images: string;
  readonly labels: string | undefined;
  readonly testImages: string | undefined;
  readonly testLabels: string | undefined;
  readonly imageSize: number;
  readonly epochs: number | undefined;
}

/**
 * What the inputs ask for, or null when they name no images.
 *
 * @throws Error when a number is malformed or out of its range
 */
export function ownRun(config: SwavConfig, given: Inputs): OwnRun | null {
  const images = textInput(given, "images");
  if (images === undefined) return null;
  return {
    images,
    labels: textInput(given, "labels"),
    testImages: textInput(given, "test-images"),
    testLabels: textInput(given, "test-labels"),
    imageSize:
      integerInput(given, "image-size", { least: MIN_IMAGE_SIZE, most: MAX_IMAGE_SIZE }) ??
      config.data.own.imageSize,
    epochs: integerInput(given, "epochs", { most: MAX_EPOCHS }),
  };
}

/**
 * The configuration of a run on own images: epochs as the user wants, else as many as make the steps of the preset on
 * the generated world, else the preset's.
 */
export function ownConfig(config: SwavConfig, run: OwnRun, images: number): SwavConfig {
  const epochs = epochsFor(run.epochs, config.training, config.data.generated?.training, images);
  return { ...config, training: { ...config.training, epochs } };
}

/**
 * Checks the inputs of a run before anything is computed.
 *
 * @throws Error when a number is malformed, files are missing or the preset needs images and got none
 */
export async function validateOwnRun(config: SwavConfig, given: Inputs, preset: PresetName): Promise<void> {
  const run = ownRun(config, given);
  if (!run) {
    if (config.data.generated) return;
    throw new Error(
      `The preset '${preset}' trains on your own images, e.g. ImageNet's: --images imagenet/train --test-images imagenet/val`,
    );
  }
  for (const [flag, path] of [
    ["images", run.images],
    ["labels", run.labels],
    ["test-images", run.testImages],
    ["test-labels", run.testLabels],
  ] as const) {
    if (path === undefined) continue;
    const info = await stat(path).catch(() => null);
    if (!info) throw new Error(`--${flag}: there is no file or folder at ${path}.`);
  }
}

/** A folder of pictures without classes. */
function flatFolder(root: string): PairSource {
  return {
    file: root,
    async *rows() {
      const { names } = await looseImages(root);
      for (const image of names) yield { image, caption: "image", labels: new Map(), file: root, line: 0 };
    },
  };
}

/** Images of one file as squares of one size, RGB. */
async function squares(
  arrays: ImageArrays,
  size: number,
  signal: AbortSignal,
): Promise<LabelledImages["pixels"]> {
  const { count, height, width, channels, pixels } = arrays;
  const side = Math.min(height, width);
  const box = {
    left: Math.floor((width - side) / 2),
    top: Math.floor((height - side) / 2),
    width: side,
    height: side,
  };
  const length = channels * height * width;
  const plane = size * size;
  const result = new Uint8Array(new SharedArrayBuffer(count * 3 * plane));
  const square = new Float32Array(channels * plane);
  for (let i = 0; i < count; i++) {
    if (i % TURN === 0) {
      await new Promise((resume) => setImmediate(resume));
      signal.throwIfAborted();
    }
    const data = pixels.subarray(i * length, (i + 1) * length);
    resizeCrop({ data, height, width }, box, square, size, false);
    for (let c = 0; c < 3; c++)
      for (let p = 0; p < plane; p++)
        result[(3 * i + c) * plane + p] = Math.round(square[(channels === 1 ? 0 : c) * plane + p] as number);
  }
  return result;
}

/** All pixels of a set that was decoded from files. */
async function gathered(set: CaptionedImageSet, signal: AbortSignal): Promise<LabelledImages["pixels"]> {
  const length = 3 * set.size * set.size;
  const result = new Uint8Array(new SharedArrayBuffer(set.count * length));
  for (let start = 0; start < set.count; start += TURN) {
    signal.throwIfAborted();
    const rows = Array.from({ length: Math.min(TURN, set.count - start) }, (_, i) => start + i);
    result.set((await set.pixels(rows)).data, start * length);
  }
  return result;
}

/**
 * Whether the pictures lie in the folder itself, not in folders of classes.
 *
 * @throws Error when there are none in either
 */
async function isFlat(path: string, context: UnitContext<unknown>): Promise<boolean> {
  const { names, inFolders } = await looseImages(path);
  if (inFolders && names.length > 0)
    context.note(`${path}: ${names.length} pictures beside the folders of classes were left out.`, "warning");
  if (inFolders || names.length > 0) return !inFolders;
  const arrays = (await readdir(path)).filter((name) => arrayFile.test(name));
  const hint = arrays.length > 0 ? `; it holds ${arrays.join(", ")}: give one of them` : "";
  throw new Error(
    `${path} holds no pictures (.jpg, .png, .webp), neither itself nor in folders of classes${hint}.`,
  );
}

/** Pictures of a folder, with the names of their folders as classes. */
async function loadFolder(
  path: string,
  size: number,
  classes: readonly string[] | null,
  context: UnitContext<unknown>,
): Promise<LabelledImages> {
  const flat = await isFlat(path, context);
  const { set, problems } = await loadCaptionedImages({
    pairs: flat ? flatFolder(path) : imageFolderPairs(path),
    images: path,
    size,
    signal: context.signal,
    onProgress: ({ done, total }) => context.progress({ phase: "reading images", step: done, steps: total }),
  });
  noteSkippedRows(context, problems, `files of ${path}`);
  const column = flat ? undefined : set.labels.class;
  const names = classes ?? column?.values ?? [];
  const numbers = new Map(names.map((name, i) => [name, i]));
  const labels =
    column &&
    Int32Array.from(column.indices, (index) => {
      const name = column.values[index] as string;
      const label = numbers.get(name);
      if (label === undefined) throw new Error(`${path}: there is a class '${name}' that --images lacks.`);
      return label;
    });
  return {
    count: set.count,
    size: set.size,
    pixels: await gathered(set, context.signal),
    labels: labels ?? null,
    classes: names,
  };
}

async function loadImages(
  path: string,
  labelFile: string | undefined,
  size: number,
  classes: readonly string[] | null,
  context: UnitContext<unknown>,
): Promise<LabelledImages> {
  const arrays = await readImageArrays(path);
  if (!arrays) {
    const info = await stat(path).catch(() => null);
    if (!info) throw new Error(`There is no file or folder of images at ${path}.`);
    if (!info.isDirectory())
      throw new Error(
        `${path} is no folder, and its name is that of no known file: .idx3, .bin (CIFAR), _X.bin (STL-10) or .npy.`,
      );
    if (labelFile !== undefined)
      throw new Error(
        `--labels: the classes of the folder ${path} are its folders, so ${labelFile} is not needed.`,
      );
    return loadFolder(path, size, classes, context);
  }
  const labels = labelFile === undefined ? arrays.labels : await readImageLabels(labelFile);
  if (labels && labels.length !== arrays.count)
    throw new Error(`${labelFile} has ${labels.length} labels for ${arrays.count} images in ${path}.`);
  const highest = labels?.reduce((top, label) => Math.max(top, label), 0) ?? -1;
  return {
    count: arrays.count,
    size,
    pixels: await squares(arrays, size, context.signal),
    labels,
    classes: classes ?? Array.from({ length: highest + 1 }, (_, c) => `${c}`),
  };
}

/** Some images of a set, copied. */
export function selectImages(set: LabelledImages, rows: ArrayLike<number>): LabelledImages {
  const length = set.pixels.length / set.count;
  const pixels = new Uint8Array(new SharedArrayBuffer(rows.length * length));
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    pixels.set(set.pixels.subarray(row * length, (row + 1) * length), i * length);
  }
  const { labels } = set;
  return {
    ...set,
    count: rows.length,
    pixels,
    labels: labels && Int32Array.from(rows, (row) => labels[row] as number),
  };
}

/** What a run on own images trains and measures on. */
export interface OwnSets {
  readonly training: LabelledImages;
  /** Labelled images out of the training ones, for the probe. */
  readonly probe: LabelledImages;
  readonly test: LabelledImages;
}

/**
 * Loads and splits the user's images. Labels serve measuring alone: of a probe, which is fitted on training images, and
 * of the test images, which nothing is trained on.
 *
 * @throws Error when files are not what their names say, labels do not fit or there are too few images
 */
export async function loadOwnSets(context: UnitContext<SwavConfig>, run: OwnRun, key: Key): Promise<OwnSets> {
  const { own } = context.config.data;
  const all = await loadImages(run.images, run.labels, run.imageSize, null, context);
  const order = permutation(key, all.count);
  let training = all;
  let test: LabelledImages;
  if (run.testImages === undefined) {
    const held = Math.min(own.test, Math.floor(HELD_OUT * all.count));
    if (held === 0) throw new Error(`${run.images} holds ${all.count} images; at least 5 are needed.`);
    test = selectImages(all, order.subarray(0, held));
    training = selectImages(all, order.subarray(held));
  } else {
    const given = await loadImages(run.testImages, run.testLabels, run.imageSize, all.classes, context);
    const chosen = permutation(key, given.count).subarray(0, own.test);
    test = chosen.length < given.count ? selectImages(given, chosen) : given;
    if (test.labels?.some((label) => label >= all.classes.length))
      throw new Error(`--test-labels has classes that --labels lacks (0 to ${all.classes.length - 1}).`);
  }
  const probe = selectImages(training, permutation(key, training.count).subarray(0, own.probe));
  const missing = [training, test].flatMap(({ labels }, i) =>
    labels ? [] : [i === 0 ? "images" : "test-images"],
  );
  const without = run.testImages === undefined || missing.length === 2 ? "" : ` of --${missing[0]}`;
  context.note(
    `${training.count} images to train, ${probe.count} of them for the probe; ${test.count} to measure${missing.length === 0 ? "" : `, without labels${without}, so no accuracies`}.`,
  );
  return { training, ...withKnownClasses(context, probe, test) };
}

/**
 * Probe and test images whose classes are those of the probe, numbered without gaps. Test images of other classes
 * cannot be told by it and are left out; of a single class nothing can be told.
 */
function withKnownClasses(
  context: UnitContext<unknown>,
  probe: LabelledImages,
  test: LabelledImages,
): Pick<OwnSets, "probe" | "test"> {
  if (!probe.labels || !test.labels) return { probe, test };
  const known = [...new Set(probe.labels)].sort((a, b) => a - b);
  const numbers = new Map(known.map((label, i) => [label, i]));
  const rows = Array.from(test.labels.keys()).filter((i) => numbers.has(test.labels?.[i] as number));
  if (known.length < 2 || rows.length === 0) {
    const reason =
      known.length < 2
        ? `All images for the probe are of one class (${probe.classes[known[0] as number]})`
        : "No test image is of a class that the probe has images of";
    context.note(`${reason}, so there are no accuracies.`, "warning");
    return { probe: { ...probe, labels: null }, test: { ...test, labels: null } };
  }
  if (rows.length < test.count)
    context.note(
      `${test.count - rows.length} of ${test.count} images to measure are of classes without an image for the probe and were left out.`,
      "warning",
    );
  const numbered = (set: LabelledImages): LabelledImages => ({
    ...set,
    labels: set.labels?.map((label) => numbers.get(label) as number) ?? null,
    classes: known.map((label) => probe.classes[label] as string),
  });
  return {
    probe: numbered(probe),
    test: numbered(rows.length < test.count ? selectImages(test, rows) : test),
  };
}
