import type { TreeNode } from "@concord/plots";
import { build, drawingPoint, followPointers, windowPoint } from "./dom.ts";
import type { Tip } from "./tip.ts";

const SVG = "http://www.w3.org/2000/svg";
/** A point is under the pointer within so many units of the drawing. */
const REACH = 14;
const RING = 6;
/** Page keys go over a chart in so many steps. */
const PAGES = 10;

/** A place of a drawing at which there is something to read: all along a vertical line, or a single point. */
export interface Stop {
  readonly x: number;
  /** Left out for a line. */
  readonly y?: number;
}

/** What there is to read. */
export interface Reading {
  readonly head: string;
  readonly rows: readonly {
    /** Look of what the row is about, where that has one. */
    readonly swatch?: TreeNode;
    readonly label: string;
    readonly value: string;
  }[];
}

/** A drawing with what it says. */
export interface ChartReader {
  /** From left to right. */
  readonly stops: readonly Stop[];
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  read(stop: number): Reading;
}

/** The stop that a pointer means: the nearest in the direction that stops differ in. */
function stopAt(reader: ChartReader, { x, y }: { x: number; y: number }): number | null {
  let best: number | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, stop] of reader.stops.entries()) {
    const inside = stop.y !== undefined || (x >= reader.left && x <= reader.right);
    const distance = stop.y === undefined ? Math.abs(stop.x - x) : Math.hypot(stop.x - x, stop.y - y);
    if (inside && distance < least && (stop.y === undefined || distance < REACH)) {
      best = index;
      least = distance;
    }
  }
  return best;
}

function mark(drawing: SVGSVGElement, { top, bottom }: ChartReader, { x, y }: Stop): void {
  const made = document.createElementNS(SVG, y === undefined ? "line" : "circle");
  const attributes =
    y === undefined
      ? { class: "hover-line", x1: x, x2: x, y1: top, y2: bottom }
      : { class: "ring", cx: x, cy: y, r: RING };
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  drawing.append(made);
}

function lines({ head, rows }: Reading): HTMLElement[] {
  const title = document.createElement("div");
  title.className = "tip-head";
  title.textContent = head;
  return [
    title,
    ...rows.map(({ swatch, label, value }) => {
      const line = document.createElement("div");
      line.className = "tip-row";
      const number = document.createElement("span");
      number.className = "tip-value";
      number.textContent = value;
      line.append(...(swatch ? [build(swatch)] : []), label, number);
      return line;
    }),
  ];
}

/** Where the keys lead from a stop, or from none; null for other keys. */
function target(key: string, at: number | null, count: number): number | null {
  const page = Math.max(1, Math.round(count / PAGES));
  const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: page, PageUp: -page }[key];
  if (key === "Home" || (at === null && step !== undefined && step > 0)) return 0;
  if (key === "End" || (at === null && step !== undefined)) return count - 1;
  return step === undefined || at === null ? null : Math.min(Math.max(at + step, 0), count - 1);
}

/**
 * Shows what charts say: under a mouse, under a finger (until another place is touched), and by the arrow keys, Home and
 * End on a chart that has the focus; the keys' readings are spoken too.
 *
 * @param selector  the drawings
 * @param readerOf  what a drawing says now; null while there is nothing to read
 */
export function showChartTips(
  root: HTMLElement,
  tip: Tip,
  selector: string,
  readerOf: (drawing: SVGSVGElement) => ChartReader | null | Promise<ChartReader | null>,
): void {
  let shown: { readonly drawing: SVGSVGElement; readonly stop: number; readonly byKeys: boolean } | null =
    null;
  /** Readers may be on their way while the pointer goes on: only the newest request is answered. */
  let newest: Event | null = null;
  const clear = () => {
    newest = null;
    tip.hide(root);
    shown = null;
    for (const made of root.querySelectorAll(".hover-line, .ring")) made.remove();
  };
  const drawingOf = (event: Event) =>
    event.target instanceof Element ? event.target.closest<SVGSVGElement>(selector) : null;

  async function point(event: PointerEvent): Promise<void> {
    newest = event;
    const drawing = drawingOf(event);
    const reader = drawing && (await readerOf(drawing));
    if (newest !== event) return;
    const pointer = drawing && drawingPoint(drawing, event);
    const stop = reader && pointer ? stopAt(reader, pointer) : null;
    clear();
    const place = stop === null ? undefined : reader?.stops[stop];
    if (!drawing || !reader || stop === null || !place) return;
    mark(drawing, reader, place);
    tip.show(root, event, ...lines(reader.read(stop)));
    shown = { drawing, stop, byKeys: false };
  }

  async function press(event: KeyboardEvent): Promise<void> {
    const drawing = drawingOf(event);
    if (!drawing || event.target !== drawing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") clear();
    if (target(event.key, 0, 1) === null) return;
    event.preventDefault();
    newest = event;
    const reader = await readerOf(drawing);
    if (newest !== event || !reader) return;
    const stop = target(event.key, shown?.drawing === drawing ? shown.stop : null, reader.stops.length);
    const place = stop === null ? undefined : reader.stops[stop];
    if (stop === null || !place) return;
    clear();
    mark(drawing, reader, place);
    const reading = reader.read(stop);
    const beside = windowPoint(drawing, { x: place.x, y: place.y ?? reader.top });
    if (beside) tip.show(root, { clientX: beside.x, clientY: beside.y }, ...lines(reading));
    tip.say([reading.head, ...reading.rows.map(({ label, value }) => `${label}: ${value}`)].join(", "));
    shown = { drawing, stop, byKeys: true };
  }

  followPointers(root, point, clear);
  root.addEventListener("keydown", press);
  // A finger moves the focus too, after it has touched.
  root.addEventListener("focusout", () => {
    if (shown?.byKeys) clear();
  });
  root.addEventListener("change", clear);
}
