import type { Experiment, PaperCard } from "@concord/papers";
import type { SettingsSources, Site, SiteSettings } from "@concord/site";
import picocolors from "picocolors";
import { shellText } from "./render/text.ts";

/** Where text goes: a terminal, a pipe, a file, or a test. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Where papers come from. */
export interface Papers {
  readonly loadCatalogue: () => Promise<readonly PaperCard[]>;
  readonly loadCard: (slug: string) => Promise<PaperCard>;
  readonly hasExperiment: (slug: string) => Promise<boolean>;
  readonly loadExperiment: (slug: string) => Promise<Experiment>;
  /** Where threads find it; without this, units are done one after another. */
  readonly experimentModule?: (slug: string) => URL;
}

/** Everything outside the command that it touches. */
export interface Context {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where commands that take input read it; undefined where there is none. */
  readonly stdin?: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly papers: Papers;
  /** @throws SettingsError when a setting is wrong */
  readonly loadSettings: (sources: SettingsSources) => Promise<SiteSettings>;
  readonly startSite: (options: {
    readonly settings: SiteSettings;
    readonly command: readonly string[];
  }) => Promise<Site>;
  /** Program and first arguments that start this command again, in another process. */
  readonly self: readonly string[];
  /** How people call the command here, for hints that can be copied. */
  readonly name: string;
  /** Calls back at every request to stop (Ctrl-C, SIGTERM); returns what ends that. */
  readonly onStopRequest: (handler: () => void) => () => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

export type Colours = ReturnType<typeof picocolors.createColors>;

/** Colours for an output: on terminals, unless NO_COLOR is set; elsewhere only when FORCE_COLOR is. */
export function coloursFor(output: Output, env: Context["env"]): Colours {
  const off = Boolean(env.NO_COLOR) || env.TERM === "dumb";
  return picocolors.createColors(!off && (Boolean(env.FORCE_COLOR) || output.isTTY === true));
}

const DEFAULT_COLUMNS = 100;
const MIN_COLUMNS = 60;
/** Longer lines of prose are hard to read, wider tables hard to follow. */
const MAX_COLUMNS = 140;

/** How wide text for an output may be. */
export function columnsOf(output: Output): number {
  return Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, output.columns ?? DEFAULT_COLUMNS));
}

/** The folder with the runs: what was asked for, else CONCORD_RUNS, else `runs` in the current folder. */
export function runsFolder(given: string | undefined, env: Context["env"]): string {
  return given ?? (env.CONCORD_RUNS || "runs");
}

/** A command line to be copied, for the runs in the folder that was given, if one was. */
export function hint(context: Context, runs: string | undefined, ...args: readonly string[]): string {
  const folder = runs === undefined ? [] : ["--runs", shellText(runs)];
  return [context.name, ...args, ...folder].join(" ");
}
