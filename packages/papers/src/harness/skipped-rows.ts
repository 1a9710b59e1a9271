import { describeProblem, type RowProblems } from "@concord/data";
import type { UnitContext } from "./contract.ts";

/** Rejected rows that are shown one by one. */
const SHOWN_PROBLEMS = 5;

/** Tells how many rows of a file were skipped and why, with the first of them. */
export function noteSkippedRows(
  context: Pick<UnitContext<unknown>, "note">,
  problems: RowProblems,
  what = "rows",
): void {
  if (problems.count === 0) return;
  const reasons = Object.entries(problems.countByReason).map(([reason, count]) => `${count} × ${reason}`);
  context.note(`${problems.count} ${what} were skipped: ${reasons.join("; ")}.`, "warning");
  for (const problem of problems.records.slice(0, SHOWN_PROBLEMS))
    context.note(describeProblem(problem), "warning");
}
