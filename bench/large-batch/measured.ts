import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What a script of this folder prints, run in a process of its own, so that its peak memory is its own too. */
export async function measured<R>(script: string, args: readonly number[]): Promise<R> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    fileURLToPath(new URL(script, import.meta.url)),
    ...args.map(String),
  ]);
  return JSON.parse(stdout) as R;
}

/** Memory of a process in MiB: when all data was there but nothing was computed, and the most it ever had. */
export interface Memory {
  readonly mebibytesBefore: number;
  readonly mebibytesPeak: number;
}
