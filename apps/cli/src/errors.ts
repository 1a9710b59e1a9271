import {
  BrokenRunError,
  NoExperimentError,
  NoRecipeError,
  RunBusyError,
  RunRequestError,
  UnknownPaperError,
  UnknownRunError,
} from "@concord/papers";
import { printable } from "./render/text.ts";

/** What the exit code of the command says; documented in its help. */
export const ExitCode = { done: 0, failed: 1, usage: 2, cancelled: 130 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Something that the person at the command line has to change. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Errors whose cause is what was typed, not what was computed. */
const usageErrors = [
  UsageError,
  UnknownPaperError,
  NoExperimentError,
  NoRecipeError,
  RunRequestError,
  UnknownRunError,
];
/** Likewise, by name: their classes come with the engine, which is loaded when it is needed. */
const namedUsageErrors = ["AdaptRequestError", "AdaptFolderError", "RecipeOptionError"];
const namedPlainErrors = ["AdaptDataError", "EmbedError", "EncoderError", "StoreError", "VectorFileError"];
/** Errors whose message says everything: where in Concord they arose helps nobody. */
const plainErrors = [BrokenRunError, RunBusyError];

const systemErrors: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
  ENOTDIR: "a part of the path is not a folder",
  EADDRINUSE: "the port is taken; choose another with --port, e.g. --port 0 for any free one",
  EADDRNOTAVAIL: "this machine has no such address; choose another with --host",
};

function systemMessage(error: NodeJS.ErrnoException): string | null {
  const meaning = error.code === undefined ? undefined : systemErrors[error.code];
  if (meaning === undefined) return null;
  const { path, address, port } = error as { path?: string; address?: string; port?: number };
  const where = path ?? (address === undefined ? "" : `${address}:${port}`);
  return where === "" ? meaning : `${where}: ${meaning}`;
}

/** Which exit code an error stands for, and what to print for it: one or two lines, or the stack when debugging. */
export function describeError(error: unknown, debug: boolean): { code: ExitCode; text: string } {
  const known = (kinds: readonly (abstract new (...args: never[]) => Error)[]) =>
    kinds.some((kind) => error instanceof kind);
  const name = error instanceof Error ? error.name : "";
  const code = known(usageErrors) || namedUsageErrors.includes(name) ? ExitCode.usage : ExitCode.failed;
  if (!(error instanceof Error)) return { code, text: printable(String(error)) };
  if (debug) return { code, text: printable(error.stack ?? error.message) };
  const message = printable(systemMessage(error) ?? error.message);
  const explained = known(plainErrors) || namedPlainErrors.includes(name) || systemMessage(error) !== null;
  const unexpected = code === ExitCode.failed && !explained;
  return { code, text: unexpected ? `${message}\nCONCORD_DEBUG=1 shows where this happened.` : message };
}
