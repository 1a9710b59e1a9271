import type { Context } from "./context.ts";
import { ExitCode } from "./errors.ts";

/** npm and a terminal both send the signal of one key press. */
const SECOND_REQUEST_MS = 500;

/** Calls `cancel` at the first request to stop, and ends the process at the second. */
export function listenForStop(context: Context, cancel: () => void): () => void {
  let first: number | null = null;
  return context.onStopRequest(() => {
    const now = performance.now();
    if (first === null) {
      first = now;
      cancel();
    } else if (now - first >= SECOND_REQUEST_MS) {
      context.exit(ExitCode.cancelled);
    }
  });
}
