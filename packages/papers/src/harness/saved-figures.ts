// Figures of arms as they lie in a run's folder, for readers of runs: nothing here needs the engine.
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { distinctIds, figureFrame, figureText, MAX_FIGURES, plottedFigure } from "./figure-schema.ts";
import type { BarsFigure, GalleryFigure, LinesFigure, MatrixFigure, PointsFigure } from "./figures.ts";
import type { RunRecord } from "./run-record.ts";
import type { RunStore } from "./run-store.ts";

/** Name of the file that holds an arm's figures, without the pictures of its galleries. */
export const FIGURES_FILE = "figures.json";
const MAX_FIGURES_BYTES = 16 * 2 ** 20;
/** A sheet of 24 rows of 16 pictures of 256 × 256 that cannot be compressed takes 75 MB. */
const MAX_SHEET_BYTES = 96 * 2 ** 20;
const PNG_HEAD_BYTES = 24;

const side = z.int().min(1).max(256);

/** A gallery whose pictures lie in one PNG file, `ID.png`: that of row r and place c in the cell (r, c) of a grid. */
const savedGallery = z.object({
  ...figureFrame,
  kind: z.literal("gallery"),
  /** Width and height of a cell of the grid. */
  cell: z.tuple([side, side]),
  rows: z
    .array(
      z.object({
        label: figureText,
        items: z.array(z.object({ width: side, height: side, caption: figureText })).max(16),
      }),
    )
    .min(1)
    .max(24),
});
export type SavedGallery = Readonly<z.infer<typeof savedGallery>>;

/** A figure as it is read back; the pictures of a gallery are in its sheet. */
export type SavedFigure = LinesFigure | PointsFigure | BarsFigure | MatrixFigure | SavedGallery;

const figuresFile = z.object({
  version: z.literal(1),
  figures: z
    .array(z.discriminatedUnion("kind", [...plottedFigure.options, savedGallery]))
    .max(MAX_FIGURES)
    .superRefine(distinctIds),
});

/** Folder of an arm's figures in the folder of its unit. */
export function figuresFolder(unitFolder: string): string {
  return join(unitFolder, "figures");
}

/** Size of the grid of pictures that a gallery's sheet is. */
export function sheetSize({ rows, cell }: Pick<SavedGallery, "rows" | "cell">): {
  readonly width: number;
  readonly height: number;
} {
  const columns = Math.max(1, ...rows.map(({ items }) => items.length));
  return { width: columns * cell[0], height: rows.length * cell[1] };
}

/** How a gallery is kept: the pictures are only counted and measured. */
export function withoutPictures({ rows, ...frame }: GalleryFigure): SavedGallery {
  const pictures = rows.flatMap(({ items }) => items.map(({ picture }) => picture));
  return {
    ...frame,
    cell: [
      Math.max(1, ...pictures.map(({ width }) => width)),
      Math.max(1, ...pictures.map(({ height }) => height)),
    ],
    rows: rows.map(({ label, items }) => ({
      label,
      items: items.map(({ picture: { width, height }, caption }) => ({ width, height, caption })),
    })),
  };
}

/** Bytes of a plain file; a link may point out of the run. */
async function sizeOf(path: string, most: number): Promise<number | null> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw error;
  });
  if (!found) return null;
  if (!found.isFile()) throw new Error(`${path}: expected a file`);
  if (found.size > most) throw new Error(`${path}: ${found.size} bytes, at most ${most} are read`);
  return found.size;
}

/**
 * The figures that an arm saved; none when it saved none.
 *
 * @throws Error naming the file when it is too large, no JSON, or not what `saveFigures` writes
 */
export async function loadFigures(unitFolder: string): Promise<readonly SavedFigure[]> {
  const path = join(figuresFolder(unitFolder), FIGURES_FILE);
  if ((await sizeOf(path, MAX_FIGURES_BYTES)) === null) return [];
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = figuresFile.safeParse(json);
  if (!parsed.success) throw new Error(`${path} holds no figures:\n${z.prettifyError(parsed.error)}`);
  // JSON has no `undefined`: what is optional is there or not, as the types of figures say.
  return parsed.data.figures as readonly SavedFigure[];
}

/** The units of a seed whose arm is done, in the order of the run's arms. */
function doneArms(run: RunRecord, seed: number): { readonly arm: string; readonly id: string }[] {
  return run.arms.flatMap((arm) => {
    const unit = run.units.find(
      (candidate) => candidate.arm === arm && candidate.seed === seed && candidate.status === "done",
    );
    return unit ? [{ arm, id: unit.id }] : [];
  });
}

const unitFolderOf = (store: RunStore, run: RunRecord, unit: string) =>
  store.path(run.id, "units", ...unit.split("/"));

/** Seeds of which some arm has left figures, in the run's order. */
export async function figureSeeds(store: RunStore, run: RunRecord): Promise<readonly number[]> {
  const seeds: number[] = [];
  for (const seed of run.seeds) {
    for (const { id } of doneArms(run, seed)) {
      const path = join(figuresFolder(unitFolderOf(store, run, id)), FIGURES_FILE);
      if (!(await lstat(path).catch(() => null))) continue;
      seeds.push(seed);
      break;
    }
  }
  return seeds;
}

export interface ArmFigures {
  readonly arm: string;
  readonly figures: readonly SavedFigure[];
}

/**
 * What the arms of a seed left to be shown, in the order of the run's arms.
 *
 * @param onBroken  told about every arm whose figures cannot be read; the others are still there
 */
export async function readRunFigures(
  store: RunStore,
  run: RunRecord,
  seed: number,
  onBroken?: (arm: string, error: Error) => void,
): Promise<readonly ArmFigures[]> {
  const arms: ArmFigures[] = [];
  for (const { arm, id } of doneArms(run, seed)) {
    try {
      const figures = await loadFigures(unitFolderOf(store, run, id));
      if (figures.length > 0) arms.push({ arm, figures });
    } catch (error) {
      onBroken?.(arm, error as Error);
    }
  }
  return arms;
}

/** Width and height that the head of a PNG file states, or null for anything else. */
function pngSize(bytes: Buffer): readonly [number, number] | null {
  if (bytes.length < PNG_HEAD_BYTES || bytes.toString("latin1", 0, 8) !== "\x89PNG\r\n\x1a\n") return null;
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

/**
 * The PNG file of a gallery's pictures, or null where the run has no such gallery.
 *
 * @throws Error when the file is too large, no PNG, or of another size than the gallery's grid
 */
export async function readFigureSheet(
  store: RunStore,
  run: RunRecord,
  place: { readonly seed: number; readonly arm: string; readonly figure: string },
): Promise<Uint8Array<ArrayBuffer> | null> {
  const unit = doneArms(run, place.seed).find(({ arm }) => arm === place.arm);
  if (!unit) return null;
  const folder = unitFolderOf(store, run, unit.id);
  const gallery = (await loadFigures(folder)).find(({ id }) => id === place.figure);
  if (gallery?.kind !== "gallery") return null;
  const path = join(figuresFolder(folder), `${gallery.id}.png`);
  if ((await sizeOf(path, MAX_SHEET_BYTES)) === null) return null;
  const bytes = await readFile(path);
  const size = pngSize(bytes);
  const { width, height } = sheetSize(gallery);
  if (size?.[0] !== width || size[1] !== height) {
    throw new Error(
      `${path}: expected a PNG file of ${width} × ${height}, got ${size?.join(" × ") ?? "another file"}`,
    );
  }
  return new Uint8Array(bytes);
}
