import {
  commonFrame,
  MAP_PANEL,
  mapScales,
  type PlanePoint,
  type PointSets,
  pairedKinds,
} from "@concord/plots";
import { drawingPoint, followPointers } from "./dom.ts";
import type { Tip } from "./tip.ts";

const SVG = "http://www.w3.org/2000/svg";
const REACH = 14;

interface MapData {
  readonly labels?: readonly string[];
  readonly arms: Readonly<Record<string, PointSets>>;
}

interface Hit {
  readonly kind: string;
  readonly index: number;
}

function nearest(
  sets: PointSets,
  place: (point: PlanePoint) => { x: number; y: number },
  pointer: { x: number; y: number },
): Hit | null {
  let best: Hit | null = null;
  let bestDistance = REACH;
  for (const [kind, points] of Object.entries(sets)) {
    for (const [index, point] of points.entries()) {
      const { x, y } = place(point);
      const distance = Math.hypot(x - pointer.x, y - pointer.y);
      if (distance < bestDistance) {
        best = { kind, index };
        bestDistance = distance;
      }
    }
  }
  return best;
}

/** What a point is, under the pointer; the same row is ringed in the maps of all arms. */
export function showMapTips(root: HTMLElement, tip: Tip): void {
  const maps = new Map<string, Promise<MapData | null>>();
  const load = (url: string) => {
    const known = maps.get(url);
    if (known) return known;
    const loading = fetch(url).then(
      (answer) => (answer.ok ? (answer.json() as Promise<MapData>) : null),
      () => null,
    );
    maps.set(url, loading);
    return loading;
  };
  const clear = () => {
    tip.hide(root);
    for (const ring of root.querySelectorAll(".ring")) ring.remove();
  };
  const ring = (data: MapData, { kind, index }: Hit) => {
    const { x, y } = mapScales(commonFrame(data.arms));
    for (const figure of root.querySelectorAll<HTMLElement>("[data-arm]")) {
      const sets = data.arms[figure.dataset.arm ?? ""] ?? {};
      // Rows of other kinds are the same thing only where the kinds make pairs.
      for (const points of pairedKinds(sets) ? Object.values(sets) : [sets[kind] ?? []]) {
        const point = points[index];
        if (!point) continue;
        const circle = document.createElementNS(SVG, "circle");
        circle.setAttribute("class", "ring");
        circle.setAttribute("cx", String(x(point[0])));
        circle.setAttribute("cy", String(y(point[1])));
        circle.setAttribute("r", "6");
        figure.querySelector("svg.map-panel")?.append(circle);
      }
    }
  };
  const point = async (event: PointerEvent) => {
    const panel = event.target instanceof Element ? event.target.closest<SVGSVGElement>(".map-panel") : null;
    const arm = panel?.closest<HTMLElement>("[data-arm]")?.dataset.arm;
    const url = panel?.closest<HTMLElement>("[data-map]")?.dataset.map;
    const data = url ? await load(url) : null;
    clear();
    const sets = arm === undefined ? undefined : data?.arms[arm];
    const pointer = panel && drawingPoint(panel, event);
    if (!data || !sets || !pointer || pointer.x > MAP_PANEL.width) return;
    const { x, y } = mapScales(commonFrame(data.arms));
    const hit = nearest(sets, ([px, py]) => ({ x: x(px), y: y(py) }), pointer);
    if (!hit) return;
    ring(data, hit);
    const head = document.createElement("div");
    head.className = "tip-head";
    head.textContent = `${hit.kind} ${hit.index + 1}`;
    const label = document.createElement("div");
    label.textContent = data.labels?.[hit.index] ?? "";
    tip.show(root, event, head, label);
  };
  followPointers(root, point, clear);
}
