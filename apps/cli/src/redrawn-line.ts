import { SingleBar } from "cli-progress";
import { type Colours, type Context, coloursFor } from "./context.ts";

const FRAMES_PER_SECOND = 8;
const PLAIN_LINE_MS = 5000;

/** How wide the line may be (null: as long as it is, one below the other), and its colours. */
export interface LineStyle {
  readonly columns: number | null;
  readonly colours: Colours;
}

/** One line that is redrawn on a terminal; elsewhere a line every few seconds. */
export class RedrawnLine {
  readonly #bar: SingleBar;
  readonly #stderr: Context["stderr"];
  #ended = false;

  /** @param text  the line as it is now */
  constructor({ stderr, env }: Pick<Context, "stderr" | "env">, text: (style: LineStyle) => string) {
    const colours = coloursFor(stderr, env);
    this.#stderr = stderr;
    this.#bar = new SingleBar({
      // One column stays free: a character in the last one makes some terminals wrap.
      format: () => text({ columns: stderr.isTTY === true ? (stderr.columns ?? 80) - 1 : null, colours }),
      stream: stderr,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      // Whoever computes listens to signals.
      gracefulExit: false,
      noTTYOutput: true,
      notTTYSchedule: PLAIN_LINE_MS,
    });
    this.#bar.start(1, 0);
  }

  /** Prints a line above it. */
  print(line: string): void {
    const redrawn = this.#stderr.isTTY === true && !this.#ended;
    if (redrawn) this.#bar.stop();
    this.#stderr.write(`${line}\n`);
    if (redrawn) this.#bar.start(1, 0);
  }

  end(): void {
    if (!this.#ended) this.#bar.stop();
    this.#ended = true;
  }
}
