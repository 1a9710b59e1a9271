import type { ArmStyle, Point } from "@concord/plots";

// What the server draws of figures with series and what the browser reads from the drawings: plain shapes, so that
// neither needs the other's packages.

interface FigureSeries {
  readonly label: string;
  readonly points: readonly Point[];
  readonly guide?: boolean;
  /** One for each point. */
  readonly labels?: readonly string[];
}

/** A figure with lines or points, as far as its series go. */
export interface SeriesFigure {
  readonly series: readonly FigureSeries[];
}

/** Such a figure as one arm left it, with the arm's place among those of the run. */
export interface ArmSeries<F extends SeriesFigure = SeriesFigure> {
  readonly style: ArmStyle;
  readonly place: number;
  readonly figure: F;
}

/** The names of series that occur, each once. */
export function seriesNames(
  figures: readonly { readonly series: readonly { readonly label: string }[] }[],
): readonly string[] {
  return [...new Set(figures.flatMap(({ series }) => series.map(({ label }) => label)))];
}

/** A curve of a drawing. */
export interface DrawnLine {
  readonly label: string;
  /** Look of the arm; null for a guide. */
  readonly style: ArmStyle | null;
  readonly points: readonly Point[];
}

/** The curves of the drawing that shows the series of one name: those of the arms, and the guides, which are in all. */
export function linesOfDrawing(
  arms: readonly ArmSeries[],
  name: string,
): { readonly guides: readonly DrawnLine[]; readonly lines: readonly (DrawnLine & { place: number })[] } {
  const guides = new Map<string, DrawnLine>();
  for (const { figure } of arms) {
    for (const { label, points, guide } of figure.series) {
      if (guide === true) guides.set(label, { label, style: null, points });
    }
  }
  return {
    guides: [...guides.values()],
    lines: arms.flatMap(({ style, place, figure }) =>
      figure.series
        .filter(({ label, guide }) => guide !== true && label === name)
        .map(({ points }) => ({ label: style.label, style, place, points })),
    ),
  };
}

/** What points of an arm are called, beside all names of series of the figure. */
export function pointsLabel(style: ArmStyle, name: string, names: readonly string[]): string {
  return name === "" || names.length === 1 ? style.label : `${style.label}, ${name}`;
}
