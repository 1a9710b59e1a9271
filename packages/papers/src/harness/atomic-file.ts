import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Ending of files that are being written; one that is left over belongs to a process that was killed. */
export const TEMPORARY_SUFFIX = ".tmp";
const PIECE_BYTES = 64 * 2 ** 20;

async function writeAll(file: FileHandle, part: Uint8Array): Promise<void> {
  for (let start = 0; start < part.length; ) {
    const { bytesWritten } = await file.write(part, start, Math.min(PIECE_BYTES, part.length - start));
    start += bytesWritten;
  }
}

/** On Windows a virus scanner or a reader may hold the target for a moment. */
async function replace(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (process.platform !== "win32" || attempt === 10 || !["EPERM", "EACCES", "EBUSY"].includes(code)) {
        throw error;
      }
      await sleep(20 * attempt);
    }
  }
}

/** Makes a rename durable. Windows can neither open nor sync a folder, and does not need it. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that a reader, or the next process after a crash, sees either the old content or the whole new
 * one: a temporary file beside it is filled, flushed to the disk and renamed.
 */
export async function writeFileAtomic(path: string, parts: Iterable<Uint8Array | string>): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}${TEMPORARY_SUFFIX}`;
  try {
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await writeAll(file, typeof part === "string" ? Buffer.from(part) : part);
      await file.sync();
    } finally {
      await file.close();
    }
    await replace(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}
