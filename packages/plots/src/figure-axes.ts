import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from "d3-scale";
import { extentOf, paddedDomain } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

/** One direction of a plot, as an experiment describes it. */
export interface FigureAxisSpec {
  readonly label: string;
  /** Default linear. */
  readonly scale?: "linear" | "log";
  /** Left out, what the values span. */
  readonly range?: readonly [number, number];
}

export interface Tick {
  readonly value: number;
  readonly text: string;
}

/** An axis with its place in a drawing. */
export interface PlacedAxis {
  readonly label: string;
  readonly scale: ScaleContinuousNumeric<number, number>;
  readonly ticks: readonly Tick[];
}

/** The part of a drawing between the axes. */
export interface PlotArea {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Pixels that a character of the charts' type takes on average. */
export const CHARACTER = 5.9;

/** Logarithmic scales end here: beyond, numbers lose their digits or are infinite. */
const LEAST = 1e-300;
const MOST = 1e300;

export const coordinate = (value: number): string => String(Math.round(value * 10) / 10);

/** The text, or its beginning and an ellipsis. */
export function shortened(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most
    ? text
    : `${characters
        .slice(0, Math.max(1, most - 1))
        .join("")
        .trimEnd()}…`;
}

/** The text in lines of at most so many characters, broken between words where that is possible. */
export function wrapped(text: string, characters: number, lines: number): readonly string[] {
  const done: string[] = [];
  let rest = text.trim();
  while ([...rest].length > characters && done.length < lines - 1) {
    const head = [...rest].slice(0, characters + 1).join("");
    const cut = head.lastIndexOf(" ") > 0 ? head.lastIndexOf(" ") : characters;
    done.push([...rest].slice(0, cut).join("").trimEnd());
    rest = [...rest].slice(cut).join("").trimStart();
  }
  return [...done, shortened(rest, characters)];
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
/** 3 as ³, -7 as ⁻⁷. */
export function superscript(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[Number(digit)]).join("");
  return `${exponent < 0 ? "⁻" : ""}${digits}`;
}

/** 0.01, 1, 2,000; where a value of the axis is below 10⁻⁴ or above 10⁵, all as 10⁻⁷, 2·10⁶. */
function powerText(value: number, all: readonly number[]): string {
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  if (all.every((one) => one >= 0.99e-4 && one <= 1.01e5))
    return value.toLocaleString("en-GB", { maximumSignificantDigits: 6 });
  const factor = Number((value / 10 ** exponent).toPrecision(3));
  return `${factor === 1 ? "" : `${factor}·`}10${superscript(exponent)}`;
}

/** Ticks of a logarithmic scale: decades where there are several, else 1-2-5, else as a linear scale would have them. */
export function logTicks([low, high]: readonly [number, number], count: number): readonly number[] {
  const first = Math.floor(Math.log10(low) + 1e-9);
  const last = Math.ceil(Math.log10(high) - 1e-9);
  const inside = (value: number) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  const at = (factors: readonly number[]) =>
    Array.from({ length: last - first + 1 }, (_, step) =>
      factors.map((factor) => Number((factor * 10 ** (first + step)).toPrecision(12))),
    )
      .flat()
      .filter(inside);
  const decades = at([1]);
  if (decades.length > count) {
    const every = Math.ceil(decades.length / count);
    // Counted from 10⁰, so that round exponents stay.
    return decades.filter((value) => Math.round(Math.log10(value)) % every === 0);
  }
  if (decades.length >= 3) return decades;
  const finer = [at([1, 3]), at([1, 2, 5])].findLast(
    (ticks) => ticks.length <= count + 1 && ticks.length >= 3,
  );
  if (finer) return finer;
  return decades.length >= 2 ? decades : scaleLinear([low, high], [0, 1]).ticks(Math.min(count, 4));
}

/** The range of an axis: its own, or what is drawn along it, with some room at both ends. */
function domainOf(spec: FigureAxisSpec, drawn: Iterable<number>, zero: boolean): readonly [number, number] {
  if (spec.scale === "log") {
    const [low, high] = extentOf([...drawn].filter((value) => value > 0)) ?? [1, 10];
    const around = low < high ? 10 ** (0.04 * (Math.log10(high) - Math.log10(low))) : 2;
    const [first, last] = spec.range ?? [low / around, high * around];
    return [Math.max(first, LEAST), Math.min(Math.max(last, 2 * LEAST), MOST)];
  }
  if (spec.range) return spec.range;
  const extent = extentOf(zero ? [...drawn, 0] : drawn) ?? [0, 1];
  const [low, high] = paddedDomain(extent, 0.04);
  // Bars stand on the axis.
  return [zero && extent[0] === 0 ? 0 : low, zero && extent[1] === 0 && extent[0] < 0 ? 0 : high];
}

/** The axis with the range that spans all of this, for several plots on one scale. */
export function spanning(spec: FigureAxisSpec, drawn: Iterable<number>, zero = false): FigureAxisSpec {
  return { ...spec, range: domainOf(spec, drawn, zero) };
}

/**
 * Lays an axis over a stretch of pixels.
 *
 * @param drawn  what is drawn along it; those that a logarithmic scale cannot show do not count
 * @param count   about how many ticks
 * @param zero    whether 0 must be on it, as for bars
 */
export function placeAxis(
  spec: FigureAxisSpec,
  drawn: Iterable<number>,
  pixels: readonly [number, number],
  count: number,
  zero = false,
): PlacedAxis {
  const { label } = spec;
  const domain = domainOf(spec, drawn, zero);
  if (spec.scale === "log") {
    const scale = scaleLog([...domain], [...pixels]);
    const values = logTicks(domain, count);
    return { label, scale, ticks: values.map((value) => ({ value, text: powerText(value, values) })) };
  }
  const scale = scaleLinear([...domain], [...pixels]);
  const format = scale.tickFormat(count);
  return { label, scale, ticks: scale.ticks(count).map((value) => ({ value, text: format(value) })) };
}

/** Pixels that the numbers on the left of a plot take. */
export function ticksWidth(ticks: readonly Tick[]): number {
  return Math.max(26, 12 + CHARACTER * Math.max(0, ...ticks.map(({ text }) => [...text].length)));
}

/** Whether a value is on the axis: inside of its range and, on a logarithmic scale, positive. */
export function onAxis({ scale }: PlacedAxis, value: number): boolean {
  const [low, high] = scale.domain() as [number, number];
  return value >= low && value <= high;
}

/** Rules and numbers on the left, their label above them. */
export function drawLeft({ label, scale, ticks }: PlacedAxis, { left, right, top }: PlotArea): TreeNode {
  return element(
    "g",
    { class: "axis axis-y" },
    ...ticks.flatMap(({ value, text }) => {
      const y = Math.round(scale(value)) + 0.5;
      return [
        element("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
        element("text", { x: left - 7, y: y + 3.5, "text-anchor": "end" }, text),
      ];
    }),
    element(
      "text",
      { class: "axis-label", x: 0, y: top - 12 },
      shortened(label, Math.floor(right / CHARACTER)),
    ),
  );
}

/** Base line with numbers below it, their label at its end. Every tick whose number would touch the last one has none. */
export function drawBelow(
  { label, scale, ticks }: PlacedAxis,
  { left, right, top, bottom }: PlotArea,
  rules = false,
): TreeNode {
  const y = Math.round(bottom) + 0.5;
  let free = Number.NEGATIVE_INFINITY;
  const shown = ticks.map(({ value, text }) => {
    const x = Math.round(scale(value)) + 0.5;
    const half = ([...text].length * CHARACTER) / 2;
    const fits = x - half > free;
    if (fits) free = x + half + 6;
    return { x, text: fits ? text : "" };
  });
  return element(
    "g",
    { class: "axis axis-x" },
    ...(rules
      ? shown.map(({ x }) => element("line", { class: "grid", x1: x, x2: x, y1: top, y2: bottom }))
      : []),
    element("line", { class: "base", x1: left, x2: right, y1: y, y2: y }),
    ...shown.flatMap(({ x, text }) => [
      element("line", { class: "tick", x1: x, x2: x, y1: y, y2: y + 4 }),
      ...(text === "" ? [] : [element("text", { x, y: y + 16, "text-anchor": "middle" }, text)]),
    ]),
    element(
      "text",
      { class: "axis-label", x: right, y: y + 31, "text-anchor": "end" },
      shortened(label, Math.floor((right - left) / CHARACTER)),
    ),
  );
}

/** What is drawn between the axes, cut off at them. */
export function clipped({ left, right, top, bottom }: PlotArea, children: readonly TreeNode[]): TreeNode {
  const [width, height] = [right - left, bottom - top];
  // A nested drawing cuts off what is outside of it, without an id that would have to be unique on the page.
  return element(
    "svg",
    { class: "clip", x: left, y: top, width, height, viewBox: `${left} ${top} ${width} ${height}` },
    ...children,
  );
}
