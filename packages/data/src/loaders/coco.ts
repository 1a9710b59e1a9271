import { isRecord } from "../json.ts";
import { type PairSource, shownValue } from "./rows.ts";
import { readJson } from "./text-file.ts";

/**
 * Captions in the format of COCO (`annotations/captions_train2017.json`): lists `images` with `id` and
 * `file_name`, and `annotations` with `image_id` and `caption`. Image paths are relative to the image folder,
 * e.g. `train2017/`. The line of a problem is the number of the annotation, from 1.
 *
 * @throws Error when the file cannot be read or is not in this format
 */
export function cocoPairs(file: string): PairSource {
  return {
    file,
    async *rows(report) {
      const root = await readJson(file);
      if (!isCoco(root))
        throw new Error(
          `${file} is not in COCO's caption format: lists "images" and "annotations" are needed`,
        );
      const fileNames = new Map<unknown, string>();
      for (const image of root.images)
        if (isRecord(image) && typeof image.file_name === "string") fileNames.set(image.id, image.file_name);
      let line = 0;
      for (const annotation of root.annotations) {
        line++;
        if (!isRecord(annotation) || typeof annotation.caption !== "string") {
          report({ file, line, reason: "annotation has no caption", value: shownValue(annotation) });
          continue;
        }
        const image = fileNames.get(annotation.image_id);
        if (image === undefined) {
          const value = shownValue(annotation.image_id);
          report({ file, line, reason: "annotation of an image that is not listed", value });
          continue;
        }
        yield { image, caption: annotation.caption, labels: new Map(), file, line };
      }
    },
  };
}

/** Whether parsed JSON looks like COCO's caption file. */
export function isCoco(
  value: unknown,
): value is { readonly images: readonly unknown[]; readonly annotations: readonly unknown[] } {
  return isRecord(value) && Array.isArray(value.images) && Array.isArray(value.annotations);
}
