import type { Arm, LogRecord, RunRecord } from "@concord/papers";
import { SingleBar } from "cli-progress";
import { type Context, coloursFor } from "./context.ts";
import { progressLine, RunProgress } from "./render/progress.ts";
import { printable } from "./render/text.ts";

const FRAMES_PER_SECOND = 8;
const PLAIN_LINE_MS = 5000;

/** Shows how a run goes on: one line that is redrawn on a terminal, a line every few seconds elsewhere. */
export class ProgressDisplay {
  readonly #progress: RunProgress;
  readonly #bar: SingleBar;
  readonly #stderr: Context["stderr"];

  constructor(run: RunRecord, arms: readonly Arm[], { stderr, env }: Pick<Context, "stderr" | "env">) {
    const progress = new RunProgress(run, arms);
    const colours = coloursFor(stderr, env);
    this.#progress = progress;
    this.#stderr = stderr;
    this.#bar = new SingleBar({
      // One column stays free: a character in the last one makes some terminals wrap.
      format: () =>
        progressLine(progress.view(), {
          columns: stderr.isTTY === true ? (stderr.columns ?? 80) - 1 : null,
          colours,
        }),
      stream: stderr,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      // The run itself listens to signals.
      gracefulExit: false,
      noTTYOutput: true,
      notTTYSchedule: PLAIN_LINE_MS,
    });
    this.#bar.start(1, 0);
  }

  observe(event: LogRecord): void {
    this.#progress.observe(event);
    if (event.kind === "note" && event.level === "warning") {
      this.print(`warning (${event.unit}): ${printable(event.message)}`);
    }
  }

  /** Prints a line above the progress line. */
  print(line: string): void {
    const redrawn = this.#stderr.isTTY === true;
    if (redrawn) this.#bar.stop();
    this.#stderr.write(`${line}\n`);
    if (redrawn) this.#bar.start(1, 0);
  }

  end(): void {
    this.#bar.stop();
  }
}
