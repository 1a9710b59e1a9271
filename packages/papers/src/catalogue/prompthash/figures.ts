import { hammingNearest, packCodes } from "@concord/align";
import type { NDArray } from "@concord/tensor";
import type { Figure, FigurePicture } from "../../harness/figures.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { ProtocolCodes, Search } from "./evaluation.ts";
import type { Protocol } from "./metrics.ts";
import { labelsOf, type Task, takeRows } from "./task.ts";

type Rows = NDArray<"float32">;

const PERCENT = 100;
/** Code length of the figures that show one only. */
const SHOWN_BITS = "32";
const GALLERY_QUERIES = 6;
const GALLERY_ITEMS = 8;
const MOST_PIXELS = 128;
const CAPTION_CHARACTERS = 60;

interface BitStatistics {
  /** Share of ones of every bit. */
  readonly ones: readonly number[];
  /** [bits][bits]; null for a bit that never changes. */
  readonly correlations: readonly (readonly (number | null)[])[];
}

/** What the bits of a set of codes [N, B] look like; a bit is set above 0. */
export function examineBits(codes: Rows): BitStatistics {
  const [N, B] = codes.shape as [number, number];
  const both = Array.from({ length: B }, () => new Float64Array(B));
  const set: number[] = [];
  for (let i = 0; i < N; i++) {
    set.length = 0;
    for (let b = 0; b < B; b++) if ((codes.data[i * B + b] as number) > 0) set.push(b);
    for (const a of set) {
      const row = both[a] as Float64Array;
      for (const b of set) row[b] = (row[b] as number) + 1;
    }
  }
  const ones = both.map((row, a) => (row[a] as number) / N);
  const deviation = ones.map((p) => Math.sqrt(Math.max(0, p * (1 - p))));
  const correlations = both.map((row, a) =>
    Array.from(row, (count, b) => {
      const scale = (deviation[a] as number) * (deviation[b] as number);
      return scale === 0 ? null : (count / N - (ones[a] as number) * (ones[b] as number)) / scale;
    }),
  );
  return { ones, correlations };
}

/** Imbalance, mean absolute correlation and quantisation error of the codes of pictures and texts, [N, B] each. */
export function bitStatistics({ image, text }: { readonly image: Rows; readonly text: Rows }) {
  const average = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const imbalance = average(
    [image, text].flatMap((codes) => examineBits(codes).ones.map((share) => Math.abs(share - 0.5))),
  );
  const together: Rows = {
    dtype: "float32",
    shape: [(image.shape[0] as number) * 2, image.shape[1] as number],
    data: Float32Array.from([...image.data, ...text.data]),
  };
  const correlation = average(
    examineBits(together).correlations.flatMap((row, a) =>
      row.flatMap((value, b) => (a === b || value === null ? [] : [Math.abs(value)])),
    ),
  );
  const quantisation = average(Array.from(together.data, (value) => (1 - Math.abs(value)) ** 2));
  return { imbalance, correlation, quantisation };
}

export interface FigureRequest {
  readonly task: Task;
  readonly searches: Readonly<
    Record<Protocol, Readonly<Record<string, { readonly i2t: Search; readonly t2i: Search }>>>
  >;
  /** Codes of each item alone. */
  readonly codes: ProtocolCodes;
  readonly chance: number;
}

/** Precision against recall, three protocols, balance and correlation of bits, and pictures that texts find. */
export async function figuresOf(request: FigureRequest): Promise<readonly Figure[]> {
  const { task, searches, codes, chance } = request;
  const database = Array.from({ length: task.items.set.count - task.queries }, (_, i) => task.queries + i);
  const images = takeRows(codes.image[SHOWN_BITS] as Rows, database);
  const texts = takeRows(codes.text[SHOWN_BITS] as Rows, database);
  const names = Array.from({ length: Number(SHOWN_BITS) }, (_, b) => `bit ${b + 1}`);
  return [
    precisionRecall("i2t", "Image to text", searches.p3, chance),
    precisionRecall("t2i", "Text to image", searches.p3, chance),
    {
      kind: "bars",
      id: "protocols",
      title: "What a query may see",
      caption: `mAP with ${SHOWN_BITS} bits. P1: the partner and a prompt of the item's own labels; P2: the partner; P3: nothing but the query itself.`,
      categories: ["P1", "P2", "P3"],
      y: { label: "mAP, %", range: [0, PERCENT] },
      series: (["i2t", "t2i"] as const).map((direction) => ({
        label: direction === "i2t" ? "image to text" : "text to image",
        values: (["p1", "p2", "p3"] as const).map(
          (protocol) => PERCENT * (searches[protocol][SHOWN_BITS]?.[direction].meanAveragePrecision ?? 0),
        ),
      })),
    },
    {
      kind: "bars",
      id: "balance",
      title: "Balance of bits",
      caption: `Share of database items in which a bit of the ${SHOWN_BITS} is set. A bit at 50 % says most; one at 0 or 100 % says nothing.`,
      categories: names,
      y: { label: "ones, %", range: [0, PERCENT] },
      series: [
        { label: "pictures", values: examineBits(images).ones.map((share) => PERCENT * share) },
        { label: "texts", values: examineBits(texts).ones.map((share) => PERCENT * share) },
      ],
    },
    {
      kind: "matrix",
      id: "correlation",
      title: "Correlation of bits",
      caption: `Between the ${SHOWN_BITS} bits of pictures of the database. Off the diagonal, values near 0 are bits that say different things; a bit that never changes is blank.`,
      rows: names,
      columns: names,
      values: examineBits(images).correlations,
      range: [-1, 1],
      label: "correlation",
      digits: 2,
    },
    await gallery(request, database),
  ];
}

/** Precision and recall of all queries together within each Hamming radius. */
function precisionRecall(
  direction: "i2t" | "t2i",
  title: string,
  searches: FigureRequest["searches"]["p3"],
  chance: number,
): Figure {
  return {
    kind: "lines",
    id: `precision-recall-${direction}`,
    title: `Precision and recall, ${title.toLowerCase()}`,
    caption:
      "Every point is a Hamming radius, from 0 at the left: what share of the items within it is relevant, and what share of all relevant ones lies within it. Codes of each item alone.",
    x: { label: "recall, %", range: [0, PERCENT] },
    y: { label: "precision, %", range: [0, PERCENT] },
    series: [
      ...PAPER_DEFAULTS.bits.map((length) => {
        const { found, relevant } = (searches[String(length)] as { i2t: Search; t2i: Search })[direction];
        return {
          label: `${length} bits`,
          points: found
            .filter(({ items }) => items > 0)
            .map((at) => [(PERCENT * at.relevant) / relevant, (PERCENT * at.relevant) / at.items] as const),
        };
      }),
      {
        label: "chance",
        points: [
          [0, PERCENT * chance],
          [PERCENT, PERCENT * chance],
        ],
        guide: true,
      },
    ],
  };
}

async function gallery({ task, codes }: FigureRequest, database: number[]): Promise<Figure> {
  const queries = Array.from({ length: Math.min(GALLERY_QUERIES, task.queries) }, (_, i) => i);
  const { items } = task;
  const nearest = hammingNearest(
    packCodes(takeRows(codes.text[SHOWN_BITS] as Rows, queries)),
    packCodes(takeRows(codes.image[SHOWN_BITS] as Rows, database)),
    Math.min(GALLERY_ITEMS, database.length),
  );
  const perQuery = nearest.indices.shape[1] as number;
  const rows = await Promise.all(
    queries.map(async (query) => {
      const own = new Set(labelsOf(items, query));
      const found = Array.from({ length: perQuery }, (_, place) => {
        const index = Number(nearest.indices.data[query * perQuery + place]);
        return { index, item: database[index] as number };
      });
      const pictures = await pixelsOf(
        task,
        found.map(({ item }) => item),
      );
      return {
        label: short(`“${items.set.captions[query]?.[0]}” (${[...own].join(", ")})`),
        items: found.map(({ item }, place) => {
          const labels = labelsOf(items, item);
          const hit = labels.some((label) => own.has(label));
          return {
            picture: pictures[place] as FigurePicture,
            caption: short(`${hit ? "✓" : "✗"} ${labels.join(", ")}`),
          };
        }),
      };
    }),
  );
  return {
    kind: "gallery",
    id: "found",
    title: "Pictures that texts find",
    caption: `Texts of the queries with their labels, and the nearest pictures by ${SHOWN_BITS} bits. ✓: shares a label.`,
    rows,
  };
}

function short(text: string): string {
  return text.length > CAPTION_CHARACTERS ? `${text.slice(0, CAPTION_CHARACTERS - 1)}…` : text;
}

/** Pictures of some items, every few pixels of large ones. */
async function pixelsOf(task: Task, rows: readonly number[]): Promise<FigurePicture[]> {
  const { data, shape } = await task.items.set.pixels(rows);
  const size = shape[3] as number;
  const step = Math.ceil(size / MOST_PIXELS);
  const side = Math.floor((size - 1) / step) + 1;
  return rows.map((_, i) => {
    const picture = new Uint8Array(side * side * 3);
    for (let y = 0, at = 0; y < side; y++)
      for (let x = 0; x < side; x++)
        for (let c = 0; c < 3; c++, at++)
          picture[at] = data[((i * 3 + c) * size + y * step) * size + x * step] as number;
    return { width: side, height: side, channels: 3, data: picture };
  });
}
