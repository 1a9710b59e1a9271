import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { named, textOf, withClass } from "../test/tree-search.ts";
import { barsPlot } from "./bars-plot.ts";
import type { Point } from "./curves.ts";
import { FIGURE_PLOT } from "./figure-frame.ts";
import { enlargement, galleryPlot } from "./gallery-plot.ts";
import { linesPlot } from "./lines-plot.ts";
import { figureNumber, matrixPlot, shadeOf } from "./matrix-plot.ts";
import { pointsPlot } from "./points-plot.ts";
import { styleArms } from "./series.ts";
import { markup, type TreeNode } from "./tree.ts";

const numbersOf = (d: unknown) => [...String(d).matchAll(/-?\d+(?:\.\d+)?/g)].map(Number);

const styles = styleArms([
  { id: "start", label: "Start", role: "reference" },
  { id: "base", label: "Base", role: "baseline" },
  { id: "new", label: "<New>", role: "method" },
  { id: "less", label: "Less", role: "ablation" },
]);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 });
const broken = /NaN|Infinity|undefined/;

describe("linesPlot", () => {
  const plot = (lines: readonly (readonly Point[])[], scale: "linear" | "log" = "linear") =>
    linesPlot({
      x: { label: "x" },
      y: { label: "share, %", scale },
      lines: [
        {
          label: "chance",
          style: null,
          className: "",
          points: [
            [1, 2],
            [3, 2],
          ],
        },
        ...lines.map((points, place) => ({
          label: styles[place]!.label,
          style: styles[place]!,
          className: `arm-${place}`,
          points,
        })),
      ],
      label: "lines",
    });

  it("names every curve where it ends, in the order of the ends, and draws guides below and the method above", () => {
    const tree = plot([
      [
        [1, 1],
        [3, 5],
      ],
      [
        [1, 1],
        [3, 9],
      ],
      [
        [1, 1],
        [3, 7],
      ],
      [
        [1, 1],
        [3, 1],
      ],
    ]);
    expect(withClass(tree, "end-text").map(textOf)).toEqual(["Base", "<New>", "Start", "chance", "Less"]);
    const drawn = named(withClass(tree, "clip")[0]!, "path").map(({ attributes }) =>
      String(attributes.class),
    );
    expect(drawn[0]).toContain("guide-line");
    expect(drawn.at(-1)).toContain("role-method");
    expect(withClass(tree, "arm-3")).toHaveLength(2);
    expect(tree.attributes).toMatchObject({
      role: "img",
      "aria-label": "lines",
      ...{ width: FIGURE_PLOT.width },
    });
    expect(markup(tree)).toContain("&lt;New&gt;");
  });

  it("names what waits for a switch apart: until then the others stand where their curves end", () => {
    const line = (place: number, y: number, folded: boolean) => ({
      label: `line ${place}`,
      style: styles[place]!,
      className: "",
      folded,
      points: [
        [0, 0],
        [1, y],
      ] as const,
    });
    const tree = linesPlot({
      x: { label: "x" },
      y: { label: "y" },
      lines: [line(0, 1, false), line(1, 1, true), line(2, 1, true), line(3, 0.5, false)],
      label: "",
    });
    const names = (of: string) => withClass(withClass(tree, of)[0]!, "end-text").map(textOf);
    expect(names("labels-shown")).toEqual(["line 0", "line 3"]);
    expect(names("labels-all").toSorted()).toEqual(["line 0", "line 1", "line 2", "line 3"]);
    const leaders = withClass(withClass(tree, "labels-shown")[0]!, "leader");
    for (const { attributes } of leaders) {
      const [, from = 0, , , to = 0] = numbersOf(attributes.d);
      expect(Math.abs(to - from)).toBeLessThan(1);
    }
  });

  it("leaves out of a logarithmic scale what it cannot show: the curve has a gap there", () => {
    const tree = plot(
      [
        [
          [1, 10],
          [2, 0],
          [3, 1],
          [4, -5],
          [5, 0.1],
        ],
      ],
      "log",
    );
    expect(markup(tree)).not.toMatch(broken);
    const pieces = named(withClass(tree, "clip")[0]!, "circle");
    expect(pieces).toHaveLength(3);
  });

  it("stays inside of its frame with finite numbers, whatever is drawn", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(finite, finite), { maxLength: 30 }), fc.boolean(), (points, log) => {
        const tree = plot([points], log ? "log" : "linear");
        expect(markup(tree)).not.toMatch(broken);
        for (const { attributes } of named(withClass(tree, "clip")[0]!, "path").slice(1)) {
          for (const value of numbersOf(attributes.d)) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(FIGURE_PLOT.width);
          }
        }
      }),
    );
  });
});

describe("pointsPlot", () => {
  const plot = (points: readonly Point[], more: object = {}) =>
    pointsPlot({
      x: { label: "alignment" },
      y: { label: "uniformity" },
      series: [
        { label: "A", style: styles[0]!, className: "arm-0", mark: 0, points: [[0, 0]] },
        { label: "B", style: styles[1]!, className: "arm-1", mark: 1, points, ...more },
      ],
      label: "points",
    });

  it("joins a way in its order and names points, each with a title of its own", () => {
    const tree = plot(
      [
        [1, 1],
        [2, 4],
        [3, 2],
      ],
      { joined: true, labels: ["first", "", "last"] },
    );
    expect(withClass(tree, "way")).toHaveLength(1);
    expect(numbersOf(withClass(tree, "way")[0]!.attributes.d)).toHaveLength(6);
    expect(withClass(tree, "point-name").map(textOf)).toEqual(["first", "last"]);
    expect(named(tree, "title").map(textOf)).toEqual(["first", "last"]);
    expect(withClass(tree, "end-text").map(textOf)).toEqual(["A", "B"]);
  });

  it("leaves out names that would lie on others, and marks that would lie on the same pixel", () => {
    const crowd: Point[] = Array.from({ length: 200 }, (_, i) => [1 + i * 1e-6, 1]);
    const tree = plot(crowd, { labels: crowd.map((_, i) => (i < 100 ? `point ${i}` : "")) });
    const boxes = withClass(tree, "point-name").map((node) => [
      Number(node.attributes.x),
      Number(node.attributes.y),
      textOf(node).length * 5.9,
    ]);
    for (const [i, [x = 0, y = 0]] of boxes.entries()) {
      for (const [otherX = 0, otherY = 0, width = 0] of boxes.slice(0, i)) {
        expect(Math.abs(y - otherY) >= 12 || x >= otherX + width || otherX >= x + (boxes[i]![2] ?? 0)).toBe(
          true,
        );
      }
    }
    expect(boxes.length).toBeLessThan(40);
    const plain = plot(crowd);
    expect(String(withClass(plain, "point")[1]!.attributes.d).match(/M/g)!.length).toBeLessThan(3);
  });

  it("survives no points and points that are all one", () => {
    expect(markup(plot([]))).not.toMatch(broken);
    expect(
      markup(
        plot([
          [5, 5],
          [5, 5],
        ]),
      ),
    ).not.toMatch(broken);
  });
});

describe("barsPlot", () => {
  const plot = (categories: readonly string[], ...values: readonly (readonly number[])[]) =>
    barsPlot({
      categories,
      y: { label: "ones, %" },
      groups: values.map((of, place) => ({
        label: styles[place]!.label,
        style: styles[place]!,
        className: `arm-${place}`,
        values: of,
      })),
      label: "bars",
    });
  /** Height of every bar of a group, upwards positive. */
  const heights = (node: TreeNode) =>
    [...String(node.attributes.d).matchAll(/M[-\d.]+ ([-\d.]+)V([-\d.]+)/g)].map(
      ([, from, to]) => Number(from) - Number(to),
    );

  it("draws bars in proportion from zero, negative ones downwards, groups beside each other", () => {
    const tree = plot(["a", "b", "c"], [10, 20, -5], [5, 0, 5]);
    const [first, second] = withClass(tree, "bars");
    const [a = 0, b = 0, c = 0] = heights(first!);
    expect(b / a).toBeCloseTo(2, 1);
    expect(c / a).toBeCloseTo(-0.5, 1);
    expect(numbersOf(second!.attributes.d)[0]).toBeGreaterThan(numbersOf(first!.attributes.d)[0]!);
    expect(withClass(tree, "end-text").map(textOf)).toEqual(["Start", "Base"]);
  });

  it("names one group without a list beside it, and leaves out categories that do not fit", () => {
    const names = Array.from({ length: 128 }, (_, i) => `bit ${i + 1}`);
    const tree = plot(
      names,
      names.map((_, i) => i),
    );
    expect(withClass(tree, "end-text")).toHaveLength(0);
    const shown = named(withClass(tree, "axis-x")[0]!, "text");
    expect(shown.length).toBeGreaterThan(5);
    const xs = shown.map((node) => Number(node.attributes.x));
    const longest = Math.max(...shown.map((node) => textOf(node).length));
    expect(xs[1]! - xs[0]!).toBeGreaterThan(longest * 5.5);
  });

  it("slants names that do not fit below their bars, and makes room for them; every few numbers are enough", () => {
    const names = [
      "colour of pictures",
      "change in video",
      "distance",
      "heat",
      "sound",
      "shape of depth",
      "voice",
    ];
    const values = names.map((_, i) => i);
    const tree = plot([...names, ...names], [...values, ...values], [...values, ...values]);
    const shown = named(withClass(tree, "axis-x")[0]!, "text");
    expect(shown.map(textOf)).toEqual([...names, ...names]);
    expect(Number(tree.attributes.height)).toBeGreaterThan(FIGURE_PLOT.height + 20);
    const numbers = plot(
      Array.from({ length: 40 }, (_, i) => String(1000 + i)),
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect(Number(numbers.attributes.height)).toBe(FIGURE_PLOT.height);
  });

  it("survives values that are all zero", () => {
    expect(markup(plot(["a"], [0]))).not.toMatch(broken);
  });
});

describe("matrixPlot", () => {
  const plot = (
    values: readonly (readonly (number | null)[])[],
    range: readonly [number, number],
    digits = 2,
  ) =>
    matrixPlot({
      rows: values.map((_, i) => `row ${i}`),
      columns: (values[0] ?? []).map((_, i) => `<column ${i}>`),
      values,
      range,
      unit: "mean cosine",
      digits,
      label: "matrix",
    });

  it("shades values by their place in the range, by distance from zero where it has both signs", () => {
    const opacity = (value: number, range: readonly [number, number]) => shadeOf(value, range).opacity;
    expect(opacity(0, [0, 1])).toBeLessThan(opacity(0.5, [0, 1]));
    expect(opacity(0.5, [0, 1])).toBeLessThan(opacity(1, [0, 1]));
    expect(opacity(7, [0, 1])).toBe(opacity(1, [0, 1]));
    expect(shadeOf(-1, [-1, 1])).toEqual({ ...shadeOf(1, [-1, 1]), side: "low" });
    // One scale for both signs: -0.5 of [-0.5, 1] is half as deep as 1.
    expect(opacity(-0.5, [-0.5, 1])).toBeCloseTo(opacity(0.5, [-0.5, 1]), 6);
    expect(shadeOf(-3, [-4, -2]).side).toBe("high");
  });

  it("writes numbers into cells where they fit, and leaves blank what has no value", () => {
    const tree = plot(
      [
        [0.5, null],
        [-0.25, 1],
      ],
      [-1, 1],
    );
    expect(withClass(tree, "cell-number").map(textOf)).toEqual(["0.50", "\u22120.25", "1.00"]);
    expect(withClass(tree, "on-deep").map(textOf)).toEqual(["1.00"]);
    const cells = named(tree, "path").map(({ attributes }) => String(attributes.d).match(/M/g)!.length);
    expect(cells.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(markup(tree)).toContain("&lt;column 0&gt;");
    const large = plot(
      Array.from({ length: 64 }, () => Array<number>(64).fill(0.5)),
      [0, 1],
    );
    expect(withClass(large, "cell-number")).toHaveLength(0);
    expect(Number(large.attributes.width)).toBeLessThan(420);
    expect(markup(large)).not.toMatch(broken);
  });

  it("says what the shades span", () => {
    expect(withClass(plot([[0]], [-1, 3], 1), "shade-scale").map(textOf)).toEqual([
      "\u22121.0 3.0mean cosine".replace(" ", ""),
    ]);
    expect(textOf(withClass(plot([[0]], [-2, 2], 0), "shade-scale")[0]!)).toBe("\u2212202mean cosine");
    expect(figureNumber(-0.001, 2)).toBe("0.00");
  });
});

describe("galleryPlot", () => {
  const plot = (side: number) =>
    galleryPlot({
      rows: [
        { label: "prototype 1", items: [{ width: side, height: side, caption: "<coat>" }] },
        {
          label: "",
          items: [
            { width: side, height: 2, caption: "" },
            { width: 1, height: side, caption: "a bag" },
          ],
        },
      ],
      cell: [side, side],
      sheet: "/sheet.png",
      id: "sheet-1",
      label: "gallery",
    });

  it("cuts every picture out of the sheet, enlarged by a whole number", () => {
    expect([
      enlargement([28, 28]),
      enlargement([20, 31]),
      enlargement([64, 4]),
      enlargement([240, 120]),
    ]).toEqual([2, 1, 1, 0.25]);
    const tree = plot(28);
    expect(tree.attributes.class).toContain("enlarged");
    const pictures = named(tree, "svg").slice(1);
    expect(pictures.map(({ attributes: { viewBox, width, height } }) => [viewBox, width, height])).toEqual([
      ["0 0 28 28", 56, 56],
      ["0 28 28 2", 56, 4],
      ["28 28 1 28", 2, 56],
    ]);
    expect(named(tree, "image").map(({ attributes }) => attributes)).toEqual([
      { id: "sheet-1", href: "/sheet.png", width: 56, height: 56 },
    ]);
    expect(plot(128).attributes.class).not.toContain("enlarged");
  });

  it("has captions as text and as titles, escaped", () => {
    const text = markup(plot(28));
    expect(text).toContain("<title>&lt;coat&gt;</title>");
    expect(withClass(plot(28), "picture-caption").map(textOf)).toEqual(["<coat>", "", "a bag"]);
  });
});
