import { CurveCollector, type CurvesData, curveCharts, curvesView, type StepValues } from "@concord/plots";
import { doneShare, type ProgressPoint, progressText } from "../src/runs/progress.ts";
import { type ChartReader, showChartTips } from "./chart-tips.ts";
import { curveReader } from "./curve-reader.ts";
import { build } from "./dom.ts";
import { figureReaders } from "./figure-reader.ts";
import { showMapTips } from "./map-tips.ts";
import { refreshRegions } from "./regions.ts";
import { saveDrawing } from "./save-drawing.ts";
import { Tip } from "./tip.ts";

/** What the server put into the page for this script. */
interface RunData {
  /** Address of the event stream; null for a run that is over. */
  readonly events: string | null;
  readonly curves: CurvesData;
  readonly units: { readonly total: number; readonly done: readonly string[] };
}

type StreamRecord =
  | ({ readonly kind: "step" } & StepValues)
  | ({ readonly kind: "progress" } & ProgressPoint)
  | { readonly kind: "note" };

const REDRAW_MS = 300;
const REFRESH_MS = 1000;
const RETRY_MS = 5000;

function readData(page: Document): RunData | null {
  const text = page.getElementById("run-data")?.textContent;
  return text ? (JSON.parse(text) as RunData) : null;
}

/** Calls `act` soon, and once for all calls that come until then. */
function soon(act: () => void, delay: number): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      act();
    }, delay);
  };
}

/** Keeps the page of a run up to date from its event stream. */
class LiveRun {
  #data: RunData;
  #collector: CurveCollector;
  #source: EventSource | null = null;
  /** The newest progress of each unit. */
  readonly #points = new Map<string, ProgressPoint>();
  readonly #redrawSoon = soon(() => this.#redraw(), REDRAW_MS);
  readonly #refreshSoon = soon(() => void this.#refresh(), REFRESH_MS);

  constructor(data: RunData) {
    this.#data = data;
    this.#collector = CurveCollector.from(data.curves.charts);
  }

  get curves(): CurvesData {
    return { ...this.#data.curves, charts: this.#collector.charts() };
  }

  /** Follows the stream while the page is visible: browsers open only a few connections to one server. */
  start(): void {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.#refresh();
      else this.#close();
    });
    this.#open();
  }

  #open(): void {
    if (this.#source || !this.#data.events) return;
    const source = new EventSource(this.#data.events);
    this.#source = source;
    source.addEventListener("records", (event) => this.#take(JSON.parse(event.data) as StreamRecord[]));
    source.addEventListener("reset", () => {
      this.#collector = new CurveCollector();
    });
    source.addEventListener("state", this.#refreshSoon);
    source.addEventListener("end", () => {
      this.#close();
      void this.#refresh();
    });
    source.addEventListener("error", () => {
      // The browser tries again by itself, unless the server refused the stream.
      if (source.readyState !== EventSource.CLOSED || this.#source !== source) return;
      this.#source = null;
      setTimeout(() => void this.#refresh(), RETRY_MS);
    });
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
  }

  #take(records: readonly StreamRecord[]): void {
    for (const record of records) {
      if (record.kind === "step") this.#collector.add(record);
      else if (record.kind === "progress") this.#showProgress(record);
      else this.#refreshSoon();
    }
    this.#redrawSoon();
  }

  #showProgress(point: ProgressPoint): void {
    const { total, done } = this.#data.units;
    this.#points.set(point.unit, point);
    const progress = [...this.#points.values()];
    const bar = document.querySelector<HTMLProgressElement>("#status progress");
    if (bar) bar.value = 100 * doneShare(total, done, progress);
    const text = document.getElementById("progress-text");
    if (text) text.textContent = progressText(done, progress);
  }

  #redraw(): void {
    const place = document.getElementById("curves");
    if (!place) return;
    const focused = [...place.querySelectorAll(".line-chart")].indexOf(document.activeElement ?? place);
    place.replaceChildren(build(curvesView(this.curves)));
    if (focused >= 0) {
      place.querySelectorAll<SVGSVGElement>(".line-chart")[focused]?.focus({ preventScroll: true });
    }
  }

  /** Takes over what the server knows now. A stream that is not open begins anew from there. */
  async #refresh(): Promise<void> {
    const page = await refreshRegions(location.href);
    const data = page && readData(page);
    if (!data) return;
    this.#data = data;
    if (this.#source) return;
    this.#collector = CurveCollector.from(data.curves.charts);
    this.#redraw();
    if (document.visibilityState === "visible") this.#open();
  }
}

/** What the charts of curves say; a chart is drawn anew when its curves have grown. */
function curveReaders(curves: () => CurvesData): (drawing: SVGSVGElement) => ChartReader | null {
  const readers = new WeakMap<SVGSVGElement, ChartReader>();
  return (drawing) => {
    const chart = curveCharts(curves())[Number(drawing.closest<HTMLElement>("[data-chart]")?.dataset.chart)];
    const reader = readers.get(drawing) ?? (chart ? curveReader(chart) : null);
    if (reader) readers.set(drawing, reader);
    return reader;
  };
}

const data = readData(document);
const curves = document.getElementById("curves");
const figures = document.getElementById("figures");
const maps = document.getElementById("maps");
if (data && curves && figures && maps) {
  const live = new LiveRun(data);
  const tip = new Tip();
  showChartTips(
    curves,
    tip,
    ".line-chart",
    curveReaders(() => live.curves),
  );
  showChartTips(
    figures,
    tip,
    ".lines-plot, .points-plot",
    figureReaders(figures, () => live.curves.arms),
  );
  showMapTips(maps, tip);
  live.start();
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-save]") : null;
  const drawing = button?.closest("figure, .verdict")?.querySelector<SVGSVGElement>("svg.chart");
  if (button && drawing) void saveDrawing(drawing, button.dataset.save ?? "chart");
});
