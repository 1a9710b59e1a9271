import type { Figure, FigurePicture, GalleryFigure } from "../../harness/figures.ts";
import { type Embedded, nearestPrototypes, prototypeUsage } from "./evaluation.ts";
import type { LabelledImages } from "./shapes-world.ts";

/** Prototypes in the gallery, and nearest images of each. */
const GALLERY_ROWS = 12;
const GALLERY_IMAGES = 10;
/** Largest side of a picture in the gallery. */
const GALLERY_SIDE = 64;
const MAX_BARS = 128;
const MAX_MATRIX = 40;

/** An image of the set, every n-th pixel of a large one. */
function pictureOf({ pixels, size }: LabelledImages, image: number): FigurePicture {
  const step = Math.ceil(size / GALLERY_SIDE);
  const side = Math.floor(size / step);
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let c = 0; c < 3; c++)
        data[(y * side + x) * 3 + c] = pixels[
          ((image * 3 + c) * size + y * step) * size + x * step
        ] as number;
  return { width: side, height: side, channels: 3, data };
}

/** Prototypes, most used first. */
function byUsage(usage: readonly number[]): number[] {
  return usage.map((_, k) => k).sort((a, b) => (usage[b] as number) - (usage[a] as number) || a - b);
}

/** The images nearest to a prototype, by cosine. */
function nearestImages({ scores }: Embedded, prototype: number, count: number): number[] {
  const [images, prototypes] = scores.shape as [number, number];
  const cosine = (i: number): number => scores.data[i * prototypes + prototype] as number;
  return Array.from({ length: images }, (_, i) => i)
    .sort((a, b) => cosine(b) - cosine(a) || a - b)
    .slice(0, count);
}

function gallery(embedded: Embedded, images: LabelledImages, usage: readonly number[]): GalleryFigure {
  const { scores } = embedded;
  const prototypes = scores.shape[1] as number;
  const shown = byUsage(usage).filter((k) => (usage[k] as number) > 0);
  // Spread over the ranks, not the largest alone.
  const rows = Math.min(GALLERY_ROWS, shown.length);
  const chosen = Array.from(
    { length: rows },
    (_, i) => shown[Math.floor((i * shown.length) / rows)] as number,
  );
  return {
    id: "prototypes",
    title: "Prototypes with their nearest images",
    caption: `One prototype a row, from the most to the least used of the ${shown.length} that are used: the ${GALLERY_IMAGES} test images whose embeddings are nearest to it by cosine.`,
    kind: "gallery",
    rows: chosen.map((k) => ({
      label: `${k + 1}: nearest of ${usage[k]} images`,
      items: nearestImages(embedded, k, GALLERY_IMAGES).map((image) => {
        const cosine = (scores.data[image * prototypes + k] as number).toFixed(2);
        const name = images.labels ? images.classes[images.labels[image] as number] : `image ${image + 1}`;
        return { picture: pictureOf(images, image), caption: `${name}, ${cosine}` };
      }),
    })),
  };
}

/** Share of each prototype's images that are of each class, in %. */
function contents(
  nearest: Int32Array,
  images: LabelledImages,
  labels: Int32Array,
  usage: readonly number[],
): Figure {
  const counts = usage.map(() => images.classes.map(() => 0));
  nearest.forEach((k, i) => {
    const row = counts[k] as number[];
    const label = labels[i] as number;
    row[label] = (row[label] as number) + 1;
  });
  const shown = byUsage(usage)
    .filter((k) => (usage[k] as number) > 0)
    .slice(0, MAX_MATRIX);
  const top = (k: number): number => {
    const row = counts[k] as number[];
    return row.indexOf(Math.max(...row));
  };
  // Prototypes of one class stand together.
  const rows = [...shown].sort((a, b) => top(a) - top(b) || (usage[b] as number) - (usage[a] as number));
  return {
    id: "contents",
    title: "Classes in every cluster",
    caption:
      "Of the test images nearest to a prototype (a row), the share of every class; labels were not used in training.",
    kind: "matrix",
    rows: rows.map((k) => `${k + 1}`),
    columns: [...images.classes],
    values: rows.map((k) => (counts[k] as number[]).map((count) => (100 * count) / (usage[k] as number))),
    range: [0, 100],
    label: "share, %",
    digits: 0,
  };
}

/** Pictures of an arm with prototypes. */
export function prototypeFigures(
  embedded: Embedded,
  images: LabelledImages,
  curve: readonly (readonly [number, number])[],
): Figure[] {
  const nearest = nearestPrototypes(embedded.scores);
  const prototypes = embedded.scores.shape[1] as number;
  const usage = prototypeUsage(nearest, prototypes);
  const bars = byUsage(usage).slice(0, MAX_BARS);
  const uniform = 100 / prototypes;
  const figures: Figure[] = [
    gallery(embedded, images, usage),
    {
      id: "usage",
      title: "Use of the prototypes",
      caption: `Share of the test images that are nearest to each prototype, the most used first. Evenly used, each would have ${uniform.toFixed(1)} %.`,
      kind: "bars",
      categories: bars.map((_, rank) => `${rank + 1}`),
      y: { label: "images, %" },
      series: [{ label: "images", values: bars.map((k) => (100 * (usage[k] as number)) / nearest.length) }],
    },
    {
      id: "loss",
      title: "Loss beside that of uniform predictions",
      caption:
        "Loss of the training divided by ln K, what predictions that say nothing cost. Near 0 at once: all images share a prototype. Near 1 to the end: codes say nothing.",
      kind: "lines",
      x: { label: "step" },
      y: { label: "loss / ln K" },
      series: [
        { label: "", points: curve.map(([step, loss]) => [step, loss / Math.log(prototypes)] as const) },
      ],
    },
  ];
  if (images.labels && images.classes.length <= 64)
    figures.push(contents(nearest, images, images.labels, usage));
  return figures;
}
