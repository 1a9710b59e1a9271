import type { AdaptProgress } from "@concord/toolkit";
import { SingleBar } from "cli-progress";
import { type Context, coloursFor } from "./context.ts";
import { adaptLine } from "./render/adapt.ts";
import { printable } from "./render/text.ts";

const FRAMES_PER_SECOND = 8;
const PLAIN_LINE_MS = 5000;

/** Shows how an adaptation goes on: one line that is redrawn on a terminal, a line every few seconds elsewhere. */
export class AdaptDisplay {
  readonly #bar: SingleBar;
  readonly #stderr: Context["stderr"];
  #progress: AdaptProgress = { phase: "reading", done: 0, total: 0 };
  #ended = false;

  constructor({ stderr, env }: Pick<Context, "stderr" | "env">) {
    const colours = coloursFor(stderr, env);
    this.#stderr = stderr;
    this.#bar = new SingleBar({
      format: () =>
        adaptLine(this.#progress, {
          columns: stderr.isTTY === true ? (stderr.columns ?? 80) - 1 : null,
          colours,
        }),
      stream: stderr,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      gracefulExit: false,
      noTTYOutput: true,
      notTTYSchedule: PLAIN_LINE_MS,
    });
    this.#bar.start(1, 0);
  }

  observe(progress: AdaptProgress): void {
    this.#progress = progress;
  }

  /** Prints a line above the progress line. */
  print(line: string): void {
    const redrawn = this.#stderr.isTTY === true && !this.#ended;
    if (redrawn) this.#bar.stop();
    this.#stderr.write(`${printable(line)}\n`);
    if (redrawn) this.#bar.start(1, 0);
  }

  end(): void {
    if (!this.#ended) this.#bar.stop();
    this.#ended = true;
  }
}
