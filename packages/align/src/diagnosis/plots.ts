import { foldIn } from "@concord/tensor";
import type { CollectedSet } from "./collect.ts";
import type { DiagnosisPlots, Histogram } from "./finding.ts";
import { dotOfRows, histograms, type PairSimilarities } from "./findings/misaligned-pairs.ts";
import { choose, stack, takeRows, type UnitRows } from "./sample.ts";
import { onPlane, principalPlane, type Spectrum } from "./spectrum.ts";
import type { DiagnosisView } from "./view.ts";

/** Points of each set on a map: more become a surface. */
const MAP_POINTS = 400;
/** Labels that get a mark of their own on the map of one set. */
const MAP_LABELS = 3;
const RANDOM_PAIRS = 20_000;
const SHOWN_DIMENSIONS = 64;

type PlaneMap = DiagnosisPlots["map"];

function mapOfTwo(view: DiagnosisView, b: CollectedSet): PlaneMap {
  const { a, pairs } = view;
  const key = foldIn(view.key, 81);
  let [left, right]: [UnitRows, UnitRows] = [a.sample, b.sample];
  if (pairs) {
    const chosen = choose(pairs.a.length, MAP_POINTS, key);
    left = takeRows(
      left,
      Array.from(chosen, (i) => pairs.a[i] as number),
    );
    right = takeRows(
      right,
      Array.from(chosen, (i) => pairs.b[i] as number),
    );
  } else {
    left = takeRows(left, choose(left.shape[0] as number, MAP_POINTS, foldIn(key, 0)));
    right = takeRows(right, choose(right.shape[0] as number, MAP_POINTS, foldIn(key, 1)));
  }
  const plane = principalPlane(stack(left, right));
  return {
    sets: [
      { label: a.name, points: onPlane(left, plane) },
      { label: b.name, points: onPlane(right, plane) },
    ],
    paired: pairs !== null,
    shares: plane.shares,
  };
}

function mapOfOne({ a, labels, key }: DiagnosisView): PlaneMap {
  const chosen = choose(a.sample.shape[0] as number, 2 * MAP_POINTS, foldIn(key, 82));
  const rows = takeRows(a.sample, chosen);
  const plane = principalPlane(rows);
  const points = onPlane(rows, plane);
  const base = { paired: false, shares: plane.shares };
  if (!labels) return { ...base, sets: [{ label: a.name, points }] };
  const codes = Array.from(chosen, (i) => labels.a[i] as number);
  const sizes = new Map<number, number>();
  for (const code of codes) if (code >= 0) sizes.set(code, (sizes.get(code) ?? 0) + 1);
  const shown = [...sizes.keys()]
    .sort((x, y) => (sizes.get(y) ?? 0) - (sizes.get(x) ?? 0) || x - y)
    .slice(0, MAP_LABELS);
  const of = (belongs: (code: number) => boolean) => points.filter((_, i) => belongs(codes[i] as number));
  const sets = shown.map((label) => ({
    label: labels.names[label] as string,
    points: of((code) => code === label),
  }));
  const others = of((code) => !shown.includes(code));
  if (others.length > 0) sets.push({ label: "all others", points: others });
  return { ...base, sets };
}

/** Cosines of random pairs of different rows, and of those with one label. */
function similaritiesOfOne({ a, labels, key }: DiagnosisView): DiagnosisPlots["similarities"] {
  const n = a.sample.shape[0] as number;
  const order = choose(n, 4000, foldIn(key, 83));
  const random: number[] = [];
  const same: number[] = [];
  const m = order.length;
  for (let step = 1; random.length < RANDOM_PAIRS && step < m; step++) {
    // Odd strides spread the pairs over the whole list, whatever its order.
    const stride = 1 + ((step * 997) % (m - 1));
    for (let i = 0; i < m && random.length < RANDOM_PAIRS; i++) {
      const [x, y] = [order[i] as number, order[(i + stride) % m] as number];
      if (x === y) continue;
      const cosine = dotOfRows(a.sample, x, a.sample, y);
      const label = labels?.a[x] ?? -1;
      if (label >= 0 && label === labels?.a[y]) same.push(cosine);
      random.push(cosine);
    }
  }
  const lists = [Float64Array.from(random), ...(same.length > 20 ? [Float64Array.from(same)] : [])];
  const names = ["random rows", "rows with one label"];
  return histograms(lists).map((histogram, i) => ({ label: names[i] as string, histogram }));
}

function gapByDimension(a: CollectedSet, b: CollectedSet): DiagnosisPlots["gapByDimension"] {
  const squares = a.mean.map((value, k) => (value - (b.mean[k] as number)) ** 2);
  const total = squares.reduce((sum, value) => sum + value, 0);
  return Array.from(squares, (square, dimension) => ({
    dimension,
    share: total > 0 ? square / total : 0,
  }))
    .sort((x, y) => y.share - x.share || x.dimension - y.dimension)
    .slice(0, SHOWN_DIMENSIONS);
}

export interface PlotParts {
  readonly similarities: PairSimilarities | null;
  readonly spectra: readonly { readonly set: CollectedSet; readonly spectrum: Spectrum }[];
  readonly hubs: readonly { readonly label: string; readonly occurrences: Float64Array }[];
}

/** The data of all plots of a report. */
export function plotsOf(view: DiagnosisView, parts: PlotParts): DiagnosisPlots {
  const { a, b } = view;
  const { similarities } = parts;
  return {
    map: b ? mapOfTwo(view, b) : mapOfOne(view),
    similarities: similarities
      ? (histograms([similarities.matched, similarities.unmatched]) as [Histogram, Histogram]).map(
          (histogram, i) => ({ label: i === 0 ? "matched pairs" : "unmatched pairs", histogram }),
        )
      : b
        ? []
        : similaritiesOfOne(view),
    spectrum: parts.spectra.map(({ set, spectrum }) => ({
      label: set.name,
      shares: Array.from(spectrum.eigenvalues, (value) => (spectrum.total > 0 ? value / spectrum.total : 0)),
    })),
    gapByDimension: b ? gapByDimension(a, b) : null,
    hubness: parts.hubs.map(({ label, occurrences }) => ({ label, occurrences: Array.from(occurrences) })),
  };
}
