import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { VectorFileError } from "./source.ts";

/** To open a pipe does not wait for somebody who writes to it, so that it can be refused. Windows has no such flag. */
export const READ_WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** A file that is read at places of one's own choice. */
export class ByteFile {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** @throws VectorFileError when there is no such file */
  static async open(path: string): Promise<ByteFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, READ_WITHOUT_WAITING);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code === "ENOENT" ? "there is no such file" : `cannot be opened (${code})`;
      throw new VectorFileError(path, reason, { cause: error });
    }
    const info = await handle.stat();
    if (info.isFile()) return new ByteFile(path, info.size, handle);
    await handle.close();
    throw new VectorFileError(path, info.isDirectory() ? "is a folder, not a file" : "is not a regular file");
  }

  /**
   * Bytes in memory of their own, so that they can be viewed as numbers.
   *
   * @throws VectorFileError when the file ends before
   */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset + length > this.size)
      throw new VectorFileError(
        this.path,
        `is truncated: ${offset + length} bytes are needed, ${this.size} are there`,
      );
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, offset);
    return bytes;
  }

  /** Fills `bytes` from the offset on. */
  async readInto(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, offset + done);
      if (bytesRead === 0)
        throw new VectorFileError(this.path, `ended at byte ${offset + done} while it was being read`);
      done += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
