import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { EngineReply } from "./engine-process.ts";
import type { Command } from "./engines.ts";

const REQUEST_TIMEOUT_MS = 10 * 60_000;
const EXIT_TIMEOUT_MS = 5_000;
const KEPT_STDERR_CHARACTERS = 4_000;

/** An engine in a process of its own, asked for steps and otherwise idle. */
export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** Settles when the process has ended and all that it wrote has been read. */
  readonly #closed: Promise<void>;
  #stderr = "";
  #failure: Error | undefined;

  constructor(command: Command) {
    const env = { ...process.env, ...command.env };
    this.#child = spawn(command.file, command.args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", (error) => {
      this.#failure = error;
    });
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()));
    // A write to a process that has died fails; the missing reply reports it better.
    this.#child.stdin?.on("error", () => {});
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR_CHARACTERS);
    });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  /**
   * Runs `count` steps.
   *
   * @throws Error with the end of the process's stderr when it dies, answers with something else, or takes longer than
   * ten minutes
   */
  async steps(count: number): Promise<EngineReply> {
    this.#child.stdin?.write(`${count}\n`);
    const timer = setTimeout(() => {
      this.#failure = new Error(`no answer within ${REQUEST_TIMEOUT_MS / 60_000} minutes`);
      this.#child.kill("SIGKILL");
    }, REQUEST_TIMEOUT_MS);
    const line = await this.#lines.next();
    clearTimeout(timer);
    if (line.done) {
      await this.#closed;
      throw new Error(`${this.#failure?.message ?? "the process ended"}\n${this.#stderr.trim()}`);
    }
    let reply: EngineReply;
    try {
      reply = JSON.parse(line.value) as EngineReply;
    } catch (error) {
      throw new Error(`expected a line of JSON, got ${JSON.stringify(line.value.slice(0, 200))}`, {
        cause: error,
      });
    }
    if (reply.milliseconds?.length !== count || !reply.losses?.every(Number.isFinite)) {
      throw new Error(`expected ${count} steps with finite losses, got ${line.value.slice(0, 200)}`);
    }
    return reply;
  }

  /** Ends the process: politely, then not. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
  }
}
