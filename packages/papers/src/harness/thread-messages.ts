import type { ArmResult } from "./contract.ts";
import type { NewLogRecord } from "./run-journal.ts";
import type { RunRecord, UnitRecord } from "./run-record.ts";

/** What a thread that does units is told when it starts. */
export interface ThreadSetup {
  /** Module that exports the `experiment`. */
  readonly experiment: string;
  /** Folder of the run. */
  readonly folder: string;
  readonly record: Pick<RunRecord, "config" | "inputs" | "device">;
}

export type ToUnitThread =
  | { readonly type: "do"; readonly action: "prepare" | "arm"; readonly unit: UnitRecord }
  | { readonly type: "do"; readonly action: "release"; readonly failed: boolean }
  | { readonly type: "abort" }
  /** To a `point` or `write`: lines that the log has of the unit. */
  | { readonly type: "answer"; readonly id: number; readonly lines: number }
  | { readonly type: "refusal"; readonly id: number; readonly error: Error };

export type FromUnitThread =
  | { readonly type: "emit"; readonly record: NewLogRecord }
  | { readonly type: "point"; readonly id: number; readonly unit: string }
  | { readonly type: "write"; readonly id: number }
  /** What was to be done is done; `result` of an arm. */
  | { readonly type: "done"; readonly result: ArmResult | null }
  | { readonly type: "failed"; readonly error: Error };
