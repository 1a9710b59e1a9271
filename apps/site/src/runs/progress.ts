/** The newest sign of progress in a run's log. */
export interface ProgressPoint {
  readonly unit: string;
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  readonly samplesPerSecond?: number | undefined;
  readonly dataSeconds?: number | undefined;
  readonly computeSeconds?: number | undefined;
}

/** What is under way: the newest sign of each unit that is not done. */
function underWay(done: readonly string[], progress: readonly ProgressPoint[]): readonly ProgressPoint[] {
  return progress.filter(({ unit, steps }) => steps > 0 && !done.includes(unit));
}

const partOf = ({ step, steps }: ProgressPoint) => Math.min(1, Math.max(0, step / steps));

/** Share of a run that is done, 0 to 1: its finished units and the parts of the units that are under way. */
export function doneShare(
  total: number,
  done: readonly string[],
  progress: readonly ProgressPoint[],
): number {
  if (total === 0) return 0;
  const parts = underWay(done, progress).map(partOf);
  return Math.min(1, parts.reduce((sum, part) => sum + part, done.length) / total);
}

/**
 * `seed-0/clip-refine: training, step 120 of 400 · 1,240 samples a second · 3 % waiting for data`, and behind it units that
 * are done at the same time. Empty where nothing is under way.
 */
export function progressText(done: readonly string[], progress: readonly ProgressPoint[]): string {
  const [first, ...others] = underWay(done, progress);
  if (first === undefined) return "";
  const { unit, phase, step, steps, samplesPerSecond, dataSeconds, computeSeconds } = first;
  const parts = [
    `${unit}: ${phase}, step ${step.toLocaleString("en-GB")} of ${steps.toLocaleString("en-GB")}`,
  ];
  if (samplesPerSecond !== undefined) {
    parts.push(`${Math.round(samplesPerSecond).toLocaleString("en-GB")} samples a second`);
  }
  if (dataSeconds !== undefined && computeSeconds !== undefined && dataSeconds + computeSeconds > 0) {
    parts.push(`${Math.round((100 * dataSeconds) / (dataSeconds + computeSeconds))} % waiting for data`);
  }
  for (const other of others) {
    parts.push(`${other.unit}: ${other.phase}, ${Math.floor(100 * partOf(other))} %`);
  }
  return parts.join(" · ");
}
