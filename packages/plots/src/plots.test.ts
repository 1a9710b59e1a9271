import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CurveCollector, meanCurve, type Point, valueAt } from "./curves.ts";
import { curvesView } from "./curves-view.ts";
import { commonFrame, mapPanel, mapScales } from "./embedding-map.ts";
import { INTERVAL_PLOT, intervalPlot } from "./interval-plot.ts";
import { lineChart, lineScales, seriesOf } from "./line-chart.ts";
import { SERIES_COLOURS, styleArms } from "./series.ts";
import { element, markup, type TreeNode } from "./tree.ts";

/** All elements of a tree that have this class. */
function withClass(node: TreeNode, name: string): TreeNode[] {
  const own = String(node.attributes.class ?? "")
    .split(" ")
    .includes(name)
    ? [node]
    : [];
  return [
    ...own,
    ...node.children.flatMap((child) => (typeof child === "string" ? [] : withClass(child, name))),
  ];
}

describe("markup", () => {
  it("escapes texts and attributes, and rounds coordinates", () => {
    const node = element("g", { id: `"<&'`, x: 1.23456 }, "a < b & c", element("text", {}, "</g>"));
    expect(markup(node)).toBe(
      '<g id="&quot;&lt;&amp;&#39;" x="1.23">a &lt; b &amp; c<text>&lt;/g&gt;</text></g>',
    );
  });
});

describe("curves", () => {
  const collect = (points: readonly Point[]) => {
    const collector = new CurveCollector();
    for (const [step, loss] of points) collector.add({ unit: "u", phase: "p", step, values: { loss } });
    return collector.charts()[0]?.curves[0]?.points ?? [];
  };

  it("of any length stay bounded and keep their ends, lowest and highest points and order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 4000 }),
        (values) => {
          const kept = collect(values.map((value, step) => [step, value]));
          expect(kept.length).toBeLessThanOrEqual(480);
          expect(Math.min(...kept.map(([, value]) => value))).toBe(Math.min(...values));
          expect(Math.max(...kept.map(([, value]) => value))).toBe(Math.max(...values));
          expect(kept.map(([step]) => step)).toEqual(kept.map(([step]) => step).toSorted((a, b) => a - b));
          for (const [step, value] of kept) expect(values[step]).toBe(value);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("are the same whether collected at once or handed over half-way", () => {
    const whole = new CurveCollector();
    let half = new CurveCollector();
    for (let step = 0; step < 2000; step++) {
      const record = { unit: "u", phase: "p", step, values: { loss: Math.sin(step), rate: 1 / (step + 1) } };
      whole.add(record);
      half.add(record);
      if (step === 700) half = CurveCollector.from(JSON.parse(JSON.stringify(half.charts())));
    }
    expect(half.charts()).toEqual(whole.charts());
  });

  it("are made of finite numbers only, losses first within a phase", () => {
    const collector = new CurveCollector();
    collector.add({
      unit: "u",
      phase: "p",
      step: 1,
      values: { rate: 0.1, text: "x", flag: true, none: null, bad: Number.NaN, "rafa loss": 2, loss: 1 },
    });
    collector.add({ unit: "u", phase: "p", step: Number.POSITIVE_INFINITY, values: { loss: 1 } });
    expect(collector.charts().map(({ name }) => name)).toEqual(["loss", "rafa loss", "rate"]);
    expect(collector.charts()[0]!.curves[0]!.points).toEqual([[1, 1]]);
  });

  it("are bounded in number", () => {
    const collector = new CurveCollector();
    for (let index = 0; index < 1000; index++) {
      collector.add({ unit: `u${index}`, phase: "p", step: 1, values: { loss: 1, [`n${index}`]: 1 } });
    }
    const charts = collector.charts();
    expect(charts.length).toBeLessThan(100);
    for (const { curves } of charts) expect(curves.length).toBeLessThan(300);
  });

  it("are averaged over the steps that all seeds have reached", () => {
    expect(
      meanCurve([
        [
          [0, 1],
          [10, 3],
        ],
        [
          [0, 3],
          [5, 3],
          [10, 3],
          [20, 9],
        ],
      ]),
    ).toEqual([
      [0, 2],
      [10, 3],
    ]);
    expect(
      meanCurve([
        [
          [0, 1],
          [1, 1],
        ],
        [
          [2, 5],
          [3, 5],
        ],
      ]),
    ).toEqual([]);
    expect(
      valueAt(
        [
          [0, 0],
          [10, 5],
        ],
        4,
      ),
    ).toBe(2);
    expect(
      valueAt(
        [
          [0, 0],
          [10, 5],
        ],
        11,
      ),
    ).toBeNull();
  });
});

const roles = ["reference", "baseline", "method", "ablation"] as const;

describe("styleArms", () => {
  it("gives method, baseline and reference the same colours in every run, and tells all arms apart", () => {
    const arms = ["method", "baseline", "reference", ...Array(10).fill("ablation")].map((role, index) => ({
      id: `arm-${index}`,
      label: `Arm ${index}`,
      role: role as (typeof roles)[number],
    }));
    const styles = styleArms(arms);
    const reversed = styleArms([...arms].reverse());
    for (const index of [0, 1, 2]) {
      expect(reversed.find(({ id }) => id === `arm-${index}`)?.colour).toBe(styles[index]!.colour);
    }
    expect(new Set(styles.map(({ colour, dash }) => `${colour} ${dash}`)).size).toBe(styles.length);
    for (const { colour } of styles) expect(colour).toBeLessThan(SERIES_COLOURS);
  });
});

describe("line chart", () => {
  const arms = styleArms([
    { id: "b", label: "Baseline", role: "baseline" },
    { id: "m", label: "<Method>", role: "method" },
  ]);
  const units = {
    "seed-0/prepare": { seed: 0, arm: null },
    "seed-0/b": { seed: 0, arm: "b" },
    "seed-0/m": { seed: 0, arm: "m" },
    "seed-1/m": { seed: 1, arm: "m" },
  };
  const line: readonly Point[] = [
    [0, 1],
    [1, 0.5],
    [2, 0.25],
  ];
  const chart = (...curves: readonly string[]) =>
    seriesOf(
      { phase: "p", name: "loss", curves: curves.map((unit) => ({ unit, points: line })) },
      units,
      arms,
    );

  it("draws one mean per arm, and single seeds only where there are several", () => {
    const tree = lineChart("loss", chart("seed-0/b", "seed-0/m", "seed-1/m"));
    expect(withClass(tree, "mean")).toHaveLength(2);
    expect(withClass(tree, "seed")).toHaveLength(2);
    expect(tree.attributes["aria-label"]).toContain("Baseline: 0.25 at step 2; <Method>: 0.25 at step 2");
    expect(markup(tree)).toContain("&lt;Method&gt;");
  });

  it("draws a dot for a single point, nothing for none, and survives a flat line", () => {
    const dot = lineChart(
      "loss",
      seriesOf({ phase: "p", name: "loss", curves: [{ unit: "seed-0/b", points: [[3, 7]] }] }, units, arms),
    );
    expect(withClass(dot, "dot")).toHaveLength(1);
    expect(lineChart("loss", []).children).toEqual([]);
    const flat: readonly Point[] = [
      [1, 2],
      [2, 2],
    ];
    const tree = lineChart(
      "loss",
      seriesOf({ phase: "p", name: "loss", curves: [{ unit: "seed-0/b", points: flat }] }, units, arms),
    );
    expect(markup(tree)).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("keeps every point inside its frame", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 1e7 }), fc.double({ noNaN: true, min: -1e9, max: 1e9 })),
          { minLength: 1 },
        ),
        (points) => {
          const sorted = points.toSorted((a, b) => a[0] - b[0]);
          const series = seriesOf(
            { phase: "p", name: "loss", curves: [{ unit: "seed-0/b", points: sorted }] },
            units,
            arms,
          );
          const { x, y } = lineScales(series)!;
          for (const [step, value] of sorted) {
            expect(x(step)).toBeGreaterThanOrEqual(45.99);
            expect(x(step)).toBeLessThanOrEqual(348.01);
            expect(y(value)).toBeGreaterThanOrEqual(11.99);
            expect(y(value)).toBeLessThanOrEqual(190.01);
          }
        },
      ),
    );
  });

  it("names only the arms that have curves in the legend", () => {
    const tree = curvesView({
      charts: [
        {
          phase: "p",
          name: "loss",
          curves: [
            { unit: "seed-0/m", points: line },
            { unit: "unknown", points: line },
          ],
        },
      ],
      units,
      arms,
      names: { loss: "Training loss" },
    });
    const text = markup(tree);
    expect(text).toContain("&lt;Method&gt;");
    expect(text).not.toContain("Baseline");
    expect(text).toContain("Training loss");
    expect(markup(curvesView({ charts: [], units, arms, names: {} }))).toContain("No curve yet");
  });
});

describe("interval plot", () => {
  const plot = (changes: readonly number[], interval: readonly [number, number] | null, margin: number) =>
    intervalPlot({
      changes,
      mean: changes.reduce((sum, change) => sum + change, 0) / changes.length,
      interval,
      margin,
      format: (change) => change.toFixed(1),
      formatTick: String,
      outcome: "inconclusive",
    });

  it("puts everything in place on one axis: zero, margin, interval, mean, seeds", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -100, max: 100 }), { minLength: 1, maxLength: 6 }),
        fc.double({ noNaN: true, min: -100, max: 100 }),
        (changes, margin) => {
          const interval = [Math.min(...changes) - 1, Math.max(...changes) + 1] as const;
          const tree = plot(changes, interval, margin);
          const xs = [...withClass(tree, "seed"), ...withClass(tree, "mean")].map(({ attributes }) =>
            Number(attributes.cx),
          );
          const lines = ["zero", "margin", "interval"].flatMap((name) =>
            withClass(tree, name).flatMap(({ attributes }) => [Number(attributes.x1), Number(attributes.x2)]),
          );
          for (const x of [...xs, ...lines]) {
            expect(x).toBeGreaterThanOrEqual(INTERVAL_PLOT.left);
            expect(x).toBeLessThanOrEqual(INTERVAL_PLOT.width - INTERVAL_PLOT.right);
          }
          const zone = withClass(tree, "zone-holds")[0]!;
          expect(zone.attributes.x).toBe(withClass(tree, "margin")[0]!.attributes.x1);
        },
      ),
    );
  });

  it("draws no bar for a single seed and says so", () => {
    const tree = plot([1], null, 0.5);
    expect(withClass(tree, "interval")).toHaveLength(0);
    expect(tree.attributes["aria-label"]).toBe("Mean change 1.0, no interval, margin 0.5: inconclusive.");
  });
});

describe("embedding map", () => {
  const arms = {
    a: {
      image: [
        [0, 0],
        [4, 1],
      ],
      text: [
        [1, 3],
        [2, 2],
      ],
    },
    b: {
      image: [[-2, 0]],
      text: [
        [0, 0],
        [1, 1],
      ],
    },
  } as const;

  it("has one scale for both axes and a frame around the points of all arms", () => {
    const { x, y, height } = commonFrame(arms);
    expect([x[0], x[1]]).toEqual([-2, 4]);
    expect(y[0]).toBeLessThanOrEqual(0);
    expect(y[1]).toBeGreaterThanOrEqual(3);
    expect(height).toBe(152);
    const scales = mapScales(commonFrame(arms));
    expect(scales.x(1) - scales.x(0)).toBeCloseTo(scales.y(0) - scales.y(1));
  });

  it("joins pairs only where two kinds have a row each", () => {
    const frame = commonFrame(arms);
    expect(withClass(mapPanel("A", arms.a, frame, ["image", "text"]), "pair")).toHaveLength(1);
    expect(withClass(mapPanel("B", arms.b, frame, ["image", "text"]), "pair")).toHaveLength(0);
  });

  it("survives a single point", () => {
    const one = { a: { image: [[5, 5]] as const } };
    expect(markup(mapPanel("A", one.a, commonFrame(one), ["image"]))).not.toMatch(/NaN|Infinity/);
  });
});
