import { type CaptionedImageSet, loadCaptionedImages, openImageFiles, openPairs } from "@concord/data";
import type { RunInput, UnitContext } from "./contract.ts";
import { type Inputs, integerInput, strictInput, textInput } from "./inputs.ts";
import { noteSkippedRows } from "./skipped-rows.ts";

const MAX_IMAGE_SIZE = 512;

/** Captioned images of the user: a table, where its paths start, its columns, and how images are read. */
export interface CaptionedFiles {
  readonly pairs: string;
  readonly images: string | undefined;
  readonly imageColumn: string | undefined;
  readonly captionColumn: string | undefined;
  readonly imageSize: number;
  readonly strict: boolean;
}

/**
 * The inputs of an experiment on captioned images of the user.
 *
 * @param pairs    what --pairs takes
 * @param columns  the experiment's own about the table
 * @param further  its other ones
 */
export function captionedInputs(
  pairs: string,
  columns: readonly RunInput[],
  further: readonly RunInput[],
): readonly RunInput[] {
  return [
    { name: "pairs", kind: "path", placeholder: "FILE.csv", description: pairs },
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
    ...columns,
    {
      name: "image-size",
      kind: "text",
      placeholder: "PIXELS",
      description: "Side that images are scaled to.",
      requires: ["pairs"],
    },
    ...further,
    strictInput("pairs"),
  ];
}

/**
 * What the inputs name, or null when they name no pairs.
 *
 * @param size       side of images that the preset has
 * @param patchSize  of an encoder that cuts images into patches
 * @throws Error when the size is malformed, out of its range or no multiple of the patch
 */
export function captionedFiles(
  given: Inputs,
  { size, patchSize = 1 }: { readonly size: number; readonly patchSize?: number | undefined },
): CaptionedFiles | null {
  const pairs = textInput(given, "pairs");
  if (pairs === undefined) return null;
  const imageSize = integerInput(given, "image-size", { most: MAX_IMAGE_SIZE }) ?? size;
  if (imageSize % patchSize !== 0)
    throw new Error(`--image-size must be a multiple of ${patchSize} for this encoder, got ${imageSize}.`);
  return {
    pairs,
    images: textInput(given, "images"),
    imageColumn: textInput(given, "image-column"),
    captionColumn: textInput(given, "caption-column"),
    imageSize,
    strict: given.strict === true,
  };
}

async function open({ pairs, images, imageColumn, captionColumn }: CaptionedFiles) {
  const opened = await openPairs(pairs, {
    ...(imageColumn !== undefined && { image: imageColumn }),
    ...(captionColumn !== undefined && { caption: captionColumn }),
  });
  return { pairs: opened.pairs, images: images ?? opened.images };
}

/** @throws Error when the table or the images are missing or of no known format */
export async function checkCaptionedFiles(files: CaptionedFiles): Promise<void> {
  await openImageFiles((await open(files)).images);
}

/** Reads all images with their captions; tells how many rows were rejected and why. */
export async function readCaptionedImages(
  context: UnitContext<unknown>,
  files: CaptionedFiles,
): Promise<CaptionedImageSet> {
  return readImagePairs(context, { ...(await open(files)), size: files.imageSize, strict: files.strict });
}

/** The same of pairs that are open. */
export async function readImagePairs(
  context: UnitContext<unknown>,
  pairs: Pick<Parameters<typeof loadCaptionedImages>[0], "pairs" | "images" | "size" | "strict">,
): Promise<CaptionedImageSet> {
  const { set, problems } = await loadCaptionedImages({
    ...pairs,
    signal: context.signal,
    onProgress: ({ done, total }) => context.progress({ phase: "reading images", step: done, steps: total }),
  });
  noteSkippedRows(context, problems);
  return set;
}
