import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** Files whose presence says that a folder holds a whole model: written last. */
export const LAST_FILE = "training.json";

/** Figures of a training, kept beside the model. */
export const trainingFigures = z.object({
  version: z.string(),
  finishedAt: z.iso.datetime(),
  papers: z.int(),
  heldOut: z.int(),
  steps: z.int(),
  batchSize: z.int(),
  seconds: z.number(),
  loss: z.number(),
  /** Titles of held-out papers looked for among held-out abstracts: by this encoder, and by BM25. */
  mrr10: z.number(),
  recall10: z.number(),
  bm25Mrr10: z.number(),
});
export type TrainingFigures = z.infer<typeof trainingFigures>;

/** The figures of an encoder's training; null for folders that Concord did not write, or not to the end. */
export async function readFigures(folder: string): Promise<TrainingFigures | null> {
  try {
    return trainingFigures.parse(JSON.parse(await readFile(join(folder, LAST_FILE), "utf8")));
  } catch {
    return null;
  }
}
