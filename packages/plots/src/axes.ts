import { type ScaleLinear, scaleLinear } from "d3-scale";
import { element, type TreeNode } from "./tree.ts";

/** Smallest and largest finite number, or null where there is none. */
export function extentOf(values: Iterable<number>): [number, number] | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** A domain that is never empty and leaves `share` of its width free on both sides. */
export function paddedDomain([low, high]: readonly [number, number], share: number): [number, number] {
  const span = high - low;
  if (span > 0) return [low - span * share, high + span * share];
  const around = Math.abs(low) > 0 ? Math.abs(low) * 0.1 : 1;
  return [low - around, high + around];
}

export function linear(domain: readonly [number, number], range: readonly [number, number]) {
  return scaleLinear([...domain], [...range]);
}

/** Steps: 250, 4,000, 120k. */
export function stepFormat(scale: ScaleLinear<number, number>, count: number): (value: number) => string {
  const largest = Math.max(...scale.domain().map(Math.abs));
  return largest >= 100_000 ? scale.tickFormat(count, "~s") : (value) => value.toLocaleString("en-GB");
}

/** Whole steps only: a chart of three epochs has no tick at 1.5. */
export function stepTicks(scale: ScaleLinear<number, number>, count: number): number[] {
  return scale.ticks(count).filter((tick) => Number.isInteger(tick));
}

/** Horizontal rules with their values on the left. */
export function leftAxis(
  scale: ScaleLinear<number, number>,
  frame: { readonly left: number; readonly right: number },
  count: number,
  format: (value: number) => string = scale.tickFormat(count),
): TreeNode {
  return element(
    "g",
    { class: "axis axis-y" },
    ...scale.ticks(count).flatMap((tick) => {
      const y = Math.round(scale(tick)) + 0.5;
      return [
        element("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y, y2: y }),
        element("text", { x: frame.left - 8, y: y + 3.5, "text-anchor": "end" }, format(tick)),
      ];
    }),
  );
}

/** A share as per cent, with decimals only where it is small. */
export function shareFormat(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}

/** Base line with ticks and values below it. */
export function bottomAxis(
  scale: ScaleLinear<number, number>,
  frame: { readonly left: number; readonly right: number; readonly y: number },
  ticks: readonly number[],
  format: (value: number) => string,
): TreeNode {
  const y = Math.round(frame.y) + 0.5;
  return element(
    "g",
    { class: "axis axis-x" },
    element("line", { class: "base", x1: frame.left, x2: frame.right, y1: y, y2: y }),
    ...ticks.flatMap((tick) => {
      const x = Math.round(scale(tick)) + 0.5;
      return [
        element("line", { class: "tick", x1: x, x2: x, y1: y, y2: y + 4 }),
        element("text", { x, y: y + 16, "text-anchor": "middle" }, format(tick)),
      ];
    }),
  );
}
