import { describe, expect, it } from "vitest";
import { BAR_PLOT, barPlot } from "./bar-plot.ts";
import { ESTIMATE_PLOT, estimatePlot } from "./estimate-plot.ts";
import { HISTOGRAM_PLOT, histogramPlot } from "./histogram-plot.ts";
import { SPECTRUM_PLOT, spectrumPlot } from "./spectrum-plot.ts";
import { markup, type TreeNode } from "./tree.ts";

function withClass(node: TreeNode, name: string): TreeNode[] {
  const own = String(node.attributes.class ?? "")
    .split(" ")
    .includes(name);
  const below = node.children.flatMap((child) => (typeof child === "string" ? [] : withClass(child, name)));
  return own ? [node, ...below] : below;
}

/** y of the horizontal parts of a histogram's outline. */
function levels(d: string): number[] {
  return [...d.matchAll(/V([\d.]+)H/g)].map((match) => Number(match[1]));
}

describe("histogramPlot", () => {
  it("draws shares of each histogram's own total on common axes", () => {
    const plot = histogramPlot(
      [
        { label: "a", edges: [0, 1, 2], counts: [10, 30] },
        { label: "b", edges: [1, 2, 3], counts: [1, 3] },
      ],
      "value",
      "two histograms",
    );
    const [a, b] = withClass(plot, "histogram").map((node) => levels(String(node.attributes.d))) as [
      number[],
      number[],
    ];
    expect(b).toEqual(a);
    const { height, bottom, top } = HISTOGRAM_PLOT;
    const base = height - bottom;
    expect((base - (a[0] as number)) / (base - (a[1] as number))).toBeCloseTo(1 / 3, 1);
    expect(Math.min(...a)).toBeGreaterThanOrEqual(top);
  });

  it("has no NaN without counts", () => {
    const plot = histogramPlot([{ label: "a", edges: [0, 0], counts: [0] }], "value", "empty");
    expect(markup(plot)).not.toMatch(/NaN|Infinity/);
  });
});

describe("spectrumPlot", () => {
  it("draws equal factors as equal distances", () => {
    const plot = spectrumPlot([{ label: "a", shares: [0.1, 0.01, 0.001] }], "spectrum");
    const d = String(withClass(plot, "series")[0]?.attributes.d);
    const ys = [...d.matchAll(/,([\d.]+)/g)].map((match) => Number(match[1]));
    expect(ys).toHaveLength(3);
    expect((ys[1] as number) - (ys[0] as number)).toBeCloseTo((ys[2] as number) - (ys[1] as number), 0);
  });

  it.each([[[]], [[0, 0]], [[1]]])("stays finite for %j", (shares) => {
    const text = markup(spectrumPlot([{ label: "a", shares }], "spectrum"));
    expect(text).not.toMatch(/NaN|Infinity/);
    expect(SPECTRUM_PLOT.width).toBeGreaterThan(0);
  });
});

describe("barPlot", () => {
  it("draws one bar a value, in proportion, and leaves out labels that do not fit", () => {
    const bars = Array.from({ length: 20 }, (_, i) => ({ label: `d${i}`, value: i }));
    const plot = barPlot(bars, "dimension", "bars");
    const rects = withClass(plot, "bar");
    expect(rects).toHaveLength(20);
    expect(Number(rects[10]?.attributes.height) / Number(rects[5]?.attributes.height)).toBeCloseTo(2, 6);
    expect(withClass(plot, "axis-x")[0]?.children.length).toBeLessThanOrEqual(10);
    expect(Number(rects[19]?.attributes.x)).toBeLessThan(BAR_PLOT.width);
  });

  it("stays finite without bars", () => {
    expect(markup(barPlot([], "dimension", "none"))).not.toMatch(/NaN|Infinity/);
  });
});

describe("estimatePlot", () => {
  it("puts value and interval on one scale from 0 to 100 %", () => {
    const plot = estimatePlot([{ label: "R@1", value: 0.5, low: 0.25, high: 0.75 }], "retrieval");
    const { left, right, width } = ESTIMATE_PLOT;
    const [dot] = withClass(plot, "estimate");
    const [bar] = withClass(plot, "interval");
    expect(dot?.attributes.cx).toBeCloseTo((left + width - right) / 2, 6);
    expect(Number(bar?.attributes.x2) - Number(bar?.attributes.x1)).toBeCloseTo(
      (width - left - right) / 2,
      6,
    );
    expect(markup(plot)).toContain(">50 %<");
  });

  it("escapes labels", () => {
    const text = markup(estimatePlot([{ label: "<b>", value: 0, low: 0, high: 0 }], "x"));
    expect(text).toContain("&lt;b&gt;");
  });
});
