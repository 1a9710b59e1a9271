import type { Figure, FigurePicture } from "@concord/papers";

/** A number in [0, 1) that depends on its arguments alone. */
function random(...parts: readonly number[]): number {
  const mixed = parts.reduce((sum, part, index) => sum + (part + 1) * (12.9898 + 45.164 * index), 0.5);
  const wave = Math.sin(mixed) * 43758.5453;
  return wave - Math.floor(wave);
}

const SIDE = 28;

/** A grey thing on black: a bar, a ring or a box, so that rows of a gallery look alike. */
function thing(kind: number, ...seed: readonly number[]): FigurePicture {
  const data = new Uint8Array(SIDE * SIDE);
  const [cx, cy] = [14 + 4 * (random(1, ...seed) - 0.5), 14 + 4 * (random(2, ...seed) - 0.5)];
  const size = 7 + 4 * random(3, ...seed);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [dx, dy] = [x + 0.5 - cx, y + 0.5 - cy];
      const inside = [
        Math.abs(Math.hypot(dx, dy) - size) < 2.2,
        Math.max(Math.abs(dx), Math.abs(dy)) < size,
        Math.abs(dx) < 2.5 && Math.abs(dy) < size + 2,
        Math.abs(dx + dy) < 3 || Math.abs(dx - dy) < 3,
        dy > -size && Math.abs(dx) < (dy + size) / 2.4,
      ][kind % 5];
      data[y * SIDE + x] = inside ? 140 + 110 * random(x, y, ...seed) : 18 * random(x, y, ...seed);
    }
  }
  return { width: SIDE, height: SIDE, channels: 1, data };
}

/**
 * One figure of every kind, as large as those of real papers.
 *
 * @param quality     0 to 1: what an arm does to what is shown
 * @param prototypes  rows of the gallery
 */
export function toyFigures(seed: number, quality: number, prototypes: number): readonly Figure[] {
  const modalities = ["image", "text", "sound", "depth", "thermal"];
  const recalls = Array.from({ length: 101 }, (_, index) => index);
  const precision = (recall: number, bits: number) =>
    12 + 80 * (0.45 + 0.5 * quality) * Math.exp(-((recall / (45 + 60 * quality + bits)) ** 2));
  return [
    {
      id: "prototypes",
      kind: "gallery",
      title: "Prototypes with their nearest images",
      caption:
        "Each row is a prototype: the eight images of the test set that lie nearest to it, nearest first.",
      rows: Array.from({ length: prototypes }, (_, row) => ({
        label: `prototype ${37 * (row + 1)}, ${Math.round(60 + 39 * random(seed, row, quality))} % one class`,
        items: Array.from({ length: 8 }, (_, place) => {
          const kind = random(seed, row, place, quality) < quality + 0.2 ? row : row + place;
          return {
            picture: thing(kind, seed, row, place),
            caption: ["ring", "box", "bar", "cross", "tent"][kind % 5] as string,
          };
        }),
      })),
    },
    {
      id: "spectrum",
      kind: "lines",
      title: "Spectrum of the embeddings",
      caption:
        "Share of the variance that each principal direction carries. A flat line uses all directions; a steep one has collapsed.",
      x: { label: "direction, strongest first" },
      y: { label: "share of the variance", scale: "log" },
      series: [
        {
          label: "",
          points: Array.from({ length: 64 }, (_, k) => [
            k + 1,
            0.2 * Math.exp(-k * 0.19 * (1.1 - quality)) * (0.9 + 0.2 * random(seed, k, quality)) + 1e-6,
          ]),
        },
        {
          label: "isotropic",
          guide: true,
          points: [
            [1, 1 / 64],
            [64, 1 / 64],
          ],
        },
      ],
    },
    {
      id: "plane",
      kind: "points",
      title: "Alignment and uniformity",
      caption: "The way of the training from its start to its end. Further down and further left is better.",
      x: { label: "alignment of positive pairs" },
      y: { label: "uniformity" },
      series: [
        {
          label: "",
          points: Array.from({ length: 6 }, (_, step) => [
            0.62 - 0.06 * step * quality + 0.03 * random(seed, step, quality),
            -0.9 - 0.45 * step * quality - 0.1 * random(step, seed, quality),
          ]),
          labels: ["", "", "", "", "", "end"],
          joined: true,
        },
      ],
    },
    {
      id: "retrieval",
      kind: "lines",
      title: "Precision and recall",
      caption: "Precision among the nearest codes by the share of relevant items found.",
      x: { label: "recall, %", range: [0, 100] },
      y: { label: "precision, %", range: [0, 100] },
      series: [
        ...[16, 64].map((bits) => ({
          label: `${bits} bits`,
          points: recalls.map((recall) => [recall, precision(recall, bits)] as const),
        })),
        {
          label: "chance",
          guide: true,
          points: [
            [0, 12],
            [100, 12],
          ],
        },
      ],
    },
    {
      id: "balance",
      kind: "bars",
      title: "Balance of the code",
      caption: "Share of ones in every bit; a bit carries most where half of its values are ones.",
      categories: Array.from({ length: 64 }, (_, bit) => String(bit + 1)),
      y: { label: "ones, %", range: [0, 100] },
      series: [
        {
          label: "",
          values: Array.from({ length: 64 }, (_, bit) => 50 + 90 * (1 - quality) * (random(seed, bit) - 0.5)),
        },
      ],
    },
    {
      id: "recall-of-kinds",
      kind: "bars",
      title: "Recall by kind of pair",
      caption: "Share of queries whose partner comes first.",
      categories: ["image to text", "text to image", "sound to text"],
      y: { label: "recall at 1, %" },
      series: [
        { label: "", values: [0, 1, 2].map((kind) => 30 + 50 * quality * random(seed, kind, quality)) },
      ],
    },
    {
      id: "similarity",
      kind: "matrix",
      title: "Similarity between modalities",
      caption: "Mean cosine of matching pairs. The diagonal compares two views of the same modality.",
      rows: modalities,
      columns: modalities,
      values: modalities.map((_, row) =>
        modalities.map((_, column) =>
          row === column && row > 3
            ? null
            : row === column
              ? 0.97
              : Math.round(100 * (quality * 1.1 - 0.25 + 0.3 * random(seed, row + column, quality))) / 100,
        ),
      ),
      range: [-1, 1],
      label: "mean cosine",
      digits: 2,
    },
    {
      id: "positions",
      kind: "matrix",
      title: "Position maps",
      caption:
        "Similarity of a crop to the base crops at all places of the grid; the crop lies at row 5, column 9.",
      rows: Array.from({ length: 16 }, (_, row) => String(row + 1)),
      columns: Array.from({ length: 16 }, (_, column) => String(column + 1)),
      values: Array.from({ length: 16 }, (_, row) =>
        Array.from(
          { length: 16 },
          (_, column) =>
            Math.exp(-((row - 4) ** 2 + (column - 8) ** 2) / (2 + 40 * (1 - quality))) *
            (0.9 + 0.1 * random(row, column, seed)),
        ),
      ),
      range: [0, 1],
      label: "similarity",
      digits: 2,
    },
  ];
}
