import type { SavedFigure } from "@concord/papers";
import {
  type ArmStyle,
  barsPlot,
  extentOf,
  GALLERY_HALF,
  GALLERY_THIRD,
  galleryPlot,
  linesPlot,
  MAX_GROUPED_BARS,
  markup,
  matrixPlot,
  pointsPlot,
  readable,
  spanning,
  swatch,
  type TreeNode,
} from "@concord/plots";
import { html, raw } from "hono/html";
import { linesOfDrawing, pointsLabel, seriesNames } from "../runs/figure-series.ts";
import { type ArmFigure, type FigureBlock, figureBlocks, isKind, mainArms } from "../runs/figures.ts";
import { armStyles } from "../runs/summary.ts";
import { countText } from "../text.ts";
import { figureTables } from "./figure-tables.ts";
import type { Html } from "./layout.ts";
import type { RunView } from "./run.ts";

type Kind<K extends SavedFigure["kind"]> = FigureBlock<Extract<SavedFigure, { kind: K }>>;

/** So many arms can be switched on and off: the style sheet has a rule for each. */
const SWITCHES = 24;
/** Something drawn, with its name. */
interface Drawing {
  /** Empty where the title of the figure says it all. */
  readonly name: string;
  readonly style: ArmStyle | null;
  /** Name of the series that it shows, where it shows one of several. */
  readonly series?: string;
  readonly plot: TreeNode;
}

/** What is drawn of one arm. */
type ArmDrawing = Drawing & { readonly style: ArmStyle };

const armClass = (place: number) => (place < SWITCHES ? `arm-${place}` : "");

/** One plot for every name of series, all on one scale, with the arms over each other; a guide is in all of them. */
function linesDrawings({ first, arms }: Kind<"lines">): Drawing[] {
  const waiting = new Set(mainArms(arms).others.map(({ place }) => place));
  const all = arms.flatMap(({ figure }) => figure.series.flatMap(({ points }) => points));
  const x = spanning(
    first.x,
    all.map(([value]) => value),
  );
  const y = spanning(
    first.y,
    all.map(([, value]) => value),
  );
  const found = seriesNames(
    arms.map(({ figure }) => ({ series: figure.series.filter(({ guide }) => guide !== true) })),
  );
  // Guides alone are a plot too.
  const names = found.length > 0 ? found : [""];
  return names.map((name) => {
    const { guides, lines } = linesOfDrawing(arms, name);
    const shown = lines.map(({ label }) => label).join(", ");
    return {
      name: names.length > 1 ? name : "",
      style: null,
      series: name,
      plot: readable(
        linesPlot({
          x,
          y,
          lines: [
            ...guides.map((guide) => ({ ...guide, className: "" })),
            ...lines.map(({ place, ...line }) => ({
              ...line,
              className: armClass(place),
              folded: waiting.has(place) && place < SWITCHES,
            })),
          ],
          label: `${first.title}${name === "" ? "" : `, ${name}`}: ${y.label} by ${x.label}, curves of ${shown}.`,
        }),
      ),
    };
  });
}

function pointsDrawings({ first, arms }: Kind<"points">): Drawing[] {
  const names = seriesNames(arms.map(({ figure }) => figure));
  const waiting = new Set(mainArms(arms).others.map(({ place }) => place));
  const series = arms.flatMap(({ style, place, figure }) =>
    figure.series.map((one) => ({
      ...one,
      label: pointsLabel(style, one.label, names),
      style,
      className: armClass(place),
      folded: waiting.has(place) && place < SWITCHES,
      mark: names.length > 1 ? names.indexOf(one.label) : place,
    })),
  );
  const shown = series.map(({ label }) => label).join(", ");
  const { x, y, title } = first;
  return [
    {
      name: "",
      style: null,
      plot: readable(
        pointsPlot({ x, y, series, label: `${title}: ${y.label} by ${x.label}, points of ${shown}.` }),
      ),
    },
  ];
}

function barsOf({ arms }: Kind<"bars">) {
  return arms.flatMap(({ style, place, figure }) =>
    figure.series.map(({ label: name, values }) => ({
      name,
      style,
      label: style.label,
      className: armClass(place),
      values,
    })),
  );
}

const barsLabel = ({ title, y, categories }: Kind<"bars">["first"], of: string) =>
  `${title}: ${y.label} of ${countText(categories.length, "category", "categories")}, ${of}.`;

/** One plot for every name of series, the bars of all arms beside each other. */
function groupedBars(block: Kind<"bars">): Drawing[] {
  const { categories, y } = block.first;
  const bars = barsOf(block);
  const names = seriesNames(block.arms.map(({ figure }) => figure));
  return names.map((name) => {
    const groups = bars.filter((one) => one.name === name);
    const label = barsLabel(block.first, groups.map((group) => group.label).join(", "));
    return {
      name: names.length > 1 ? name : "",
      style: null,
      plot: barsPlot({ categories, y, groups, label }),
    };
  });
}

/** One plot for every arm, all on one scale. */
function separateBars(block: Kind<"bars">): ArmDrawing[] {
  const { categories, y } = block.first;
  const bars = barsOf(block);
  const single = new Set(bars.map(({ name }) => name)).size === 1;
  const all = bars.flatMap(({ values }) => values).filter((value) => y.scale !== "log" || value > 0);
  const [low, high] = extentOf(y.scale === "log" ? all : [0, ...all]) ?? [0, 1];
  const range = y.range ?? (low < high ? ([low, high] as const) : undefined);
  return bars.map((group) => ({
    name: group.name === "" || single ? group.label : `${group.label}, ${group.name}`,
    style: group.style,
    plot: barsPlot({
      categories,
      y: { ...y, ...(range && { range }) },
      groups: [group],
      label: barsLabel(block.first, group.label),
    }),
  }));
}

function matrixDrawings({ first, arms }: Kind<"matrix">): ArmDrawing[] {
  const range = [
    Math.min(...arms.map(({ figure }) => figure.range[0])),
    Math.max(...arms.map(({ figure }) => figure.range[1])),
  ] as const;
  return arms.map(({ style, figure: { rows, columns, values, digits, label } }) => ({
    name: style.label,
    style,
    plot: matrixPlot({
      rows,
      columns,
      values,
      range,
      digits,
      unit: label,
      label: `${first.title}, ${style.label}: ${label}, ${rows.length} rows by ${columns.length} columns.`,
    }),
  }));
}

function galleryDrawing(
  { run, figures }: RunView,
  { anchor, first }: FigureBlock,
  { style, place, figure: { id, rows, cell } }: ArmFigure<Extract<SavedFigure, { kind: "gallery" }>>,
): Drawing {
  const seed = figures?.seed ?? 0;
  return {
    name: style.label,
    style,
    plot: galleryPlot({
      rows,
      cell,
      sheet: `/runs/${run.id}/figures/${seed}/${encodeURIComponent(style.id)}/${id}.png`,
      id: `sheet-${anchor}-${place}`,
      label: `${first.title}, ${style.label}: ${countText(rows.length, "row")} of pictures.`,
    }),
  };
}

function drawingFigure(
  view: RunView,
  block: FigureBlock,
  { name, style, series, plot }: Drawing,
  single: boolean,
): Html {
  const seed = view.figures?.seed ?? 0;
  const file = `${view.run.id} ${block.first.id} ${name} seed ${seed}`;
  const shown = name === "" || single ? block.first.title : name;
  return html`<figure class="chart-figure plot-figure${Number(plot.attributes.width) > GALLERY_HALF ? " plot-wide" : ""}"${series === undefined ? "" : html` data-series="${series}"`}>
<figcaption><span>${style ? html`${raw(markup(swatch(style)))} ` : ""}<span class="${single && name === "" ? "visually-hidden" : ""}">${shown}</span></span><button type="button" class="save needs-script" data-save="${file}">SVG<span class="visually-hidden"> of ${block.first.title}${name === "" ? "" : `, ${name}`}</span></button></figcaption>
${
  block.first.kind === "gallery"
    ? html`<div class="gallery-scroll" role="group" tabindex="0" aria-label="${block.first.title}, ${name}">${raw(markup(plot))}</div>`
    : raw(markup(plot))
}</figure>`;
}

function grid(view: RunView, block: FigureBlock, drawings: readonly Drawing[], single: boolean): Html {
  const kind = block.first.kind;
  const narrow = drawings.every(({ plot }) => Number(plot.attributes.width) <= GALLERY_THIRD);
  return html`<div class="plot-grid plots-of-${kind}${single ? " plots-single" : ""}${narrow ? " plots-narrow" : ""}">${drawings.map(
    (drawing) => drawingFigure(view, block, drawing, single),
  )}</div>`;
}

/** A box for every arm that shows and hides what is drawn of it; works by the style sheet alone. */
function switches({ anchor, first, arms }: FigureBlock): Html {
  const { others } = mainArms(arms);
  if (others.length === 0) return html``;
  const hidden = new Set(others);
  return html`<fieldset class="arm-switches"><legend class="visually-hidden">Arms shown in ${first.title}</legend>
${arms
  .filter(({ place }) => place < SWITCHES)
  .map(
    (arm) =>
      html`<label><input type="checkbox" id="${anchor}-show-${arm.place}" class="switch-${arm.place}${hidden.has(arm) ? " switch-folded" : ""}" autocomplete="off" ${hidden.has(arm) ? "" : raw("checked")}>${raw(markup(swatch(arm.style)))} ${arm.style.label}</label>`,
  )}</fieldset>`;
}

function folded(block: FigureBlock, summary: string, content: Html): Html {
  return html`<details class="unfold" id="${block.anchor}-more"><summary>${summary}<span class="visually-hidden">: ${block.first.title}</span></summary>${content}</details>`;
}

/** Drawings that stand beside each other, one an arm; where there are many arms, ablations are folded away. */
function foldedGrid(view: RunView, block: FigureBlock, drawings: readonly ArmDrawing[]): Html {
  const { main, others } = mainArms(drawings);
  const count = new Set(others.map(({ style }) => style.id)).size;
  return html`${grid(view, block, main, false)}
${count > 0 ? folded(block, countText(count, "ablation"), grid(view, block, others, false)) : ""}`;
}

/** Bars beside each other while they are wide enough to be told apart, else a plot for each arm. */
function bars(view: RunView, block: Kind<"bars">): Html {
  if (block.first.categories.length * block.arms.length > MAX_GROUPED_BARS) {
    return foldedGrid(view, block, separateBars(block));
  }
  const { main, others } = mainArms(block.arms);
  const first = groupedBars({ ...block, arms: main });
  if (others.length === 0) return grid(view, block, first, first.length === 1);
  const all = groupedBars(block);
  const summary = `All ${countText(block.arms.length, "arm")}`;
  return html`${grid(view, block, first, first.length === 1)}
${folded(block, summary, grid(view, block, all, all.length === 1))}`;
}

/** The galleries of the arms that are shown first; the others are a request away, so that their pictures are too. */
function galleries(view: RunView, block: Kind<"gallery">): Html {
  const { main, others } = mainArms(block.arms);
  const all = view.allOf === block.first.id;
  const shown = (all ? block.arms : main).map((arm) => galleryDrawing(view, block, arm));
  const address = `/runs/${view.run.id}?seed=${view.figures?.seed ?? 0}`;
  return html`${grid(view, block, shown, false)}
${
  others.length === 0
    ? ""
    : all
      ? html`<p class="unfold"><a href="${address}#${block.anchor}">Fewer arms</a></p>`
      : html`<p class="unfold"><a href="${address}&amp;all=${block.first.id}#${block.anchor}">${countText(others.length, "further arm")}</a></p>`
}`;
}

function drawings(view: RunView, block: FigureBlock): Html {
  if (isKind(block, "gallery")) return galleries(view, block);
  if (isKind(block, "matrix")) return foldedGrid(view, block, matrixDrawings(block));
  if (isKind(block, "bars")) return bars(view, block);
  if (isKind(block, "points"))
    return html`${switches(block)}${grid(view, block, pointsDrawings(block), true)}`;
  if (!isKind(block, "lines")) return html``;
  const drawn = linesDrawings(block);
  return html`${switches(block)}${grid(view, block, drawn, drawn.length === 1)}`;
}

function figureBlock(view: RunView, block: FigureBlock): Html {
  const { anchor, first } = block;
  return html`<article class="figure-block" id="${anchor}" data-figure="${first.id}" aria-labelledby="${anchor}-title">
<h3 id="${anchor}-title">${first.title}</h3>
<p class="figure-caption">${first.caption}</p>
${drawings(view, block)}
<details class="unfold" id="${anchor}-table"><summary>As a table<span class="visually-hidden">: ${first.title}</span></summary>${figureTables(block)}</details>
</article>`;
}

/** What the arms left to be shown, one seed at a time: a block for every figure, with all arms that have it. */
export function figuresSection(view: RunView): Html {
  const { run, experiment, figures, figureSeeds } = view;
  if (!figures) return html``;
  const blocks = figureBlocks(figures.arms, armStyles(run, experiment));
  return html`<section aria-labelledby="figures-title" data-figures="/runs/${run.id}/figures/${figures.seed}">
<div class="map-bar figures-bar"><h2 id="figures-title">Figures</h2>
${
  figureSeeds.length > 1
    ? html`<nav class="seed-choice" aria-label="Seed of the figures">Seed ${figureSeeds.map(
        (seed) =>
          html`<a href="/runs/${run.id}?seed=${seed}#figures" data-seed ${seed === figures.seed ? raw('aria-current="true"') : ""}>${seed}</a>`,
      )}</nav>`
    : ""
}</div>
${figures.broken.length > 0 ? html`<p class="banner">The figures of ${figures.broken.join(", ")} cannot be read. The server's log says why.</p>` : ""}
${blocks.map((block) => figureBlock(view, block))}
<p class="quiet small figures-data"><a href="/runs/${run.id}/figures/${figures.seed}" download="${run.id}.figures-seed-${figures.seed}.json">All of seed ${figures.seed} as JSON</a></p>
</section>`;
}
