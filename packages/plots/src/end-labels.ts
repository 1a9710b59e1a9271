import { CHARACTER, coordinate, type PlotArea, shortened, wrapped } from "./figure-axes.ts";
import { element, type TreeNode } from "./tree.ts";

const LINE = 12.5;
const GAP = 2.5;
const SWATCH = 18;
/** Between the plot and the swatches; leaders cross it. */
const LEADERS = 14;
const CHARACTERS = 19;
const LINES = 2;
/** Names beside a plot may stand out above and below it by so much. */
const ABOVE = 6;
const BELOW = 8;
/** Names that are too many for the side of a plot stand below its axis, in columns over its whole width. */
const COLUMNS = 3;
const COLUMN = 146;
const COLUMN_CHARACTERS = Math.floor((COLUMN - SWATCH - 11) / CHARACTER);
const ROW = 15;
/** Numbers and label of the axis stand between a plot and the names below it. */
const UNDER_AXIS = 40;

/** A name beside a plot, with the look of what it names. */
export interface EndLabel {
  readonly text: string;
  /** Where it would stand best; null for names that only keep their order. */
  readonly y: number | null;
  /** Draws the look in a box of 18 pixels width whose middle is at this height. */
  readonly swatch: (x: number, y: number) => TreeNode;
  /** Where the leader begins, and the attributes of its stroke. */
  readonly leader?: {
    readonly x: number;
    readonly y: number;
    readonly stroke: Readonly<Record<string, string>>;
  };
  readonly className: string;
}

/** Width that the labels take on the right of a plot. */
export function endLabelsWidth(texts: readonly string[]): number {
  const longest = Math.max(
    0,
    ...texts.flatMap((text) => wrapped(text, CHARACTERS, LINES).map((line) => line.length)),
  );
  return texts.length === 0 ? 10 : LEADERS + SWATCH + 6 + longest * CHARACTER;
}

/** Whether all of these names find room on the right of a plot, none over another. */
export function fitBeside(
  texts: readonly string[],
  { top, bottom }: Pick<PlotArea, "top" | "bottom">,
): boolean {
  const heights = texts.map((text) => wrapped(text, CHARACTERS, LINES).length * LINE + GAP);
  return heights.reduce((sum, height) => sum + height, 0) <= bottom - top + ABOVE + BELOW;
}

/** Height that names below a plot add to it. */
export function heightBelow(texts: readonly string[]): number {
  return Math.ceil(texts.length / COLUMNS) * ROW + ROW / 2;
}

/** Names below a plot, in rows of a few, in their order. */
function drawBelowPlot(labels: readonly EndLabel[], top: number): readonly TreeNode[] {
  return labels.map(({ text, className, swatch }, index) => {
    const x = (index % COLUMNS) * COLUMN;
    const y = top + (Math.floor(index / COLUMNS) + 0.75) * ROW;
    return element(
      "g",
      { class: `end-label ${className}` },
      swatch(x, y),
      element("text", { class: "end-text", x: x + SWATCH + 5, y: y + 4 }, shortened(text, COLUMN_CHARACTERS)),
    );
  });
}

/**
 * Places for boxes of these heights, in their order, none over another, with the least sum of squared distances to
 * where they would be best; from `low` to `high` as far as there is room.
 *
 * @param wanted  middle and height of every box, sorted by middle
 * @returns the middles
 */
export function spreadBoxes(
  wanted: readonly { readonly y: number; readonly height: number }[],
  low: number,
  high: number,
): readonly number[] {
  const offsets: number[] = [];
  let total = 0;
  for (const { height } of wanted) {
    offsets.push(total + height / 2);
    total += height;
  }
  // Isotonic regression by pooling neighbours that violate the order.
  const pools: { sum: number; count: number }[] = [];
  for (const [index, { y }] of wanted.entries()) {
    pools.push({ sum: y - (offsets[index] as number), count: 1 });
    for (;;) {
      const [before, last] = pools.slice(-2);
      if (!before || !last || before.sum / before.count <= last.sum / last.count) break;
      pools.splice(-2, 2, { sum: before.sum + last.sum, count: before.count + last.count });
    }
  }
  const most = Math.max(low, high - total);
  const starts = pools.flatMap(({ sum, count }) =>
    Array<number>(count).fill(Math.min(Math.max(sum / count, low), most)),
  );
  return starts.map((start, index) => start + (offsets[index] as number));
}

/**
 * Names on the right of a plot, as near as possible to where their lines end, joined to them by thin leaders; those
 * that do not find room there stand below the plot instead, all of them.
 *
 * @param under  pixels below the plot that the axis takes
 */
export function drawEndLabels(
  labels: readonly EndLabel[],
  area: PlotArea,
  under = UNDER_AXIS,
): readonly TreeNode[] {
  const texts = labels.map(({ text }) => text);
  if (!fitBeside(texts, area)) return drawBelowPlot(labels, area.bottom + under);
  const boxes = labels.map((label, index) => {
    const lines = wrapped(label.text, CHARACTERS, LINES);
    return {
      label,
      lines,
      y: label.y ?? area.top + index,
      height: lines.length * LINE + GAP,
    };
  });
  if (labels.every(({ y }) => y !== null)) boxes.sort((a, b) => a.y - b.y);
  const middles = spreadBoxes(boxes, area.top - ABOVE, area.bottom + BELOW);
  return boxes.map(({ label, lines }, index) => {
    const y = middles[index] as number;
    const x = area.right + LEADERS;
    const first = y - ((lines.length - 1) * LINE) / 2 + 4;
    const { leader } = label;
    const bend = area.right + 2;
    return element(
      "g",
      { class: `end-label ${label.className}` },
      ...(leader
        ? [
            element("path", {
              ...leader.stroke,
              class: `${leader.stroke.class ?? ""} leader`,
              d: `M${coordinate(leader.x)} ${coordinate(leader.y)}H${coordinate(Math.max(bend, leader.x))}L${coordinate(x)} ${coordinate(y)}`,
            }),
          ]
        : []),
      label.swatch(x, y),
      element(
        "text",
        { class: "end-text", x: x + SWATCH + 5, y: first },
        ...lines.map((line, at) => element("tspan", { x: x + SWATCH + 5, dy: at === 0 ? 0 : LINE }, line)),
      ),
    );
  });
}
