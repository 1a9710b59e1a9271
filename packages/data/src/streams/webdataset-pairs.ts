import { ImageFileError, type ImageFiles, type ImageLocation } from "../images/image-files.ts";
import { isRecord } from "../json.ts";
import { textList } from "../loaders/columns.ts";
import type { PairRow, PairSource, RowProblem } from "../loaders/rows.ts";
import { type WebdatasetOptions, type WebdatasetSample, webdatasetSamples } from "./webdataset.ts";

const imageEndings = ["jpg", "jpeg", "png", "webp"];

export interface WebdatasetPairsOptions {
  /** Ending of the image. Default: the first of jpg, jpeg, png, webp that a sample has. */
  readonly image?: string;
  /** `txt`: the text of that member; otherwise a field of the `json` member. Default `txt`, else `caption`. */
  readonly caption?: string;
  readonly maxPartBytes?: number;
  readonly signal?: AbortSignal;
}

/** Pairs, and the images that they name. */
export interface IndexedPairs {
  readonly pairs: PairSource;
  readonly images: ImageFiles;
}

/**
 * Captioned images of WebDataset shards for random access: one pass reads the headings and texts, and keeps where the
 * images lie (those of compressed shards are kept in memory). The class number of a `cls` member and the plain fields
 * of a `json` member become labels.
 *
 * @param shards  a path, a pattern such as `train-{000..011}.tar`, or several of them
 * @throws Error naming the shard when it is missing, broken or truncated
 */
export async function webdatasetPairs(
  shards: string | readonly string[],
  options: WebdatasetPairsOptions = {},
): Promise<IndexedPairs> {
  const images = options.image === undefined ? imageEndings : [options.image.toLowerCase()];
  const file = typeof shards === "string" ? shards : shards.join(", ");
  const locations = new Map<string, ImageLocation>();
  const rows: PairRow[] = [];
  const problems: RowProblem[] = [];
  const reading: WebdatasetOptions = {
    endings: [...images, "txt", "json", "cls"],
    placesOnly: images,
    onProblem: (problem) => problems.push(problem),
    ...(options.maxPartBytes === undefined ? {} : { maxPartBytes: options.maxPartBytes }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  for await (const sample of webdatasetSamples(shards, reading)) {
    const place = { file: sample.shard, line: sample.number };
    const ending = images.find((name) => sample.parts.has(name));
    const texts = captionsOf(sample, options.caption);
    if (ending === undefined || texts === null) {
      const reason = ending === undefined ? "sample has no image" : "sample has no caption";
      problems.push({ ...place, reason, value: sample.key });
      continue;
    }
    const image = `${sample.shard.replace(/^.*[\\/]/, "")}/${sample.key}.${ending}`;
    if (locations.has(image)) {
      problems.push({ ...place, reason: "sample has the name of an earlier one", value: sample.key });
      continue;
    }
    locations.set(image, locationOf(sample, ending));
    for (const caption of texts) rows.push({ image, caption, labels: labelsOf(sample), ...place });
  }
  return {
    pairs: {
      file,
      async *rows(report) {
        for (const problem of problems) report(problem);
        yield* rows;
      },
    },
    images: {
      path: file,
      async locate(name) {
        const location = locations.get(name);
        if (!location) throw new ImageFileError("image file not found");
        return location;
      },
    },
  };
}

function locationOf({ shard, parts }: WebdatasetSample, ending: string): ImageLocation {
  const { bytes, offset, length } = parts.get(ending) as NonNullable<ReturnType<typeof parts.get>>;
  return offset === null ? { kind: "bytes", bytes } : { kind: "file", path: shard, offset, length };
}

function captionsOf(sample: WebdatasetSample, wanted: string | undefined): readonly string[] | null {
  const text = sample.parts.get("txt");
  if (text && (wanted === undefined || wanted === "txt")) {
    const decoded = decodeUtf8(text.bytes);
    return decoded === null ? null : [decoded];
  }
  return wanted === "txt" ? null : textList(jsonOf(sample)[wanted ?? "caption"]);
}

function labelsOf(sample: WebdatasetSample): Map<string, string> {
  const labels = new Map<string, string>();
  for (const [name, value] of Object.entries(jsonOf(sample)))
    if (["string", "number", "boolean"].includes(typeof value)) labels.set(name, String(value));
  const cls = sample.parts.get("cls");
  if (cls) labels.set("class", decodeUtf8(cls.bytes)?.trim() ?? "");
  return labels;
}

function jsonOf({ parts }: WebdatasetSample): Readonly<Record<string, unknown>> {
  const part = parts.get("json");
  if (!part) return {};
  try {
    const value: unknown = JSON.parse(decodeUtf8(part.bytes) ?? "");
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
