import { isRecord } from "../json.ts";
import { type PairSource, shownValue } from "./rows.ts";
import { readJson } from "./text-file.ts";

/**
 * Captions in the format of Karpathy's splits (`dataset_flickr30k.json`, `dataset_coco.json`): a list `images`
 * with `filename`, optional `filepath` (a folder), `split`, and `sentences` with `raw`. The split becomes the
 * label "split". The line of a problem is the number of the image, from 1.
 *
 * @param options.splits only images of these splits, e.g. ["train", "restval"]. Default: all
 * @throws Error when the file cannot be read or is not in this format
 */
export function karpathyPairs(
  file: string,
  options: { readonly splits?: readonly string[] } = {},
): PairSource {
  return {
    file,
    async *rows(report) {
      const root = await readJson(file);
      if (!isKarpathy(root))
        throw new Error(
          `${file} is not in the format of Karpathy's splits: a list "images" with "sentences" is needed`,
        );
      let line = 0;
      for (const entry of root.images) {
        line++;
        if (!isRecord(entry) || typeof entry.filename !== "string" || !Array.isArray(entry.sentences)) {
          report({ file, line, reason: "image without filename or sentences", value: shownValue(entry) });
          continue;
        }
        const split = typeof entry.split === "string" ? entry.split : undefined;
        if (options.splits && (split === undefined || !options.splits.includes(split))) continue;
        const folder =
          typeof entry.filepath === "string" && entry.filepath !== "" ? `${entry.filepath}/` : "";
        const labels = new Map(split === undefined ? [] : [["split", split]]);
        for (const sentence of entry.sentences as readonly unknown[]) {
          const caption = isRecord(sentence) ? sentence.raw : undefined;
          if (typeof caption === "string")
            yield { image: folder + entry.filename, caption, labels, file, line };
          else report({ file, line, reason: "sentence has no raw text", value: shownValue(sentence) });
        }
      }
    },
  };
}

/** Whether parsed JSON looks like a file of Karpathy's splits. */
export function isKarpathy(value: unknown): value is { readonly images: readonly unknown[] } {
  return (
    isRecord(value) &&
    Array.isArray(value.images) &&
    (value.images.length === 0 || value.images.some((entry) => isRecord(entry) && "sentences" in entry))
  );
}
