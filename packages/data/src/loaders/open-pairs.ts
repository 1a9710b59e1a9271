import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { ImageFiles } from "../images/image-files.ts";
import { webdatasetPairs } from "../streams/webdataset-pairs.ts";
import { cocoPairs, isCoco } from "./coco.ts";
import { type CsvOptions, csvPairs } from "./csv.ts";
import { type ImageFolderOptions, imageFolderPairs } from "./image-folder.ts";
import { jsonlPairs } from "./jsonl.ts";
import { isKarpathy, karpathyPairs } from "./karpathy.ts";
import { parquetPairs } from "./parquet.ts";
import type { PairSource } from "./rows.ts";
import { readJson } from "./text-file.ts";

/** Options of whichever format the path turns out to have; those of other formats are not used. */
export type OpenPairsOptions = CsvOptions & ImageFolderOptions & { readonly splits?: readonly string[] };

/** A file of pairs with the folder that its image paths start from unless the user names another, or its own images. */
export interface OpenedPairs {
  readonly pairs: PairSource;
  readonly images: string | ImageFiles;
}

/**
 * Captioned images of any supported format, told by the name and, for `.json`, by the content:
 * `.csv`, `.tsv`, `.jsonl` (each also `.gz`), COCO captions or Karpathy's splits as `.json`, a folder of classes,
 * WebDataset shards (`.tar`, `.tar.gz`, patterns such as `train-{000..011}.tar`), Parquet with images inside or by path.
 *
 * @throws Error when nothing is there or the format is not known
 */
export async function openPairs(path: string, options: OpenPairsOptions = {}): Promise<OpenedPairs> {
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) return webdatasetPairs(path, options);
  const info = await stat(path).catch((cause: unknown) => {
    throw new Error(`There is no file or folder at ${path}.`, { cause });
  });
  if (info.isDirectory()) return { pairs: imageFolderPairs(path, options), images: path };
  const images = dirname(path);
  const name = path.toLowerCase();
  if (/\.(csv|tsv)(\.gz)?$/.test(name)) return { pairs: csvPairs(path, options), images };
  if (/\.(jsonl|ndjson)(\.gz)?$/.test(name)) return { pairs: jsonlPairs(path, options), images };
  if (/\.(parquet|pq)$/.test(name)) return parquetPairs(path, options);
  if (/\.json(\.gz)?$/.test(name)) {
    const root = await readJson(path);
    if (isCoco(root)) return { pairs: cocoPairs(path), images };
    if (isKarpathy(root)) return { pairs: karpathyPairs(path, options), images };
    throw new Error(`${path} is neither in COCO's caption format nor in that of Karpathy's splits.`);
  }
  throw new Error(
    `${path}: pairs come as .csv, .tsv, .jsonl, .json (COCO, Karpathy), .parquet, .tar or as a folder of classes.`,
  );
}
