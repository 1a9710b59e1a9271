import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { randomKey } from "@concord/tensor";
import type { ArrayTree, LogValue, Progress, UnitContext } from "./contract.ts";
import { assertFileName } from "./run-id.ts";
import type { NewLogRecord } from "./run-journal.ts";
import type { RunRecord, UnitRecord } from "./run-record.ts";
import { readSave, type SaveKind, writeSave } from "./unit-saves.ts";

const PROGRESS_MS = 500;

/** The journal of a run as a unit needs it; `RunJournal` is one. */
export interface UnitJournal {
  readonly record: Pick<RunRecord, "config" | "inputs">;
  emit(record: NewLogRecord): void;
  /** Brings the log to the disk. @returns lines that it has of a unit */
  point(unit: string): Promise<number>;
  /** Writes the record. */
  write(): Promise<void>;
}

/** JSON knows no NaN and no infinity. */
function recordable(value: LogValue): LogValue {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

function finiteOnly(progress: Progress): Progress {
  return Object.fromEntries(
    Object.entries(progress).filter(([, value]) => typeof value === "string" || Number.isFinite(value)),
  ) as unknown as Progress;
}

/** Lets a record through at most twice a second, and always when the phase changes or ends. */
function throttle(): (progress: Progress) => boolean {
  let last = -Infinity;
  let phase: string | null = null;
  return (progress) => {
    const now = performance.now();
    const due = progress.phase !== phase || progress.step >= progress.steps || now - last >= PROGRESS_MS;
    if (due) {
      last = now;
      phase = progress.phase;
    }
    return due;
  };
}

/** The harness as one unit of work sees it. */
export function createUnitContext(options: {
  readonly unit: UnitRecord;
  readonly journal: UnitJournal;
  /** Where the unit keeps its files. */
  readonly folder: string;
  readonly signal: AbortSignal;
}): UnitContext<unknown> {
  const { unit, journal, folder, signal } = options;
  const isDue = throttle();

  const save = async (kind: SaveKind, name: string, step: number, tree: ArrayTree): Promise<void> => {
    if (!Number.isSafeInteger(step) || step < 0) throw new RangeError(`checkpoint: step ${step} is no count`);
    // The log first: a save speaks only of lines that are there.
    await writeSave(folder, kind, name, tree, { step, logLines: await journal.point(unit.id) });
    await journal.write();
  };

  return {
    config: journal.record.config,
    seed: unit.seed,
    key: randomKey(unit.seed),
    unit: unit.id,
    inputs: journal.record.inputs,
    signal,
    log(phase, step, values) {
      const entries = Object.entries(values).map(([name, value]) => [name, recordable(value)]);
      journal.emit({ kind: "step", unit: unit.id, phase, step, values: Object.fromEntries(entries) });
    },
    note(message, level = "info") {
      journal.emit({ kind: "note", unit: unit.id, level, message });
    },
    progress(progress) {
      if (isDue(progress)) journal.emit({ kind: "progress", unit: unit.id, ...finiteOnly(progress) });
    },
    async memo<T extends ArrayTree>(name: string, build: () => Promise<T>): Promise<T> {
      signal.throwIfAborted();
      const saved = await readSave(folder, "memo", name);
      if (saved) return saved.tree as T;
      const built = await build();
      await save("memo", name, 0, built);
      return built;
    },
    checkpoint: {
      async load(name) {
        const saved = await readSave(folder, "checkpoint", name);
        return saved && { step: saved.step, state: saved.tree };
      },
      save: (name, step, state) => save("checkpoint", name, step, state),
    },
    artefact(fileName) {
      const path = join(folder, "files", assertFileName(fileName, "artefact"));
      mkdirSync(join(folder, "files"), { recursive: true });
      return path;
    },
  };
}
