import { Writable } from "node:stream";
import { hasExperiment, loadCard, loadCatalogue, loadExperiment } from "@concord/papers";
import { loadSettings } from "@concord/site/settings";
import { type ToyOptions, toyExperiment } from "../../../packages/papers/test/harness/toy-experiment.ts";
import { type Context, type ExitCode, runCli } from "../src/index.ts";

/** What a command wrote, and how it ended. */
export interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToyCommandOptions extends ToyOptions {
  readonly env?: Context["env"];
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly startSite?: Context["startSite"];
}

export interface ToyCommand {
  readonly run: (...args: string[]) => Promise<Outcome>;
  /** What Ctrl-C does. */
  readonly requestStop: () => void;
  /** Exit codes with which the process would have been ended at once. */
  readonly exits: number[];
}

class Capture extends Writable {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number;

  constructor({ isTTY = false, columns = 100 }: ToyCommandOptions) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
    this.columns = columns;
  }

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** The command with the shipped catalogue and, as the paper `toy`, an experiment that needs no engine. */
export function toyCommand(options: ToyCommandOptions = {}): ToyCommand {
  const handlers = new Set<() => void>();
  const exits: number[] = [];
  return {
    exits,
    requestStop() {
      for (const handler of handlers) handler();
    },
    async run(...args) {
      const stdout = new Capture(options);
      const stderr = new Capture(options);
      const code = await runCli(args, {
        stdout,
        stderr,
        env: options.env ?? {},
        papers: {
          loadCatalogue,
          loadCard,
          hasExperiment: async (slug) => slug === "toy" || hasExperiment(slug),
          loadExperiment: async (slug) => (slug === "toy" ? toyExperiment(options) : loadExperiment(slug)),
        },
        loadSettings,
        startSite: options.startSite ?? (() => Promise.reject(new Error("no site in this test"))),
        self: ["node", "concord"],
        name: "concord",
        onStopRequest(handler) {
          handlers.add(handler);
          return () => handlers.delete(handler);
        },
        exit: (exitCode) => exits.push(exitCode),
      });
      return { code, stdout: stdout.text, stderr: stderr.text };
    },
  };
}
