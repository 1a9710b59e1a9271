import { open } from "node:fs/promises";

/** How far a reader has come in a log file: which file, and the byte after the last whole line. */
export interface LogPosition {
  /** Inode: a file that was replaced by another is not the same, whatever its length. */
  readonly file: string;
  readonly offset: number;
}

export interface LogChunk {
  readonly lines: readonly string[];
  readonly position: LogPosition;
  /** The file is another one or has shrunk: what was read before no longer holds, and these lines are from its start. */
  readonly reset: boolean;
  /** There are further lines after these. */
  readonly more: boolean;
}

/** No record is longer than this; reading stops before a line that is. */
const MAX_LINE_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/** The start of a log that does not exist yet. */
export const LOG_START: LogPosition = { file: "", offset: 0 };

/** `123456-7890`, the form in which a position travels as an event id. */
export function positionText({ file, offset }: LogPosition): string {
  return `${file}-${offset}`;
}

/** Reads what `positionText` wrote; anything else is the start. */
export function parsePosition(text: string | undefined): LogPosition {
  const match = /^(\d{1,20})-(\d{1,15})$/.exec(text ?? "");
  return match ? { file: match[1]!, offset: Number(match[2]) } : LOG_START;
}

/**
 * Reads the whole lines that follow a position. A line that is still being written is left for the next time.
 * @param chunkBytes  how much to read at once
 */
export async function readLog(path: string, from: LogPosition, chunkBytes: number): Promise<LogChunk> {
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!handle) return { lines: [], position: LOG_START, reset: from.offset > 0, more: false };
  try {
    const { ino, size } = await handle.stat({ bigint: true });
    const file = String(ino);
    let reset = from.offset > 0 && (from.file !== file || from.offset > Number(size));
    if (!reset && from.offset > 0) {
      // A file rewritten in place and grown again past the position shows here: no line ends there.
      const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: from.offset - 1 });
      reset = buffer[0] !== NEWLINE;
    }
    const offset = reset ? 0 : from.offset;
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(chunkBytes), position: offset });
    const end = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
    if (end === 0 && bytesRead === chunkBytes && chunkBytes < MAX_LINE_BYTES) {
      return { ...(await readLog(path, { file, offset }, MAX_LINE_BYTES)), reset };
    }
    const lines = buffer
      .toString("utf8", 0, end)
      .split("\n")
      .filter((line) => line !== "");
    return {
      lines,
      position: { file, offset: offset + end },
      reset,
      more: end > 0 && offset + end < Number(size),
    };
  } finally {
    await handle.close();
  }
}
