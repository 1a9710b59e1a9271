import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";

/** Most characters of text read from one file, after decompression. */
const defaultMaxCharacters = 8 * 2 ** 30;

/**
 * The text of a UTF-8 file in pieces, without a byte order mark; a name that ends in `.gz` is decompressed.
 *
 * @throws Error naming the file when it cannot be read, is not UTF-8 or is longer than the limit
 */
export async function* readText(
  path: string,
  maxCharacters: number = defaultMaxCharacters,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const input = createReadStream(path, { highWaterMark: 2 ** 18 });
  const gunzip = path.endsWith(".gz") ? createGunzip() : undefined;
  if (gunzip) input.on("error", (error) => gunzip.destroy(error)).pipe(gunzip);
  let characters = 0;
  const counted = (text: string): string => {
    characters += text.length;
    if (characters > maxCharacters) throw new Error(`it holds more than ${maxCharacters} characters`);
    return text;
  };
  try {
    for await (const chunk of (gunzip ?? input) as AsyncIterable<Buffer>) {
      const text = counted(decoder.decode(chunk, { stream: true }));
      if (text !== "") yield text;
    }
    const rest = decoder.decode();
    if (rest !== "") yield counted(rest);
  } catch (error) {
    const notUtf8 = (error as NodeJS.ErrnoException).code === "ERR_ENCODING_INVALID_ENCODED_DATA";
    const reason = notUtf8
      ? "it is not UTF-8 text; save it as UTF-8 (not UTF-16 or Latin-1)"
      : (error as Error).message;
    throw new Error(`${path} cannot be read: ${reason}`, { cause: error });
  } finally {
    input.destroy();
    gunzip?.destroy();
  }
}

/** The same text with LF for CR LF and for a lone CR. */
export async function* unixLineBreaks(text: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let held = "";
  for await (const piece of text) {
    const all = held + piece;
    // A CR at the very end may be the first half of a CR LF.
    held = all.endsWith("\r") ? "\r" : "";
    const ready = all.slice(0, all.length - held.length).replace(/\r\n?/g, "\n");
    if (ready !== "") yield ready;
  }
  if (held !== "") yield "\n";
}

export interface TextLine {
  /** Without its line break. Null when the line is longer than the limit. */
  readonly text: string | null;
  /** From 1. */
  readonly line: number;
}

/** The lines of a file, which end with LF, CR LF or CR. */
export async function* readLines(path: string, maxLineCharacters = 2 ** 20): AsyncGenerator<TextLine> {
  let rest = "";
  let tooLong = false;
  let line = 0;
  const finish = (text: string): TextLine => {
    const long = tooLong || text.length > maxLineCharacters;
    tooLong = false;
    return { text: long ? null : text, line: ++line };
  };
  for await (const chunk of unixLineBreaks(readText(path))) {
    const parts = chunk.split("\n");
    for (let i = 0; i < parts.length - 1; i++) {
      yield finish(rest + (parts[i] as string));
      rest = "";
    }
    rest += parts.at(-1) as string;
    if (rest.length > maxLineCharacters) {
      rest = "";
      tooLong = true;
    }
  }
  if (rest !== "" || tooLong) yield finish(rest);
}

/** Largest JSON file that is read as a whole: the longest string that the runtime can hold is 2^29 characters. */
const maxJsonCharacters = 500e6;

/** @throws Error naming the file when it is not JSON or too large */
export async function readJson(path: string): Promise<unknown> {
  const pieces: string[] = [];
  for await (const piece of readText(path, maxJsonCharacters)) pieces.push(piece);
  try {
    return JSON.parse(pieces.join(""));
  } catch (error) {
    throw new Error(`${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
}
