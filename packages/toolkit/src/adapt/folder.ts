import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  acquireLock,
  loadArrays,
  type RunLock,
  saveArrays,
  TEMPORARY_SUFFIX,
  writeFileAtomic,
} from "@concord/papers/files";
import type { NDArray } from "@concord/tensor";
import { AdaptFolderError } from "./errors.ts";

const RECORD = "run.json";
/** What only a run that goes on needs; removed at its end. */
const WORK = ".work";
const CHECKPOINT = "checkpoint.safetensors";

/** What `run.json` must say for a run to be recognised. */
export interface RunHead {
  readonly kind: "concord adapt";
  readonly version: 1;
  /** Digest of everything that decides the result. */
  readonly request: string;
  readonly status: "running" | "done";
}

/** The folder of a run, held for as long as the process lives. */
export interface OutputFolder {
  readonly path: string;
  readonly resumed: boolean;
  readonly done: boolean;
  write(name: string, parts: readonly (Uint8Array | string)[]): Promise<void>;
  readRecord(): Promise<unknown>;
  writeRecord<R extends RunHead>(record: R): Promise<void>;
  saveCheckpoint(tree: unknown, facts: object): Promise<void>;
  loadCheckpoint(): Promise<{ readonly tree: unknown; readonly facts: unknown } | null>;
  /** Removes what is needed no more, and everything when the run left nothing worth going on from. */
  finish(): Promise<void>;
  release(): Promise<void>;
}

async function readHead(path: string): Promise<RunHead | null> {
  try {
    const record = JSON.parse(await readFile(join(path, RECORD), "utf8")) as Partial<RunHead>;
    return record.kind === "concord adapt" && record.version === 1 && typeof record.request === "string"
      ? (record as RunHead)
      : null;
  } catch {
    return null;
  }
}

/**
 * Looks whether a run may write into a folder, before anything is computed.
 *
 * @throws AdaptFolderError when it holds anything but a run that may go on
 */
export async function checkFolder(path: string, resume: boolean): Promise<void> {
  const entries = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    if (error.code === "ENOTDIR") throw new AdaptFolderError(`${path} is a file; --out takes a folder`);
    throw error;
  });
  // A run that was killed before its first record left a lock at most.
  if (entries.every((entry) => entry === WORK)) return;
  const head = await readHead(path);
  if (!head)
    throw new AdaptFolderError(
      `${path} is not empty and holds no run; nothing is overwritten. Choose another --out.`,
    );
  if (!resume) {
    const what =
      head.status === "done" ? "a finished run" : "a run that was stopped; --resume goes on with it";
    throw new AdaptFolderError(`${path} holds ${what}. Nothing is overwritten; choose another --out.`);
  }
}

/**
 * Takes a folder for a run, or takes up the run in it.
 *
 * @param request  digest of everything that decides the result
 * @throws AdaptFolderError when it holds something else, a run of another request, or somebody works in it
 */
export async function takeFolder(path: string, request: string, resume: boolean): Promise<OutputFolder> {
  await checkFolder(path, resume);
  const head = resume ? await readHead(path) : null;
  if (head && head.request !== request)
    throw new AdaptFolderError(
      `The run in ${path} was asked for in another way (other data, encoders or settings); --resume takes the same request.`,
    );
  const created = !existsSync(path);
  await mkdir(join(path, WORK), { recursive: true });
  const lock: RunLock | null = acquireLock(join(path, WORK, "lock"));
  if (!lock) throw new AdaptFolderError(`Another process is working in ${path}.`);
  await removeTemporaries(path);
  let finished = head?.status === "done";
  const at = (name: string): string => join(path, ...name.split("/"));
  return {
    path,
    resumed: head !== null,
    done: head?.status === "done",
    async write(name, parts) {
      await mkdir(dirname(at(name)), { recursive: true });
      await writeFileAtomic(at(name), parts);
    },
    readRecord: async () => JSON.parse(await readFile(at(RECORD), "utf8")) as unknown,
    writeRecord: (record) => writeFileAtomic(at(RECORD), [`${JSON.stringify(record, null, 2)}\n`]),
    saveCheckpoint: (tree, facts) =>
      saveArrays(join(path, WORK, CHECKPOINT), tree as NDArray, { facts: JSON.stringify(facts) }),
    async loadCheckpoint() {
      try {
        const { tree, metadata } = await loadArrays(join(path, WORK, CHECKPOINT));
        return { tree, facts: JSON.parse(metadata.facts ?? "null") as unknown };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
    },
    async finish() {
      finished = true;
    },
    async release() {
      lock.release();
      const kept = finished || existsSync(join(path, WORK, CHECKPOINT));
      if (finished || !kept) await rm(join(path, WORK), { recursive: true, force: true });
      // A request that failed before its first step leaves no trace.
      if (!kept && !head) {
        await rm(at(RECORD), { force: true });
        if (created) await rmdir(path).catch(() => {});
      }
    },
  };
}

/** Files that a killed process was writing. */
async function removeTemporaries(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries)
    if (entry.isFile() && entry.name.endsWith(TEMPORARY_SUFFIX))
      await rm(join(entry.parentPath, entry.name), { force: true });
}
