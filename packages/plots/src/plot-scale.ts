import { superscript } from "./figure-axes.ts";

/** Where values of an axis stand in a drawing, both ways. */
export interface PlotScale {
  /** The pixel of a value: finite for what the axis can show. */
  to(value: number): number;
  /** The value at a pixel. */
  from(pixel: number): number;
  /** Whether the axis can show this value at all: a logarithmic one shows positive values only. */
  shows(value: number): boolean;
  /** First and last pixel, in the direction of growing values. */
  readonly pixels: readonly [number, number];
}

interface ScaleParts {
  readonly log: boolean;
  readonly domain: readonly [number, number];
  readonly pixels: readonly [number, number];
}

/** A scale as the text of an attribute, so that whoever has the drawing can read values from it: `log 0.01 1 42 310`. */
export function scaleText({ log, domain, pixels }: ScaleParts): string {
  return [log ? "log" : "linear", ...domain, ...pixels].join(" ");
}

/** The scale that such a text describes; null where it describes none. */
export function readScale(text: string | null | undefined): PlotScale | null {
  const [kind, ...parts] = (text ?? "").split(" ");
  const [low, high, start, end] = parts.map(Number) as [number, number, number, number];
  const log = kind === "log";
  if (
    (!log && kind !== "linear") ||
    parts.length !== 4 ||
    !parts.every((part) => Number.isFinite(Number(part)))
  )
    return null;
  if (low === high || start === end || (log && Math.min(low, high) <= 0)) return null;
  const bend = log ? Math.log : (value: number) => value;
  const unbend = log ? Math.exp : (value: number) => value;
  const [first, last] = [bend(low), bend(high)];
  return {
    to: (value) => start + ((bend(value) - first) / (last - first)) * (end - start),
    from: (pixel) => unbend(first + ((pixel - start) / (end - start)) * (last - first)),
    shows: (value) => Number.isFinite(value) && (!log || value > 0),
    pixels: [start, end],
  };
}

/** Points whose places differ by less than this, in pixels, are at the same place. */
const SAME = 0.01;

/**
 * The value of a curve at a place of the horizontal axis, as the eye reads it from the drawing: that of the point
 * there, else that of the straight line which crosses it. The first one where a curve comes by more than once.
 *
 * @param points  the curve in its order; what an axis cannot show breaks it
 * @param at      pixel on the horizontal axis
 * @returns null where the curve does not reach
 */
export function curveValue(
  points: readonly (readonly [x: number, y: number])[],
  x: PlotScale,
  y: PlotScale,
  at: number,
): number | null {
  let crossed: number | null = null;
  let before: readonly [x: number, y: number] | null = null;
  for (const [px, py] of points) {
    if (!x.shows(px) || !y.shows(py)) {
      before = null;
      continue;
    }
    const place = [x.to(px), y.to(py)] as const;
    if (Math.abs(place[0] - at) < SAME) return py;
    if (crossed === null && before !== null && (before[0] - at) * (place[0] - at) < 0) {
      const share = (at - before[0]) / (place[0] - before[0]);
      crossed = y.from(before[1] + share * (place[1] - before[1]));
    }
    before = place;
  }
  return crossed;
}

const DIGITS = 4;
const FEW = 1e-4;
const MANY = 1e7;

/**
 * A number with four significant digits, whole ones as they are, and the typographic minus sign; very small and very
 * large ones as 1.2·10⁻⁷.
 */
export function valueText(value: number): string {
  const whole = Number.isInteger(value) && Math.abs(value) < MANY;
  const rounded = whole ? value : Number(value.toPrecision(DIGITS));
  const size = Math.abs(rounded);
  if (size !== 0 && (size < FEW || size >= MANY)) {
    const [factor = "", exponent = ""] = rounded.toExponential().split("e");
    const power = `10${superscript(Number(exponent))}`;
    const text = factor === "1" ? power : factor === "-1" ? `-${power}` : `${factor}·${power}`;
    return text.replace("-", "\u2212");
  }
  const digits = whole ? {} : { minimumSignificantDigits: DIGITS };
  return rounded.toLocaleString("en-GB", { maximumSignificantDigits: 12, ...digits }).replace("-", "\u2212");
}
