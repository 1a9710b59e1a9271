import {
  type ArmStyle,
  curveValue,
  guideSwatch,
  type PlotScale,
  readScale,
  swatch,
  valueText,
} from "@concord/plots";
import {
  type ArmSeries,
  linesOfDrawing,
  pointsLabel,
  type SeriesFigure,
  seriesNames,
} from "../src/runs/figure-series.ts";
import type { ChartReader, Reading, Stop } from "./chart-tips.ts";

/** Points nearer to each other than this, in pixels, are one place to stop at. */
const APART = 0.5;

interface Scales {
  readonly x: PlotScale;
  readonly y: PlotScale;
}

type IsOn = (place: number) => boolean;

function frame({ x, y }: Scales) {
  const [left, right] = x.pixels;
  return { left, right, top: Math.min(...y.pixels), bottom: Math.max(...y.pixels) };
}

const within = ([low, high]: readonly [number, number], pixel: number) =>
  pixel >= Math.min(low, high) - APART && pixel <= Math.max(low, high) + APART;

/** A figure with lines or points, as the server hands it out. */
interface PlaneFigure extends SeriesFigure {
  readonly id: string;
  readonly kind: "lines" | "points";
  readonly x: { readonly label: string };
  readonly y: { readonly label: string };
}

interface ArmFigures {
  readonly arm: string;
  readonly figures: readonly (
    | PlaneFigure
    | { readonly id: string; readonly kind: "bars" | "matrix" | "gallery" }
  )[];
}

/** `recall, %` as what is measured and the unit that follows its values. */
function measure(axis: { readonly label: string } | undefined): {
  readonly name: string;
  readonly unit: string;
} {
  const [, name, unit] = /^(.+), (\S{1,4})$/.exec(axis?.label ?? "") ?? [];
  return { name: name ?? axis?.label ?? "", unit: unit === undefined ? "" : `\u00a0${unit}` };
}

function linesReader(
  arms: readonly ArmSeries<PlaneFigure>[],
  isOn: IsOn,
  name: string,
  scales: Scales,
): ChartReader {
  const { x, y } = scales;
  const { guides, lines: all } = linesOfDrawing(arms, name);
  const lines = [...all.filter(({ place }) => isOn(place)), ...guides];
  const places = lines
    .flatMap(({ points }) => points.filter((point) => x.shows(point[0]) && y.shows(point[1])))
    .map(([value]) => ({ value, pixel: x.to(value) }))
    .filter(({ pixel }) => within(x.pixels, pixel))
    .sort((a, b) => a.pixel - b.pixel);
  const stops: typeof places = [];
  for (const place of places) {
    if (place.pixel - (stops.at(-1)?.pixel ?? Number.NEGATIVE_INFINITY) >= APART) stops.push(place);
  }
  const [along, up] = [measure(arms[0]?.figure.x), measure(arms[0]?.figure.y)];
  return {
    ...frame(scales),
    stops: stops.map(({ pixel }) => ({ x: pixel })),
    read(stop): Reading {
      const { value = 0, pixel = 0 } = stops[stop] ?? {};
      return {
        head: `${along.name} ${valueText(value)}${along.unit}`,
        rows: lines.flatMap(({ label, style, points }) => {
          const found = curveValue(points, x, y, pixel);
          return found === null
            ? []
            : [
                {
                  swatch: style ? swatch(style) : guideSwatch(),
                  label,
                  value: `${valueText(found)}${up.unit}`,
                },
              ];
        }),
      };
    },
  };
}

function pointsReader(arms: readonly ArmSeries<PlaneFigure>[], isOn: IsOn, scales: Scales): ChartReader {
  const { x, y } = scales;
  const names = seriesNames(arms.map(({ figure }) => figure));
  const places = arms
    .filter(({ place }) => isOn(place))
    .flatMap(({ style, figure }) =>
      figure.series.flatMap(({ label, labels, points }) =>
        points.map(([px, py], index) => ({
          stop: { x: x.to(px), y: y.to(py) } satisfies Stop,
          drawn: x.shows(px) && y.shows(py),
          style,
          values: [px, py] as const,
          head: [pointsLabel(style, label, names), labels?.[index] ?? ""]
            .filter((text) => text !== "")
            .join(", "),
        })),
      ),
    )
    .filter(({ drawn, stop }) => drawn && within(x.pixels, stop.x) && within(y.pixels, stop.y))
    .sort((a, b) => a.stop.x - b.stop.x || a.stop.y - b.stop.y);
  const axes = [measure(arms[0]?.figure.x), measure(arms[0]?.figure.y)];
  return {
    ...frame(scales),
    stops: places.map(({ stop }) => stop),
    read(stop): Reading {
      const place = places[stop];
      return {
        head: place?.head ?? "",
        rows: axes.flatMap((axis, index) =>
          place ? [{ label: axis.name, value: `${valueText(place.values[index] ?? 0)}${axis.unit}` }] : [],
        ),
      };
    },
  };
}

async function fetchArms(address: string): Promise<readonly ArmFigures[]> {
  const answer = await fetch(address).catch(() => null);
  return answer?.ok ? ((await answer.json()) as { arms: readonly ArmFigures[] }).arms : [];
}

/** Whether an arm is shown in a block of figures: not where its box is empty. */
const switchesOf =
  (block: HTMLElement): IsOn =>
  (place) =>
    block.querySelector<HTMLInputElement>(`.switch-${place}`)?.checked !== false;

/**
 * What the drawings of figures with lines or points say of the arms that are shown. Their numbers are fetched when the
 * first is asked for.
 */
export function figureReaders(
  root: HTMLElement,
  styles: () => readonly ArmStyle[],
): (drawing: SVGSVGElement) => Promise<ChartReader | null> {
  /** By section: the server draws a new one when further arms have figures. */
  const fetched = new WeakMap<HTMLElement, Promise<readonly ArmFigures[]>>();
  let readers = new WeakMap<SVGSVGElement, ChartReader>();
  root.addEventListener("change", () => {
    readers = new WeakMap();
  });
  return async (drawing) => {
    const known = readers.get(drawing);
    if (known) return known;
    const section = drawing.closest<HTMLElement>("[data-figures]");
    const block = drawing.closest<HTMLElement>("[data-figure]");
    const x = readScale(drawing.dataset.x);
    const y = readScale(drawing.dataset.y);
    if (!section || !block || !x || !y) return null;
    const loading = fetched.get(section) ?? fetchArms(section.dataset.figures ?? "");
    fetched.set(section, loading);
    const arms = await loading;
    const withKind = (kind: PlaneFigure["kind"]) =>
      styles().flatMap((style, place) =>
        (arms.find(({ arm }) => arm === style.id)?.figures ?? [])
          .filter((one): one is PlaneFigure => one.kind === kind && one.id === block.dataset.figure)
          .map((figure) => ({ style, place, figure })),
      );
    const isOn = switchesOf(block);
    const name = drawing.closest<HTMLElement>("[data-series]")?.dataset.series ?? "";
    const reader = drawing.matches(".lines-plot")
      ? linesReader(withKind("lines"), isOn, name, { x, y })
      : pointsReader(withKind("points"), isOn, { x, y });
    readers.set(drawing, reader);
    return reader;
  };
}
