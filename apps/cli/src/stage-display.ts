import { type Context, coloursFor } from "./context.ts";
import { countText, printable } from "./render/text.ts";

/** A part of some work, and how many rows of it are done where that is counted. */
export interface Stage {
  readonly stage: string;
  readonly done: number | null;
  readonly total: number | null;
}

/** Work that is done before this shows nothing. */
const QUIET_MS = 1000;
const TERMINAL_MS = 120;
const PLAIN_MS = 5000;
const CLEAR = "\r\u001b[K";

function lineOf({ stage, done, total }: Stage): string {
  const text = printable(stage);
  if (done === null) return `${text} …`;
  if (total === null || total === 0) return `${text}: ${countText(done, "row")}`;
  return `${text}: ${Math.floor((100 * done) / total)} % of ${countText(total, "row")}`;
}

/** What is being done, on standard error: one line that is rewritten on a terminal, a line now and then elsewhere. */
export class StageDisplay {
  readonly #context: Pick<Context, "stderr" | "env">;
  readonly #now: () => number;
  readonly #start: number;
  #last = Number.NEGATIVE_INFINITY;
  #stage = "";
  #shown = false;

  /** @param now  milliseconds of a clock that never goes back */
  constructor(context: Pick<Context, "stderr" | "env">, now: () => number = () => performance.now()) {
    this.#context = context;
    this.#now = now;
    this.#start = now();
  }

  show(stage: Stage): void {
    const now = this.#now();
    const { stderr, env } = this.#context;
    const terminal = stderr.isTTY === true;
    if (now - this.#start < QUIET_MS) return;
    const changed = terminal && stage.stage !== this.#stage;
    if (!changed && now - this.#last < (terminal ? TERMINAL_MS : PLAIN_MS)) return;
    this.#last = now;
    this.#stage = stage.stage;
    this.#shown = true;
    const width = terminal ? (stderr.columns ?? 80) - 1 : Number.POSITIVE_INFINITY;
    const line = coloursFor(stderr, env).dim(lineOf(stage).slice(0, width));
    stderr.write(terminal ? `${CLEAR}${line}` : `${line}\n`);
  }

  end(): void {
    if (this.#shown && this.#context.stderr.isTTY === true) this.#context.stderr.write(CLEAR);
  }
}
