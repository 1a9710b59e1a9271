import type { Figure, FigurePicture } from "../../harness/figures.ts";
import type { CropGeometry } from "./crops.ts";
import type { EmbeddedVolume, PlacedCrop } from "./position-evaluation.ts";
import { classDice, type SegmentedVolume } from "./segmentation-evaluation.ts";
import type { Task } from "./task.ts";

/** Side of a picture in pixels, at most. */
const PICTURE = 128;
const SHOWN_CROPS = 4;
const SHOWN_VOLUMES = 3;
const POINTS = 1000;

type Shade = (x: number, y: number) => number;

/** How many voxels of a plane of this side become one pixel. */
function voxelsOfPixel(side: number): number {
  return Math.max(1, Math.ceil(side / PICTURE));
}

/** A grey picture of the plane, enlarged by whole pixels; x runs to the right, y downwards. */
function picture(side: number, shade: Shade): FigurePicture {
  const scale = Math.max(1, Math.floor(PICTURE / side));
  const step = voxelsOfPixel(side);
  const cells = Math.floor(side / step);
  const size = cells * scale;
  const data = new Uint8Array(size * size);
  for (let py = 0; py < size; py++)
    for (let px = 0; px < size; px++) {
      const value = shade(Math.floor(px / scale) * step, Math.floor(py / scale) * step);
      data[py * size + px] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  return { width: size, height: size, channels: 1, data };
}

/** The middle slice of a volume, from its darkest to its brightest voxel. */
function slice({ volume }: EmbeddedVolume["volume"]): Shade {
  const [, Y = 0, Z = 0] = volume.shape;
  const at = (x: number, y: number): number => volume.data[(x * Y + y) * Z + Math.floor(Z / 2)] as number;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of volume.data) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return (x, y) => (at(x, y) - low) / (high - low || 1);
}

/** The frame of a crop in white over a slice, as thick as a pixel of its picture. */
function framed(shade: Shade, [cx, cy]: readonly [number, number], { side, grid }: CropGeometry): Shade {
  const size = side / grid;
  const width = voxelsOfPixel(side);
  return (x, y) => {
    const [dx, dy] = [x - (cx - size / 2), y - (cy - size / 2)];
    const inside = dx >= 0 && dy >= 0 && dx < size && dy < size;
    const edge = Math.min(dx, dy, size - 1 - dx, size - 1 - dy) < width;
    return inside && edge ? 1 : 0.8 * shade(x, y);
  };
}

/** One value for each cell of the grid. */
function cells(values: ArrayLike<number>, { side, grid }: CropGeometry): FigurePicture {
  const size = side / grid;
  return picture(side, (x, y) => values[Math.floor(x / size) * grid + Math.floor(y / size)] as number);
}

function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

function placeName(values: ArrayLike<number>, grid: number): string {
  const cell = largest(values);
  return `${1 + Math.floor(cell / grid)}, ${1 + (cell % grid)}`;
}

/** Mean similarity to each base crop of other patients, by the base crop that a crop overlaps most. */
function positionMap(placed: readonly PlacedCrop[], grid: number): Figure {
  const n = grid * grid;
  const names = Array.from({ length: n }, (_, i) => `${1 + Math.floor(i / grid)}, ${1 + (i % grid)}`);
  const across = placed.filter(({ volume, bases }) => volume !== bases);
  const values = names.map((_, cell) => {
    const rows = across.filter(({ labels }) => largest(labels) === cell);
    return names.map((_name, i) =>
      rows.length === 0
        ? null
        : rows.reduce((sum, { logits }) => sum + (logits[i] as number), 0) / rows.length,
    );
  });
  return {
    id: "position-map",
    kind: "matrix",
    title: "Where crops think they are",
    caption:
      "Row: the base crop (row, column of the grid) that a random crop overlaps most. Column: its mean similarity to each base crop of other patients. A sharp diagonal means that position carries over between patients.",
    rows: names,
    columns: names,
    values,
    range: [0, 1],
    label: "Mean similarity",
    digits: 2,
  };
}

/** A few random crops: where they are, and where they are looked for. */
function cropGallery(
  volumes: readonly EmbeddedVolume[],
  placed: readonly PlacedCrop[],
  geometry: CropGeometry,
): Figure {
  const { grid, side } = geometry;
  const count = Math.min(SHOWN_CROPS, volumes.length);
  const rows = Array.from({ length: count }, (_, a) => {
    const shown = volumes[a] as EmbeddedVolume;
    const find = (bases: number): PlacedCrop =>
      placed.find((one) => one.volume === a && one.crop === 0 && one.bases === bases) as PlacedCrop;
    const within = find(a);
    const across = find((a + 1) % volumes.length);
    const centre = shown.centres[grid * grid] as readonly [number, number];
    return {
      label: shown.volume.name,
      items: [
        {
          picture: picture(side, framed(slice(shown.volume), centre, geometry)),
          caption: "Crop",
        },
        {
          picture: cells(within.labels, geometry),
          caption: `Overlap ${placeName(within.labels, grid)}`,
        },
        {
          picture: cells(within.logits, geometry),
          caption: `Same scan ${placeName(within.logits, grid)}`,
        },
        {
          picture: cells(across.logits, geometry),
          caption: `Other scan ${placeName(across.logits, grid)}`,
        },
      ],
    };
  });
  return {
    id: "crops",
    kind: "gallery",
    title: "Random crops on the grid",
    caption:
      "Each row is a test patient and one random crop. White cells are those of full overlap with the base crop there, or of full similarity to it, in the same scan and in that of another patient; numbers are row and column of the highest one.",
    rows,
  };
}

function overlapPoints(placed: readonly PlacedCrop[]): Figure {
  const pairs = placed
    .filter(({ volume, bases }) => volume !== bases)
    .flatMap(({ labels, logits }) =>
      Array.from(labels, (label, i) => [label, logits[i] as number] as const).filter(([label]) => label > 0),
    );
  const every = Math.max(1, Math.ceil(pairs.length / POINTS));
  return {
    id: "overlap",
    kind: "points",
    title: "Overlap against similarity",
    caption:
      "Each point is a random crop and a base crop of another patient that covers the same place in part. VoCo asks for the diagonal.",
    x: { label: "true overlap", range: [0, 1] },
    y: { label: "similarity", range: [0, 1] },
    series: [{ label: "", points: pairs.filter((_, i) => i % every === 0) }],
  };
}

function diceBars(segmented: readonly SegmentedVolume[], task: Task): Figure {
  const each = classDice(segmented, task.classes.length);
  const known = task.classes.map((name, c) => [name, each[c] as number] as const);
  const shown = known.filter(([, value]) => !Number.isNaN(value)).slice(0, 128);
  return {
    id: "dice",
    kind: "bars",
    title: "Dice of each organ",
    caption:
      task.alike > 0
        ? `Mean over the test patients after fine-tuning. The first ${task.alike} organs have one brightness: only their places tell them apart.`
        : "Mean over the test volumes after fine-tuning.",
    categories: shown.map(([name]) => name),
    y: { label: "Dice, %", range: [0, 100] },
    series: [{ label: "", values: shown.map(([, value]) => 100 * value) }],
  };
}

function segmentationGallery(segmented: readonly SegmentedVolume[], task: Task, side: number): Figure {
  const shadeOf = (labels: Int32Array, volume: SegmentedVolume["volume"]["volume"]): Shade => {
    const [, Y = 0, Z = 0] = volume.shape;
    return (x, y) => (labels[(x * Y + y) * Z + Math.floor(Z / 2)] as number) / task.classes.length;
  };
  return {
    id: "segmentation",
    kind: "gallery",
    title: "Segmentations",
    caption:
      "Middle slices of test volumes: scan, truth, prediction. Each class has its own grey, brighter for later ones.",
    rows: segmented.slice(0, SHOWN_VOLUMES).map(({ volume, predicted }) => ({
      label: volume.name,
      items: [
        { picture: picture(side, slice(volume)), caption: "Scan" },
        {
          picture: picture(side, shadeOf(volume.labels?.data as Int32Array, volume.volume)),
          caption: "Truth",
        },
        { picture: picture(side, shadeOf(predicted, volume.volume)), caption: "Prediction" },
      ],
    })),
  };
}

/** The pictures of an arm. */
export function armFigures(
  task: Task,
  geometry: CropGeometry,
  volumes: readonly EmbeddedVolume[],
  placed: readonly PlacedCrop[],
  segmented: readonly SegmentedVolume[],
): Figure[] {
  return [
    ...(geometry.grid ** 2 <= 64 ? [positionMap(placed, geometry.grid)] : []),
    cropGallery(volumes, placed, geometry),
    overlapPoints(placed),
    ...(segmented.length > 0
      ? [diceBars(segmented, task), segmentationGallery(segmented, task, geometry.side)]
      : []),
  ];
}
