import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "./atomic-file.ts";
import type { ArmResult, EmbeddingSets } from "./contract.ts";
import { decodeNpy, encodeNpy } from "./npy.ts";
import { projectToPlane } from "./principal-axes.ts";
import { assertFileName } from "./run-id.ts";
import type { EmbeddingMap } from "./run-record.ts";

const MAX_ROWS = 2000;
const SUFFIX = ".npy";
const LABELS = "labels.json";

/** The embeddings that an arm left, read back from its folder. */
export interface SavedEmbeddings {
  readonly sets: EmbeddingSets;
  readonly labels: readonly string[] | null;
}

function folderOf(unitFolder: string): string {
  return join(unitFolder, "embeddings");
}

/**
 * Checks what an arm hands over for the map.
 *
 * @throws RangeError naming the set that is not [N, D] with N <= 2000, or whose N is not that of the labels
 */
export function checkEmbeddings({ embeddings, embeddingLabels }: ArmResult): void {
  for (const [kind, { shape, data }] of Object.entries(embeddings ?? {})) {
    assertFileName(kind, "name of an embedding set");
    const [rows = 0, width = 0] = shape;
    if (shape.length !== 2 || rows < 1 || rows > MAX_ROWS || width < 1 || rows * width !== data.length) {
      throw new RangeError(
        `embeddings '${kind}': expected [N, D] with N from 1 to ${MAX_ROWS}, got [${shape.join(", ")}]`,
      );
    }
    if (embeddingLabels && embeddingLabels.length !== rows) {
      throw new RangeError(`embeddings '${kind}': ${rows} rows for ${embeddingLabels.length} labels`);
    }
    if (!data.every(Number.isFinite)) throw new RangeError(`embeddings '${kind}': a value is not finite`);
  }
}

/** Writes an arm's embeddings as one `.npy` file a set. */
export async function saveEmbeddings(unitFolder: string, result: ArmResult): Promise<void> {
  if (!result.embeddings) return;
  const folder = folderOf(unitFolder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [kind, array] of Object.entries(result.embeddings)) {
    await writeFileAtomic(join(folder, `${kind}${SUFFIX}`), encodeNpy(array));
  }
  if (result.embeddingLabels) {
    await writeFileAtomic(join(folder, LABELS), [JSON.stringify(result.embeddingLabels)]);
  }
}

/** The embeddings that an arm saved, or null when it saved none. */
export async function loadEmbeddings(unitFolder: string): Promise<SavedEmbeddings | null> {
  const folder = folderOf(unitFolder);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw error;
  });
  const files = names.filter((name) => name.endsWith(SUFFIX)).sort();
  if (files.length === 0) return null;
  const sets = await Promise.all(
    files.map(
      async (name) => [name.slice(0, -SUFFIX.length), decodeNpy(await readFile(join(folder, name)))] as const,
    ),
  );
  const labels = names.includes(LABELS)
    ? (JSON.parse(await readFile(join(folder, LABELS), "utf8")) as readonly string[])
    : null;
  return { sets: Object.fromEntries(sets), labels };
}

/** Five significant digits are plenty on a screen, and keep the file small. */
function rounded(value: number): number {
  return Number(value.toPrecision(5));
}

/**
 * The embeddings of all arms of a seed on two axes common to all of them: the principal axes of their union.
 *
 * @throws RangeError when arms embed into spaces of different width
 */
export function mapEmbeddings(seed: number, arms: ReadonlyMap<string, SavedEmbeddings>): EmbeddingMap {
  const sets = [...arms].flatMap(([arm, saved]) =>
    Object.entries(saved.sets).map(([kind, array]) => ({ arm, kind, array })),
  );
  const widths = new Set(sets.map(({ array }) => array.shape[1]));
  if (widths.size !== 1) {
    throw new RangeError(`embeddings of ${[...widths].join(", ")} dimensions cannot share a map`);
  }
  const [width] = widths as Set<number>;
  const rows = sets.flatMap(({ array: { shape, data } }) =>
    Array.from({ length: shape[0] as number }, (_, i) =>
      data.subarray(i * (width as number), (i + 1) * (width as number)),
    ),
  );
  const { points, shares } = projectToPlane(rows);
  const placed: EmbeddingMap["arms"] = {};
  let next = 0;
  for (const { arm, kind, array } of sets) {
    const count = array.shape[0] as number;
    const ofArm = placed[arm] ?? {};
    placed[arm] = ofArm;
    ofArm[kind] = points.slice(next, next + count).map(([x, y]) => [rounded(x), rounded(y)]);
    next += count;
  }
  const labels = [...arms.values()].find((saved) => saved.labels)?.labels;
  return {
    seed,
    explained: rounded(shares[0] + shares[1]),
    shares: [rounded(shares[0]), rounded(shares[1])],
    ...(labels ? { labels: [...labels] } : {}),
    arms: placed,
  };
}
