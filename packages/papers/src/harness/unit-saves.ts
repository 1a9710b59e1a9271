import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { loadArrays, loadArraysMetadata, saveArrays } from "./array-file.ts";
import type { ArrayTree } from "./contract.ts";
import { assertFileName } from "./run-id.ts";

const SUFFIX = ".safetensors";

/** What a unit saves: `memo` for results that are built once, `checkpoint` for the newest state of a training. */
export type SaveKind = "memo" | "checkpoint";

/** Folder of a unit, e.g. of "seed-0/contrastive", in that of its run. */
export function folderOfUnit(run: string, unit: string): string {
  return join(run, "units", ...unit.split("/"));
}

function folderOf(unitFolder: string): string {
  return join(unitFolder, "saves");
}

function fileOf(unitFolder: string, kind: SaveKind, name: string): string {
  return join(folderOf(unitFolder), `${kind}-${assertFileName(name, `${kind} name`)}${SUFFIX}`);
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** Where in the unit a save was made. */
export interface SavePoint {
  /** Step of the training; 0 for a memo. */
  readonly step: number;
  /** Lines that the log had of the unit: those up to here belong to the saved state, later ones do not. */
  readonly logLines: number;
}

function parseCount(metadata: Readonly<Record<string, string>>, key: keyof SavePoint): number {
  const value = Number(metadata[key] ?? "NaN");
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`expected a count as metadata '${key}', got ${JSON.stringify(metadata[key])}`);
  }
  return value;
}

function parsePoint(metadata: Readonly<Record<string, string>>): SavePoint {
  return { step: parseCount(metadata, "step"), logLines: parseCount(metadata, "logLines") };
}

export async function writeSave(
  unitFolder: string,
  kind: SaveKind,
  name: string,
  tree: ArrayTree,
  point: SavePoint,
): Promise<void> {
  const path = fileOf(unitFolder, kind, name);
  await mkdir(folderOf(unitFolder), { recursive: true });
  await saveArrays(path, tree, { step: String(point.step), logLines: String(point.logLines) });
}

/** The save of this kind and name, or null. */
export async function readSave(
  unitFolder: string,
  kind: SaveKind,
  name: string,
): Promise<{ readonly tree: ArrayTree; readonly step: number } | null> {
  try {
    const { tree, metadata } = await loadArrays(fileOf(unitFolder, kind, name));
    return { tree, step: parsePoint(metadata).step };
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/**
 * Removes saves that cannot be used: damaged ones, and ones that speak of more log than there is.
 *
 * @param logLines  how many lines the log has of the unit
 * @returns lines of the log that belong to the saves that stay, and what was removed
 */
export async function settleSaves(
  unitFolder: string,
  logLines: number,
): Promise<{ readonly logLines: number; readonly removed: readonly string[] }> {
  const names = await readdir(folderOf(unitFolder)).catch((error) => {
    if (isMissing(error)) return [] as string[];
    throw error;
  });
  let covered = 0;
  const removed: string[] = [];
  for (const name of names.filter((entry) => entry.endsWith(SUFFIX)).sort()) {
    const path = join(folderOf(unitFolder), name);
    const point = await loadArraysMetadata(path)
      .then(parsePoint)
      .catch(() => null);
    if (point && point.logLines <= logLines) {
      covered = Math.max(covered, point.logLines);
    } else {
      await rm(path);
      removed.push(name);
    }
  }
  return { logLines: covered, removed };
}

/** Removes everything that a unit saved; it is done and will not be resumed. */
export async function removeSaves(unitFolder: string): Promise<void> {
  await rm(folderOf(unitFolder), { recursive: true, force: true });
}
