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

/** Share of a run that is done, 0 to 1: its finished units and the part of the unit that is under way. */
export function doneShare(total: number, done: readonly string[], progress: ProgressPoint | null): number {
  if (total === 0) return 0;
  const underWay = progress !== null && progress.steps > 0 && !done.includes(progress.unit);
  const part = underWay ? Math.min(1, Math.max(0, progress.step / progress.steps)) : 0;
  return Math.min(1, (done.length + part) / total);
}

/** `seed-0/clip-refine: training, step 120 of 400 · 1,240 samples a second · 3 % waiting for data`. */
export function progressText(progress: ProgressPoint): string {
  const { unit, phase, step, steps, samplesPerSecond, dataSeconds, computeSeconds } = progress;
  const parts = [
    `${unit}: ${phase}, step ${step.toLocaleString("en-GB")} of ${steps.toLocaleString("en-GB")}`,
  ];
  if (samplesPerSecond !== undefined) {
    parts.push(`${Math.round(samplesPerSecond).toLocaleString("en-GB")} samples a second`);
  }
  if (dataSeconds !== undefined && computeSeconds !== undefined && dataSeconds + computeSeconds > 0) {
    parts.push(`${Math.round((100 * dataSeconds) / (dataSeconds + computeSeconds))} % waiting for data`);
  }
  return parts.join(" · ");
}
