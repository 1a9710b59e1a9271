import type { Diagnosis } from "@concord/align";
import {
  barPlot,
  commonFrame,
  type EstimateRow,
  element,
  estimatePlot,
  histogramPlot,
  mapMark,
  mapPanel,
  type PointSets,
  spectrumPlot,
  type TreeNode,
} from "@concord/plots";
import { p, section } from "./html.ts";

/** A diagnosis and what it is called where two stand side by side. */
export interface Panel {
  readonly label: string;
  readonly diagnosis: Diagnosis;
}

/** Marks and line styles that the plots tell apart. */
const STYLES = 4;

function legend(labels: readonly string[], mark: (index: number) => TreeNode): TreeNode {
  return element("ul", { class: "legend" }, ...labels.map((label, i) => element("li", {}, mark(i), label)));
}

const swatch = (index: number): TreeNode =>
  element("span", { class: `key key-${index % STYLES}`, "aria-hidden": "true" });

/** One plot a panel, the panels named when there are several. */
function figure(
  title: string,
  text: string,
  panels: readonly { readonly label: string; readonly plots: readonly TreeNode[] }[],
  key?: TreeNode,
): TreeNode {
  const several = panels.length > 1;
  return element(
    "figure",
    {},
    element("figcaption", {}, element("h3", {}, title), p(text)),
    ...(key ? [key] : []),
    element(
      "div",
      several ? { class: "panels" } : {},
      ...panels.map(({ label, plots }) =>
        element("div", {}, ...(several ? [p(label, "panel-name")] : []), ...plots),
      ),
    ),
  );
}

function mapFigure(panels: readonly Panel[]): TreeNode {
  const kinds = panels[0]?.diagnosis.plots.map.sets.map(({ label }) => label) ?? [];
  const setsOf = ({ diagnosis }: Panel): PointSets =>
    Object.fromEntries(diagnosis.plots.map.sets.map(({ label, points }) => [label, points]));
  const { map } = panels[0]!.diagnosis.plots;
  const share = Math.round(100 * (map.shares[0] + map.shares[1]));
  return figure(
    "A map of the vectors",
    `Every mark is one row, on the two directions in which the rows differ most (${share} % of all differences${panels.length > 1 ? `, ${panels[0]!.label}` : ""}). ${map.paired ? "Lines join the two sides of a pair: short lines are good." : "Marks that lie together are alike."}`,
    panels.map((panel) => {
      const sets = setsOf(panel);
      const frame = commonFrame({ [panel.label]: sets });
      return { label: panel.label, plots: [mapPanel(panel.label, sets, frame, kinds)] };
    }),
    legend(kinds, mapMark),
  );
}

function similarityFigure(panels: readonly Panel[]): readonly TreeNode[] {
  const names = panels[0]?.diagnosis.plots.similarities.map(({ label }) => label) ?? [];
  if (names.length === 0) return [];
  const paired = panels[0]!.diagnosis.kind === "pairs";
  return [
    figure(
      "How alike rows are",
      paired
        ? "Similarity (cosine) of pairs that belong together, and of pairs that do not. The less the two overlap, the better search works."
        : "Similarity (cosine) of two rows drawn at random. Around 0 is good for rows that have nothing to do with each other.",
      panels.map(({ label, diagnosis }) => ({
        label,
        plots: [
          histogramPlot(
            diagnosis.plots.similarities.map((one) => ({ label: one.label, ...one.histogram })),
            "cosine similarity",
            `Histogram of cosine similarities: ${diagnosis.plots.similarities.map((one) => one.label).join(" and ")}.`,
          ),
        ],
      })),
      legend(names, swatch),
    ),
  ];
}

function spectrumFigure(panels: readonly Panel[]): TreeNode {
  const names = panels[0]?.diagnosis.plots.spectrum.map(({ label }) => label) ?? [];
  return figure(
    "How many directions are used",
    "Share of all differences in each direction, strongest first, on a logarithmic scale (spectrum of the covariance). A line that falls steeply means that few directions do all the work.",
    panels.map(({ label, diagnosis }) => ({
      label,
      plots: [
        spectrumPlot(
          diagnosis.plots.spectrum,
          `Spectrum: share of the variance in each direction for ${names.join(" and ")}.`,
        ),
      ],
    })),
    legend(names, swatch),
  );
}

function gapFigure(panels: readonly Panel[]): readonly TreeNode[] {
  const first = panels[0]?.diagnosis.plots.gapByDimension;
  if (!first || first.every(({ share }) => share === 0)) return [];
  const top = first[0]!;
  return [
    figure(
      "Which dimensions hold the two sets apart",
      `Share of each dimension in the squared distance of the two centres, largest first; dimension ${top.dimension} holds ${Math.round(100 * top.share)} %. A few tall bars: the gap sits in a few numbers of the vector.`,
      panels.map(({ label, diagnosis }) => ({
        label,
        plots: [
          barPlot(
            (diagnosis.plots.gapByDimension ?? []).map(({ dimension, share }) => ({
              label: String(dimension),
              value: share,
            })),
            "dimension (number in the vector)",
            "Share of each dimension in the squared distance of the centres.",
          ),
        ],
      })),
    ),
  ];
}

/** Upper ends of the bins of how often an item is retrieved. */
const HUB_BINS = [0, 1, 2, 5, 10, 20, 50, 100, Number.POSITIVE_INFINITY];

function hubBars(occurrences: readonly number[]): { label: string; value: number }[] {
  const counts = HUB_BINS.map(() => 0);
  for (const times of occurrences) {
    const bin = HUB_BINS.findIndex((end) => times <= end + 1e-9);
    counts[bin] = (counts[bin] as number) + 1 / occurrences.length;
  }
  return counts.map((value, bin) => {
    const from = bin === 0 ? 0 : (HUB_BINS[bin - 1] as number) + 1;
    const to = HUB_BINS[bin] as number;
    return {
      label: to === from ? String(to) : to === Number.POSITIVE_INFINITY ? "> 100" : `${from}–${to}`,
      value,
    };
  });
}

function hubFigures(panels: readonly Panel[]): readonly TreeNode[] {
  return (panels[0]?.diagnosis.plots.hubness ?? []).map(({ label: set }, place) =>
    figure(
      `How often items of ${set} are shown`,
      "Share of items by how many queries have them among their first ten. Good: most between 1 and 50. A tall first bar and something at the right end: a few items are everywhere, others nowhere.",
      panels.map(({ label, diagnosis }) => ({
        label,
        plots: [
          barPlot(
            hubBars(diagnosis.plots.hubness[place]?.occurrences ?? []),
            "queries that show the item among the first ten",
            `How often items of ${set} are among the ten nearest of a query.`,
          ),
        ],
      })),
    ),
  );
}

function retrievalFigure(panels: readonly Panel[]): readonly TreeNode[] {
  if (panels.every(({ diagnosis }) => diagnosis.retrieval.length === 0)) return [];
  const rows: EstimateRow[] = panels[0]!.diagnosis.retrieval.flatMap(({ from, to, recall }, direction) =>
    recall.flatMap(({ k }, i) =>
      panels.map(({ label, diagnosis }, series) => {
        const estimate = diagnosis.retrieval[direction]?.recall[i]?.estimate ?? { value: 0, low: 0, high: 0 };
        const shown = `${short(from)} → ${short(to)}, first ${k}`;
        return {
          label: panels.length > 1 ? `${shown} (${label})` : shown,
          ...estimate,
          series: panels.length > 1 ? series : direction,
        };
      }),
    ),
  );
  const [first] = panels[0]!.diagnosis.retrieval;
  return [
    figure(
      "Who finds its partner",
      `Share of ${first!.queries.toLocaleString("en-GB")} queries that have their own partner among the first 1, 5 and 10 of ${first!.gallery.toLocaleString("en-GB")} candidates (recall), with 95 % intervals.`,
      [
        {
          label: "",
          plots: [estimatePlot(rows, "Recall at 1, 5 and 10 in both directions with 95 % intervals.")],
        },
      ],
    ),
  ];
}

/** Names that fit beside a plot. */
function short(name: string): string {
  return name.length > 9 ? `${name.slice(0, 8)}…` : name;
}

/** All plots, each with one panel for every diagnosis. */
export function plotsSection(panels: readonly Panel[]): TreeNode {
  return section(
    "pictures",
    "In pictures",
    element(
      "div",
      { class: "plots" },
      mapFigure(panels),
      ...retrievalFigure(panels),
      ...similarityFigure(panels),
      spectrumFigure(panels),
      ...gapFigure(panels),
      ...hubFigures(panels),
    ),
  );
}
