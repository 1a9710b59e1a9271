import { describe, expect, it } from "vitest";
import { named, textOf, withClass } from "../test/tree-search.ts";
import { barsPlot } from "./bars-plot.ts";
import { mapMark } from "./embedding-map.ts";
import { FIGURE_PLOT } from "./figure-frame.ts";
import { linesPlot } from "./lines-plot.ts";
import { matrixPlot } from "./matrix-plot.ts";
import { pointsPlot } from "./points-plot.ts";
import { styleArms } from "./series.ts";
import { markup, type TreeNode } from "./tree.ts";

const styles = styleArms([
  { id: "start", label: "Start", role: "reference" },
  { id: "base", label: "Base", role: "baseline" },
  { id: "new", label: "New", role: "method" },
  { id: "less", label: "Less", role: "ablation" },
]);

describe("many names", () => {
  it.each([4, 15, 16, 24, 60])(
    "keeps the names of %i curves inside of its frame, none over another",
    (count) => {
      const lines = Array.from({ length: count }, (_, place) => ({
        label: `Arm number ${place} with a long name`.slice(0, 8 + ((place * 7) % 26)),
        style: styles[place % 4]!,
        className: "",
        points: [
          [0, 0],
          [1, place],
        ] as const,
      }));
      const tree = linesPlot({ x: { label: "x" }, y: { label: "y" }, lines, label: "" });
      const height = Number(tree.attributes.height);
      expect(tree.attributes.viewBox).toBe(`0 0 ${FIGURE_PLOT.width} ${height}`);
      const boxes = withClass(tree, "end-text").map((node) => {
        const rows = node.children.length;
        const widest = Math.max(
          ...node.children.map((child) => (typeof child === "string" ? child : textOf(child)).length),
        );
        const [x, y] = [Number(node.attributes.x), Number(node.attributes.y)];
        return { left: x, right: x + widest * 5.9, top: y - 9, bottom: y + 2 + (rows - 1) * 12.5 };
      });
      expect(boxes).toHaveLength(count);
      for (const [i, a] of boxes.entries()) {
        expect(a.top).toBeGreaterThanOrEqual(0);
        expect(a.bottom).toBeLessThanOrEqual(height);
        expect(a.right).toBeLessThanOrEqual(FIGURE_PLOT.width + 1);
        for (const b of boxes.slice(0, i)) {
          const over = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
          expect(over, `${i}`).toBe(false);
        }
      }
    },
  );

  it("leaves names of what waits to their switches where all would not find room", () => {
    const lines = Array.from({ length: 24 }, (_, place) => ({
      label: `arm ${place}`,
      style: styles[place % 4]!,
      className: "",
      folded: place >= 3,
      points: [
        [0, 0],
        [1, place],
      ] as const,
    }));
    const tree = linesPlot({ x: { label: "x" }, y: { label: "y" }, lines, label: "" });
    expect(withClass(tree, "end-text").map(textOf).toSorted()).toEqual(["arm 0", "arm 1", "arm 2"]);
    expect(tree.attributes.height).toBe(FIGURE_PLOT.height);
    expect(named(withClass(tree, "clip")[0]!, "path")).toHaveLength(24);
  });

  it("stand below points and bars too, under the axis", () => {
    const label = (place: number) => `Arm number ${place}`;
    const arms = Array.from({ length: 20 }, (_, place) => ({
      label: label(place),
      style: styles[place % 4]!,
    }));
    const points = pointsPlot({
      x: { label: "x" },
      y: { label: "y" },
      series: arms.map((arm, mark) => ({ ...arm, className: "", mark, points: [[mark, mark]] as const })),
      label: "",
    });
    const bars = barsPlot({
      categories: ["a rather long name", "another long name", "third"],
      y: { label: "y" },
      groups: arms.map((arm, place) => ({ ...arm, className: "", values: [place, 1, 2] })),
      label: "",
    });
    for (const tree of [points, bars]) {
      const names = withClass(tree, "end-text");
      expect(names).toHaveLength(20);
      const ys = names.map(({ attributes }) => Number(attributes.y));
      const axis = withClass(tree, "base")[0]!.attributes;
      expect(Math.min(...ys)).toBeGreaterThan(Number(axis.y1) + 36);
      expect(Math.max(...ys)).toBeLessThanOrEqual(Number(tree.attributes.height));
      // The plot takes the room that names beside it would have taken.
      expect(Number(axis.x2)).toBeGreaterThan(FIGURE_PLOT.width - 20);
    }
  });
});

describe("categories that count", () => {
  const plot = (categories: readonly string[]) =>
    barsPlot({
      categories,
      y: { label: "ones, %" },
      groups: [{ label: "New", style: styles[2]!, className: "", values: categories.map(() => 1) }],
      label: "",
    });
  const bits = Array.from({ length: 32 }, (_, index) => `bit ${index + 1}`);
  const below = (tree: TreeNode) =>
    withClass(tree, "axis-x")
      .flatMap((axis) => named(axis, "text"))
      .map(textOf);

  it("are numbers below the bars, every few of them, and what they count stands once", () => {
    const tree = plot(bits);
    expect(below(tree).length).toBeGreaterThan(5);
    const places = withClass(tree, "axis-x").flatMap((axis) => named(axis, "text"));
    const numbers = places.filter(({ attributes }) => attributes.class === undefined);
    for (const [i, number] of numbers.entries()) {
      expect(Number(textOf(number)) % 2).toBe(0);
      const before = numbers[i - 1];
      if (before) expect(Number(number.attributes.x) - Number(before.attributes.x)).toBeGreaterThan(3 * 5.9);
    }
    expect(withClass(tree, "axis-label").map(textOf)).toEqual(["ones, %", "bit"]);
    expect(markup(tree)).not.toContain("rotate");
  });

  it("stay names where there is room, or where they do not all count the same", () => {
    expect(below(plot(bits.slice(0, 4)))).toEqual(["bit 1", "bit 2", "bit 3", "bit 4"]);
    expect(withClass(plot([...bits, "none"]), "axis-label")).toHaveLength(1);
  });
});

it("gives 32 kinds of points marks that differ, the first eight in colour", () => {
  const marks = Array.from({ length: 32 }, (_, kind) => named(mapMark(kind), "path")[0]!.attributes.class);
  expect(new Set(marks).size).toBe(32);
  const colours = marks.slice(0, 8).map((name) => /mark-of-\d/.exec(String(name))?.[0]);
  expect(new Set(colours).size).toBe(8);
});

it("writes out what the shades of a small matrix are", () => {
  const tree = matrixPlot({
    rows: ["a", "b"],
    columns: ["a", "b"],
    values: [
      [0, 1],
      [1, 0],
    ],
    range: [0, 1],
    unit: "cosine of pairs less that of others",
    digits: 2,
    label: "",
  });
  expect(withClass(tree, "axis-label").map(textOf)).toEqual(["cosine of pairs less that of others"]);
});
