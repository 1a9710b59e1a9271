import { encodeNpy } from "@concord/papers/files";
import { exampleVectors, nodeExample, pythonExample } from "./examples.ts";
import { type ExportedTower, exampleItems } from "./export.ts";
import type { OutputFolder } from "./folder.ts";
import type { Judged } from "./judge.ts";
import type { Embedder } from "./model.ts";
import type { Prepared } from "./prepare.ts";
import { spread } from "./split.ts";

const EXAMPLE_ROWS = 4;

/** Examples on a few held-out rows. */
export async function writeExamples(
  folder: OutputFolder,
  prepared: Prepared,
  files: readonly ExportedTower[],
  heldOut: Uint32Array,
  embedder: Embedder,
): Promise<void> {
  const rows = [...spread(heldOut, EXAMPLE_ROWS)];
  const towers: (ExportedTower & { items: Awaited<ReturnType<typeof exampleItems>> })[] = [];
  for (const [i, tower] of prepared.towers.entries())
    towers.push({ ...(files[i] as ExportedTower), items: await exampleItems(folder, tower, rows) });
  const data = { towers, bits: embedder.bits };
  const vectors = exampleVectors(data);
  if (vectors !== null) await folder.write("example.json", [vectors]);
  await folder.write("example.mjs", [nodeExample(data)]);
  await folder.write("example.py", [pythonExample(data)]);
}

/** The held-out vectors as .npy. */
export async function writeEmbeddings(folder: OutputFolder, { before, after }: Judged): Promise<void> {
  for (const [when, vectors] of [
    ["before", before],
    ["after", after],
  ] as const)
    for (const [name, array] of Object.entries(vectors ?? {}))
      await folder.write(
        `embeddings/${name.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/-$/, "")}-${when}.npy`,
        encodeNpy(array),
      );
}
