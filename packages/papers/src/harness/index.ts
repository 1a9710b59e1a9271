export { writeFileAtomic } from "./atomic-file.ts";
export { checkExperiment, problemsOf } from "./check-experiment.ts";
export * from "./contract.ts";
export { createRun, type RunRequest, RunRequestError } from "./create-run.ts";
export type * from "./figures.ts";
export { isRunId, UnknownRunError } from "./run-id.ts";
export { acquireLock, type RunLock } from "./run-lock.ts";
export { LogTail } from "./run-log.ts";
export * from "./run-record.ts";
export { BrokenRunError, type NewRun, RunBusyError, RunStore } from "./run-store.ts";
export {
  type ArmFigures,
  figureSeeds,
  readFigureSheet,
  readRunFigures,
  type SavedFigure,
  type SavedGallery,
  sheetSize,
} from "./saved-figures.ts";
export * from "./statistics.ts";
export * from "./train-loop.ts";
export * from "./verdict.ts";

import type { ExecuteOptions, executeRun as execute } from "./execute-run.ts";

export type { ExecuteOptions };

/** See execute-run.ts. Imported on first use: it brings the engine, which readers of runs do not need. */
export const executeRun: typeof execute = async (...request) =>
  (await import("./execute-run.ts")).executeRun(...request);
