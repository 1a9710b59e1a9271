import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Figure, FigurePicture, GalleryFigure, LinesFigure } from "./figures.ts";
import { type RunRecord, RunStore } from "./index.ts";
import { checkFigures, saveFigures } from "./save-figures.ts";
import { figureSeeds, loadFigures, readFigureSheet, readRunFigures } from "./saved-figures.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-figures-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const picture = (width: number, height: number, channels: 1 | 3, first: number): FigurePicture => ({
  width,
  height,
  channels,
  data: Uint8Array.from({ length: width * height * channels }, (_, i) => first + i),
});
const frame = { title: "A title", caption: "What is seen." };
const lines: LinesFigure = {
  ...frame,
  id: "spectrum",
  kind: "lines",
  x: { label: "direction" },
  y: { label: "share, %", scale: "log", range: [0.01, 100] },
  series: [
    {
      label: "",
      points: [
        [1, 60],
        [2, 1 / 3],
      ],
      guide: false,
    },
  ],
};
const gallery: GalleryFigure = {
  ...frame,
  id: "nearest",
  kind: "gallery",
  rows: [
    {
      label: "prototype 1",
      items: [
        { picture: picture(2, 2, 3, 10), caption: "coat" },
        { picture: picture(3, 1, 1, 100), caption: "bag" },
      ],
    },
    { label: "prototype 2", items: [{ picture: picture(1, 3, 1, 200), caption: "shoe" }] },
  ],
};
const figures: readonly Figure[] = [
  lines,
  {
    ...frame,
    id: "plane",
    kind: "points",
    x: { label: "alignment" },
    y: { label: "uniformity" },
    series: [
      {
        label: "way",
        points: [
          [0, -1],
          [1, -2],
        ],
        labels: ["start", "end"],
        joined: true,
      },
    ],
  },
  {
    ...frame,
    id: "balance",
    kind: "bars",
    categories: ["bit 1", "bit 2"],
    y: { label: "ones, %" },
    series: [{ label: "", values: [50, 25] }],
  },
  {
    ...frame,
    id: "similarity",
    kind: "matrix",
    rows: ["image"],
    columns: ["text", "sound"],
    values: [[0.5, null]],
    range: [-1, 1],
    label: "mean cosine",
    digits: 2,
  },
  gallery,
];
const result = (...list: readonly Figure[]) => ({ metrics: {}, figures: list });

describe("saveFigures", () => {
  it("leaves what is read back: numbers to eight digits, pictures in one PNG file a gallery", async () => {
    checkFigures("seed-0/arm", result(...figures));
    await saveFigures(folder, result(...figures));
    expect(await readdir(join(folder, "figures"))).toEqual(["figures.json", "nearest.png"]);
    const read = await loadFigures(folder);
    const [, second, third, fourth, last] = read;
    expect(read[0]).toEqual({
      ...lines,
      series: [
        {
          label: "",
          points: [
            [1, 60],
            [2, 0.33333333],
          ],
          guide: false,
        },
      ],
    });
    expect([second, third, fourth]).toEqual(figures.slice(1, 4));
    expect(last).toEqual({
      ...frame,
      id: "nearest",
      kind: "gallery",
      cell: [3, 3],
      rows: [
        {
          label: "prototype 1",
          items: [
            { width: 2, height: 2, caption: "coat" },
            { width: 3, height: 1, caption: "bag" },
          ],
        },
        { label: "prototype 2", items: [{ width: 1, height: 3, caption: "shoe" }] },
      ],
    });
    const { data, info } = await sharp(join(folder, "figures", "nearest.png"))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([6, 6, 3]);
    const at = (x: number, y: number) => [...data.subarray((y * 6 + x) * 3, (y * 6 + x) * 3 + 3)];
    // An RGB picture as it is, a grey one with equal channels, white where there is none.
    expect([at(0, 0), at(1, 1)]).toEqual([
      [10, 11, 12],
      [19, 20, 21],
    ]);
    expect([at(3, 0), at(5, 0)]).toEqual([
      [100, 100, 100],
      [102, 102, 102],
    ]);
    expect([at(0, 5), at(2, 2), at(3, 3)]).toEqual([
      [202, 202, 202],
      [255, 255, 255],
      [255, 255, 255],
    ]);
  });

  it("keeps a gallery of grey pictures grey", async () => {
    const grey = {
      ...gallery,
      rows: [{ label: "", items: [{ picture: picture(4, 3, 1, 7), caption: "" }] }],
    };
    await saveFigures(folder, result(grey));
    const { channels } = await sharp(join(folder, "figures", "nearest.png")).metadata();
    expect(channels).toBe(1);
    const { data } = await sharp(join(folder, "figures", "nearest.png"))
      .toColourspace("b-w")
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...data]).toEqual([...picture(4, 3, 1, 7).data]);
  });

  it("removes what an earlier attempt left, also when there is nothing to save now", async () => {
    await saveFigures(folder, result(gallery));
    await saveFigures(folder, result(lines));
    expect(await readdir(join(folder, "figures"))).toEqual(["figures.json"]);
    await saveFigures(folder, { metrics: {} });
    expect(await loadFigures(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("checkFigures", () => {
  const series = (points: unknown) => ({ ...lines, series: [{ label: "", points }] });
  const item = (changed: object) => ({
    ...gallery,
    rows: [{ label: "", items: [{ picture: { ...picture(2, 2, 1, 0), ...changed }, caption: "" }] }],
  });

  it.each<[string, unknown, string]>([
    [
      "a path as an id",
      { ...lines, id: "../x" },
      "figure '../x', id: expected letters, digits and single dashes",
    ],
    ["no id", { ...lines, id: "" }, "figures[0], id: expected letters"],
    ["no title", { ...lines, title: "" }, "figure 'spectrum', title: "],
    ["a kind that is none", { ...lines, kind: "pie" }, "figure 'spectrum', kind: "],
    ["nothing", null, "figures[0]: "],
    [
      "a NaN",
      series([
        [0, 1],
        [1, Number.NaN],
      ]),
      "series[0].points[1][1]: Invalid input: expected number, received NaN",
    ],
    ["an infinity", series([[Number.POSITIVE_INFINITY, 1]]), "series[0].points[0][0]"],
    ["too many points", series(Array(2001).fill([0, 1])), "series[0].points: Too big"],
    ["too many series", { ...lines, series: Array(9).fill(lines.series[0]) }, "series: Too big"],
    [
      "a range that is none",
      { ...lines, x: { label: "", range: [1, 1] } },
      "x.range: expected the smaller number first",
    ],
    [
      "a logarithm of zero",
      { ...lines, y: { label: "", scale: "log", range: [0, 1] } },
      "y.range: expected positive numbers",
    ],
    [
      "a label too few",
      {
        ...figures[1],
        series: [
          {
            label: "",
            points: [
              [0, 0],
              [1, 1],
            ],
            labels: ["a"],
          },
        ],
      },
      "series[0].labels: expected one for each of 2 points, got 1",
    ],
    [
      "a bar too many",
      { ...figures[2], series: [{ label: "", values: [1, 2, 3] }] },
      "figure 'balance', series[0].values: expected one for each of 2 categories, got 3",
    ],
    ["a short row", { ...figures[3], values: [[1]] }, "values[0]: expected one for each of 2 columns, got 1"],
    ["a row too few", { ...figures[3], values: [] }, "values: expected one for each of 1 rows, got 0"],
    [
      "a picture too large",
      item({ width: 257, data: new Uint8Array(514) }),
      "rows[0].items[0].picture.width: Too big",
    ],
    [
      "a picture cut short",
      item({ data: new Uint8Array(3) }),
      "picture.data: expected 2 · 2 · 1 samples, got 3",
    ],
    ["too many rows", { ...gallery, rows: Array(25).fill(gallery.rows[0]) }, "rows: Too big"],
  ])("refuses %s", (_, figure, message) => {
    expect(() => checkFigures("seed-0/arm", result(figure as Figure))).toThrow(RangeError);
    expect(() => checkFigures("seed-0/arm", result(figure as Figure))).toThrow(message);
  });

  it("refuses ids that are the same in a file system, and more figures than eight", () => {
    expect(() => checkFigures("seed-0/arm", result(lines, { ...lines, id: "Spectrum" }))).toThrow(
      "figures, [1].id: expected ids that differ, got 'Spectrum' twice",
    );
    expect(() => checkFigures("seed-0/arm", result(...Array(9).fill(lines)))).toThrow("figures: Too big");
  });
});

describe("what a run's folder says", () => {
  const arms = ["<odd>", "plain", "late"];
  let store: RunStore;
  let run: RunRecord;
  const unit = (...inside: readonly string[]) => store.path(run.id, "units", "seed-0", "plain", ...inside);

  beforeEach(async () => {
    store = new RunStore(folder);
    run = await store.create({
      paper: "toy",
      preset: "smoke",
      seeds: [0, 1],
      arms,
      inputs: {},
      config: {},
      units: [0, 1].flatMap((seed) =>
        ["odd", "plain", "late"].map((name, index) => ({
          id: `seed-${seed}/${name}`,
          seed,
          arm: arms[index] as string,
          status: name === "late" ? ("running" as const) : ("done" as const),
        })),
      ),
    });
    for (const name of ["plain", "late"]) {
      const path = store.path(run.id, "units", "seed-0", name);
      await mkdir(path, { recursive: true });
      await saveFigures(path, result(lines, gallery));
    }
  });
  const place = { seed: 0, arm: "plain", figure: "nearest" };

  it("is read arm by arm, of units that are done", async () => {
    expect(await figureSeeds(store, run)).toEqual([0]);
    const read = await readRunFigures(store, run, 0);
    expect(read.map(({ arm, figures: own }) => [arm, own.map(({ id }) => id)])).toEqual([
      ["plain", ["spectrum", "nearest"]],
    ]);
    expect(await readRunFigures(store, run, 1)).toEqual([]);
    const sheet = await readFigureSheet(store, run, place);
    expect(sheet).toEqual(new Uint8Array(await readFile(unit("figures", "nearest.png"))));
  });

  it("gives no sheet of what is not a gallery, not an arm or not there", async () => {
    for (const other of [
      { figure: "spectrum" },
      { figure: "../figures/nearest" },
      { arm: "late" },
      { arm: "../plain" },
      { seed: 7 },
    ]) {
      expect(await readFigureSheet(store, run, { ...place, ...other })).toBeNull();
    }
    await rm(unit("figures", "nearest.png"));
    expect(await readFigureSheet(store, run, place)).toBeNull();
  });

  it.each<[string, string, string]>([
    ["no JSON", "{", "is not JSON"],
    ["a newer version", '{"version":2,"figures":[]}', "version"],
    [
      "an id that leaves the folder",
      '{"version":1,"figures":[{"id":"../../x","kind":"gallery"}]}',
      "figures[0].id",
    ],
    [
      "numbers that are none",
      JSON.stringify({ version: 1, figures: [{ ...lines, series: [{ label: "", points: [[0, null]] }] }] }),
      "points[0][1]",
    ],
    [
      "a cell without end",
      JSON.stringify({
        version: 1,
        figures: [{ ...frame, id: "a", kind: "gallery", cell: [1e9, 1], rows: [{ label: "", items: [] }] }],
      }),
      "cell",
    ],
  ])("that holds %s is told of, and the other arms are shown", async (_, text, message) => {
    await writeFile(unit("figures", "figures.json"), text);
    const odd = store.path(run.id, "units", "seed-0", "odd");
    await mkdir(odd, { recursive: true });
    await saveFigures(odd, result(lines));
    const broken: string[] = [];
    const read = await readRunFigures(store, run, 0, (arm, error) => broken.push(`${arm}: ${error.message}`));
    expect(read.map(({ arm }) => arm)).toEqual(["<odd>"]);
    expect(broken).toHaveLength(1);
    expect(broken[0]).toMatch(/^plain: /);
    expect(broken[0]).toContain(message);
  });

  // Links need a privilege on Windows.
  it.skipIf(process.platform === "win32")(
    "is not followed out of it, nor read when it is too large",
    async () => {
      const secret = join(folder, "secret.json");
      await copyFile(unit("figures", "figures.json"), secret);
      await rm(unit("figures", "figures.json"));
      await symlink(secret, unit("figures", "figures.json"));
      await expect(loadFigures(unit())).rejects.toThrow("expected a file");
      await rm(unit("figures", "figures.json"));
      await writeFile(unit("figures", "figures.json"), " ".repeat(17 * 2 ** 20));
      await expect(loadFigures(unit())).rejects.toThrow("at most");
    },
  );

  it("gives out no sheet that is another file or of another size than its gallery", async () => {
    await writeFile(unit("figures", "nearest.png"), "<svg onload='alert(1)'/>");
    await expect(readFigureSheet(store, run, place)).rejects.toThrow("expected a PNG file of 6 × 6");
    const huge = await sharp({ create: { width: 3000, height: 6, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    await writeFile(unit("figures", "nearest.png"), huge);
    await expect(readFigureSheet(store, run, place)).rejects.toThrow("got 3000 × 6");
  });
});
