import type { Arm, LogRecord, RunRecord } from "@concord/papers";
import type { Context } from "./context.ts";
import { RedrawnLine } from "./redrawn-line.ts";
import { progressLine, RunProgress } from "./render/progress.ts";
import { printable } from "./render/text.ts";

/** Shows how a run goes on. */
export class ProgressDisplay extends RedrawnLine {
  readonly #progress: RunProgress;

  constructor(run: RunRecord, arms: readonly Arm[], context: Pick<Context, "stderr" | "env">) {
    const progress = new RunProgress(run, arms);
    super(context, (style) => progressLine(progress.view(), style));
    this.#progress = progress;
  }

  observe(event: LogRecord): void {
    this.#progress.observe(event);
    if (event.kind === "note" && event.level === "warning") {
      this.print(`warning (${event.unit}): ${printable(event.message)}`);
    }
  }
}
