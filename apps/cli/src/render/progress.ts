import type { Arm, LogRecord, RunRecord } from "@concord/papers";
import type { Colours } from "../context.ts";
import { durationText, printable } from "./text.ts";

/** How far a run is at one moment. */
export interface ProgressView {
  /** Units that are done or at work. */
  readonly index: number;
  readonly total: number;
  /** The unit that has been at work for longest. */
  readonly unit: string | null;
  /** How many others are at work. */
  readonly others: number;
  readonly phase: string | null;
  /** Share of the phase that is done, 0 to 1; null before its first step. */
  readonly share: number | null;
  readonly loss: number | null;
  readonly samplesPerSecond: number | null;
  readonly dataSeconds: number | null;
  readonly computeSeconds: number | null;
  /** Seconds until the run is done; null while nothing of the same kind is finished. */
  readonly remainingSeconds: number | null;
}

interface UnitTime {
  readonly id: string;
  readonly arm: string | null;
  /** Set when the unit is done. */
  seconds: number | undefined;
  done: boolean;
}

interface AtWork {
  readonly unit: UnitTime;
  readonly since: number;
  last: Extract<LogRecord, { kind: "progress" }> | null;
  over: boolean;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Follows a run's events. What is left is estimated from finished units: one of the same arm in another seed is the
 * best guess, else others of its kind (preparations; arms that only evaluate the start; arms that train).
 */
export class RunProgress {
  readonly #units: readonly UnitTime[];
  readonly #roles: ReadonlyMap<string, Arm["role"]>;
  readonly #now: () => number;
  /** In the order in which they began; the last one stays until another begins. */
  #atWork: readonly AtWork[] = [];

  /** @param now  milliseconds of a clock that never goes back */
  constructor(
    run: Pick<RunRecord, "units">,
    arms: readonly Pick<Arm, "id" | "role">[],
    now: () => number = () => performance.now(),
  ) {
    this.#units = run.units.map(({ id, arm, status, seconds }) => ({
      id,
      arm,
      done: status === "done",
      seconds: status === "done" ? seconds : undefined,
    }));
    this.#roles = new Map(arms.map(({ id, role }) => [id, role]));
    this.#now = now;
  }

  observe(event: LogRecord): void {
    if (event.kind === "progress") {
      const at = this.#atWork.find(({ unit }) => unit.id === event.unit);
      if (at) at.last = event;
    }
    if (event.kind !== "state" || event.unit === undefined) return;
    const at = this.#atWork.find(({ unit, over }) => unit.id === event.unit && !over);
    // The preparation of a resumed seed is done from the start, and starts and ends once more.
    if (at === undefined) {
      const unit = this.#units.find(({ id }) => id === event.unit);
      if (!unit) return;
      const begun = { unit, since: this.#now(), last: null, over: false };
      this.#atWork = [...this.#atWork.filter(({ over }) => !over), begun];
    } else if (event.unitStatus === "done") {
      at.unit.seconds ??= (this.#now() - at.since) / 1000;
      at.unit.done = true;
      at.over = true;
      if (this.#atWork.some(({ over }) => !over)) this.#atWork = this.#atWork.filter(({ over }) => !over);
    }
  }

  view(): ProgressView {
    const [shown] = this.#atWork;
    const last = shown?.last ?? null;
    const begun = this.#units.filter((unit) => unit.done || this.#atWork.some((at) => at.unit === unit));
    return {
      index: shown ? begun.length : 0,
      total: this.#units.length,
      unit: shown?.unit.id ?? null,
      others: Math.max(0, this.#atWork.length - 1),
      phase: last?.phase ?? null,
      share: last && last.steps > 0 ? Math.min(1, Math.max(0, last.step / last.steps)) : null,
      loss: last?.loss ?? null,
      samplesPerSecond: last?.samplesPerSecond ?? null,
      dataSeconds: last?.dataSeconds ?? null,
      computeSeconds: last?.computeSeconds ?? null,
      remainingSeconds: this.#remaining(),
    };
  }

  #kind({ arm }: UnitTime): string {
    if (arm === null) return "preparation";
    return this.#roles.get(arm) === "reference" ? "evaluation" : "training";
  }

  #estimate(unit: UnitTime): number | null {
    const finished = this.#units.filter(({ seconds }) => seconds !== undefined);
    const secondsOf = (units: readonly UnitTime[]) => units.map(({ seconds }) => seconds as number);
    return (
      mean(secondsOf(finished.filter(({ arm }) => arm === unit.arm))) ??
      mean(secondsOf(finished.filter((other) => this.#kind(other) === this.#kind(unit))))
    );
  }

  #remaining(): number | null {
    let total = 0;
    for (const unit of this.#units) {
      if (unit.done) continue;
      const estimate = this.#estimate(unit);
      if (estimate === null) return null;
      const since = this.#atWork.find((at) => at.unit === unit)?.since;
      const elapsed = since === undefined ? 0 : (this.#now() - since) / 1000;
      total += Math.max(0, estimate - elapsed);
    }
    return total / Math.max(1, this.#atWork.length);
  }
}

const BAR_WIDTH = 16;
const MIN_BAR_WIDTH = 6;

function bar(share: number, width: number, colours: Colours): string {
  const full = Math.round(share * width);
  return `${colours.cyan("━".repeat(full))}${colours.dim("─".repeat(width - full))}`;
}

/** A loss with four figures that count: `0.01234`, `1.234`, `12.34`. */
function lossText(loss: number): string {
  return Math.abs(loss) >= 1e-3 && Math.abs(loss) < 1e4
    ? Number(loss.toPrecision(4)).toString()
    : loss.toExponential(2);
}

/** Whole seconds: an estimate knows no tenths. */
function remainingText(seconds: number | null): string {
  if (seconds === null) return "-";
  return seconds < 60 ? `${Math.ceil(seconds)} s` : durationText(seconds);
}

/** The figures of a line, the most useful first. */
function figures(view: ProgressView): string[] {
  const { remainingSeconds, loss, samplesPerSecond, dataSeconds, computeSeconds } = view;
  const parts = [`ETA ${remainingText(remainingSeconds)}`];
  if (loss !== null) parts.push(`loss ${lossText(loss)}`);
  if (samplesPerSecond !== null) {
    parts.push(`${Math.round(samplesPerSecond).toLocaleString("en-GB")} samples/s`);
  }
  if (dataSeconds !== null && computeSeconds !== null) {
    parts.push(`data ${durationText(dataSeconds)}, compute ${durationText(computeSeconds)}`);
  }
  return parts;
}

/** The figures in less room: the wait for data as a share of the time. */
function shortFigures(view: ProgressView): string[] {
  const { dataSeconds, computeSeconds } = view;
  const parts = figures({ ...view, dataSeconds: null });
  if (dataSeconds !== null && computeSeconds !== null && dataSeconds + computeSeconds > 0) {
    parts.push(`data ${Math.round((100 * dataSeconds) / (dataSeconds + computeSeconds))} %`);
  }
  return parts;
}

/**
 * One line that says how far a run is:
 *
 *   3/20 seed-0/contrastive · training ━━━━━━──── 62 % · ETA 2 min 10 s · loss 1.234 · 980 samples/s · …
 *
 * Units that are at work beside the one shown are counted behind it: `seed-0/contrastive (+1)`. In a terminal it is cut to `columns`, first by a shorter bar, then by shorter and fewer figures.
 *
 * @param options.columns  null for plain lines of any length, without a bar
 */
export function progressLine(
  view: ProgressView,
  { columns, colours }: { readonly columns: number | null; readonly colours: Colours },
): string {
  const place = `${view.index}/${view.total}`;
  if (view.unit === null) return `${place} starting`;
  const unit = view.others === 0 ? view.unit : `${view.unit} (+${view.others})`;
  const phase = printable(view.phase ?? "working");
  const percent = view.share === null ? "" : `${Math.floor(100 * view.share)} %`;
  let rest = figures(view);
  if (columns === null) {
    return [`${place} ${unit}`, [phase, percent].filter(Boolean).join(" "), ...rest].join(" · ");
  }
  const lengthWith = (barWidth: number, parts: readonly string[]) =>
    [`${place} ${unit}`, `${phase} ${"-".repeat(barWidth)} ${percent.padStart(5)}`, ...parts].join(" · ")
      .length;
  let width = BAR_WIDTH;
  while (width > MIN_BAR_WIDTH && lengthWith(width, rest) > columns) width--;
  if (lengthWith(width, rest) > columns) rest = shortFigures(view);
  while (rest.length > 1 && lengthWith(width, rest) > columns) rest.pop();
  while (width < BAR_WIDTH && lengthWith(width + 1, rest) <= columns) width++;
  const work = `${phase} ${bar(view.share ?? 0, width, colours)} ${percent.padStart(5)}`;
  return [`${colours.bold(place)} ${unit}`, work, ...rest].join(colours.dim(" · "));
}
