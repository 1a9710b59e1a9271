import { randomBytes } from "node:crypto";
import { type FileHandle, link, open, rename, rm, stat } from "node:fs/promises";
import { VectorFileError } from "./source.ts";

/** A file that appears under its name only when it is complete. */
export class OutputFile {
  readonly path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #overwrite: boolean;
  #closed = false;
  /** Bytes written one after another. */
  length = 0;

  private constructor(path: string, temporary: string, handle: FileHandle, overwrite: boolean) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
    this.#overwrite = overwrite;
  }

  /** @throws VectorFileError when the file exists and may not be overwritten, or its folder cannot be written to */
  static async create(path: string, overwrite: boolean): Promise<OutputFile> {
    const present = await stat(path).catch(() => null);
    if (present?.isDirectory()) throw new VectorFileError(path, "is a folder");
    if (present && !overwrite) throw alreadyThere(path);
    const temporary = `${path}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
    try {
      return new OutputFile(path, temporary, await open(temporary, "wx"), overwrite);
    } catch (error) {
      throw notWritten(path, error);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Appends; with a position, writes over what is there. */
  async write(bytes: Uint8Array, position?: number): Promise<void> {
    const start = position ?? this.length;
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, start + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw notWritten(this.path, error);
    }
    if (position === undefined) this.length += bytes.length;
  }

  /** Flushes the file to the disk and gives it its name. */
  async finish(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#close();
      if (this.#overwrite) await rename(this.#temporary, this.path);
      else await this.#renameToFree();
    } catch (error) {
      await this.abort();
      throw error instanceof VectorFileError ? error : notWritten(this.path, error);
    }
  }

  /** Leaves nothing behind. */
  async abort(): Promise<void> {
    await this.#close();
    await rm(this.#temporary, { force: true });
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  /** A link, unlike a rename, does not replace a file that somebody made meanwhile. */
  async #renameToFree(): Promise<void> {
    try {
      await link(this.#temporary, this.path);
      await rm(this.#temporary);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EEXIST") throw alreadyThere(this.path);
      // File systems without hard links.
      if (await stat(this.path).catch(() => null)) throw alreadyThere(this.path);
      await rename(this.#temporary, this.path);
    }
  }
}

/** What people can do about, in their words; the name of the temporary file says nothing to them. */
const writingFailures: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist, or takes no files",
  ENOTDIR: "its folder is no folder",
  EACCES: "its folder may not be written to",
  EPERM: "its folder may not be written to",
  EROFS: "the disk is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "a file may not become that large here",
};

function notWritten(path: string, error: unknown): VectorFileError {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return new VectorFileError(path, `cannot be written: ${writingFailures[code] ?? message}`, {
    cause: error,
  });
}

function alreadyThere(path: string): VectorFileError {
  return new VectorFileError(path, "is there already; choose another name or allow overwriting");
}
