import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { encodePng, type RawPicture } from "@concord/data";
import { z } from "zod";
import { writeFileAtomic } from "./atomic-file.ts";
import type { ArmResult } from "./contract.ts";
import { distinctIds, galleryFigure, MAX_FIGURES, plottedFigure } from "./figure-schema.ts";
import type { Figure, GalleryFigure } from "./figures.ts";
import { FIGURES_FILE, figuresFolder, sheetSize, withoutPictures } from "./saved-figures.ts";

const WHITE = 255;
/** What a float32 holds, and more than a page shows. */
const DIGITS = 8;

const anyFigure = z.discriminatedUnion("kind", [...plottedFigure.options, galleryFigure]);
const allFigures = z.array(z.unknown()).max(MAX_FIGURES);

/** `series[1].points[7][0]` */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}

/**
 * Checks what an arm hands over to be drawn: ids, limits, finite numbers, lists that belong together.
 *
 * @param unit  named in the error
 * @throws RangeError naming the figure, the place in it and what was expected there
 */
export function checkFigures(unit: string, { figures = [] }: ArmResult): void {
  const refuse = (name: string, { issues }: z.ZodError): never => {
    const [{ path, message } = { path: [], message: "not a figure" }] = issues;
    throw new RangeError(`${unit}: ${name}${path.length > 0 ? `, ${pathText(path)}` : ""}: ${message}`);
  };
  const list = allFigures.safeParse(figures);
  if (!list.success) refuse("figures", list.error);
  for (const [index, figure] of figures.entries()) {
    const parsed = anyFigure.safeParse(figure);
    if (!parsed.success) refuse(figure?.id ? `figure '${figure.id}'` : `figures[${index}]`, parsed.error);
  }
  const apart = z
    .array(z.object({ id: z.string() }))
    .superRefine(distinctIds)
    .safeParse(figures);
  if (!apart.success) refuse("figures", apart.error);
}

/** All pictures of a gallery in one: row r, place c at the top left of the cell (r, c). RGB when any of them is. */
function drawSheet(gallery: GalleryFigure): RawPicture {
  const layout = withoutPictures(gallery);
  const { cell } = layout;
  const { width, height } = sheetSize(layout);
  const all = gallery.rows.flatMap(({ items }) => items.map(({ picture }) => picture));
  const channels = all.some((picture) => picture.channels === 3) ? 3 : 1;
  const sheet = new Uint8Array(width * height * channels).fill(WHITE);
  for (const [r, { items }] of gallery.rows.entries()) {
    for (const [c, { picture }] of items.entries()) {
      for (let y = 0; y < picture.height; y++) {
        const start = ((r * cell[1] + y) * width + c * cell[0]) * channels;
        const line = y * picture.width * picture.channels;
        for (let k = 0; k < picture.width * channels; k++) {
          const from = picture.channels === channels ? k : Math.floor(k / channels);
          sheet[start + k] = picture.data[line + from] as number;
        }
      }
    }
  }
  return { width, height, channels, data: sheet };
}

/**
 * Writes an arm's figures: the pictures of every gallery as one PNG file, then everything else as one JSON file, which
 * is there only when all of it is. What an earlier attempt left is removed.
 */
export async function saveFigures(unitFolder: string, { figures = [] }: ArmResult): Promise<void> {
  const folder = figuresFolder(unitFolder);
  await rm(folder, { recursive: true, force: true });
  if (figures.length === 0) return;
  await mkdir(folder, { recursive: true });
  const saved = [];
  for (const figure of figures) {
    if (figure.kind === "gallery") {
      await writeFileAtomic(join(folder, `${figure.id}.png`), [await encodePng(drawSheet(figure))]);
    }
    saved.push(figure.kind === "gallery" ? withoutPictures(figure) : (figure satisfies Figure));
  }
  const text = JSON.stringify({ version: 1, figures: saved }, (_, value) =>
    typeof value === "number" ? Number(value.toPrecision(DIGITS)) : value,
  );
  await writeFileAtomic(join(folder, FIGURES_FILE), [text]);
}
