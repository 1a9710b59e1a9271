import type { RunLog } from "./run-log.ts";
import type { LogRecord, RunRecord, UnitRecord } from "./run-record.ts";
import type { RunStore } from "./run-store.ts";

/** A log record as it is made; the journal adds the time. */
export type NewLogRecord = LogRecord extends infer R
  ? R extends LogRecord
    ? Omit<R, "time">
    : never
  : never;

/**
 * What is known of a run while it is executed: its record and its log, kept on disk. The one writer of both.
 */
export class RunJournal {
  readonly #store: RunStore;
  readonly #log: RunLog;
  readonly #onEvent: ((event: LogRecord) => void) | undefined;
  #record: RunRecord;
  /** Units at work, and how many work on each. */
  readonly #atWork = new Map<string, number>();
  #clock = performance.now();
  #writing: Promise<void> = Promise.resolve();

  constructor(store: RunStore, record: RunRecord, log: RunLog, onEvent?: (event: LogRecord) => void) {
    this.#store = store;
    this.#record = record;
    this.#log = log;
    this.#onEvent = onEvent;
  }

  get record(): RunRecord {
    return this.#record;
  }

  unit(id: string): UnitRecord {
    const unit = this.#record.units.find((candidate) => candidate.id === id);
    if (!unit) throw new Error(`Run ${this.#record.id} has no unit '${id}'.`);
    return unit;
  }

  /** Changes the record and writes it; writes happen one after another. */
  async write(changes: Partial<RunRecord> = {}): Promise<void> {
    this.#record = { ...this.#record, ...changes };
    this.#addTime();
    const write = this.#writing.then(() => this.#store.write(this.#record));
    // A write that failed is reported to its caller; it must not keep later ones from being tried.
    this.#writing = write.catch(() => {});
    return write;
  }

  /** Marks a unit as one that is at work. A unit that was done (a preparation that is repeated) stays done. */
  async startUnit(id: string): Promise<void> {
    this.#addTime();
    this.#atWork.set(id, (this.#atWork.get(id) ?? 0) + 1);
    if (this.unit(id).status !== "done") await this.write({ units: this.#unitsWith(id, "running") });
    this.state(id);
  }

  /** Marks a unit as done, in the same write as its results: a reader never sees one without the other. */
  async finishUnit(id: string, metrics?: Readonly<Record<string, number>>): Promise<void> {
    this.#log.sync();
    this.#addTime();
    await this.write({ units: this.#unitsWith(id, "done"), results: this.#resultsWith(id, metrics) });
    const others = (this.#atWork.get(id) ?? 1) - 1;
    if (others > 0) this.#atWork.set(id, others);
    else this.#atWork.delete(id);
    this.state(id);
  }

  /** Tells readers of the log that the record changed. */
  state(unit?: string): void {
    this.emit({
      kind: "state",
      status: this.#record.status,
      ...(unit === undefined ? {} : { unit, unitStatus: this.unit(unit).status }),
    });
  }

  emit(record: NewLogRecord): void {
    const timed: LogRecord = { ...record, time: new Date().toISOString() };
    if (this.#log.append(timed)) this.#onEvent?.(timed);
  }

  /** Brings the log to the disk. @returns lines that it has of a unit */
  async point(unit: string): Promise<number> {
    this.#log.sync();
    return this.#log.linesOf(unit);
  }

  /** Results in the order of units, whatever order they were finished in. */
  #resultsWith(id: string, metrics: Readonly<Record<string, number>> | undefined): RunRecord["results"] {
    const { results, units } = this.#record;
    const { seed, arm } = this.unit(id);
    if (!metrics || arm === null) return results;
    const place = (of: { readonly arm: string; readonly seed: number }) =>
      units.findIndex((unit) => unit.arm === of.arm && unit.seed === of.seed);
    return [...results, { arm, seed, metrics: { ...metrics } }].sort((a, b) => place(a) - place(b));
  }

  #unitsWith(id: string, status: UnitRecord["status"]): UnitRecord[] {
    return this.#record.units.map((unit) => (unit.id === id ? { ...unit, status } : unit));
  }

  /** Adds the time since the last call to the run and to the units at work. */
  #addTime(): void {
    const now = performance.now();
    const seconds = (now - this.#clock) / 1000;
    this.#clock = now;
    this.#record = {
      ...this.#record,
      seconds: this.#record.seconds + seconds,
      units: this.#record.units.map((unit) =>
        this.#atWork.has(unit.id) ? { ...unit, seconds: (unit.seconds ?? 0) + seconds } : unit,
      ),
    };
  }
}
