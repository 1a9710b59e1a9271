import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { FormatError } from "../formats/item.ts";

const CHUNK_BYTES = 2 ** 16;
const GZIP_MAGIC = [0x1f, 0x8b];
/** Most characters of text read from one file, after decompression. */
const MAX_CHARACTERS = 8 * 2 ** 30;

/** A file, or a stream that was opened elsewhere. */
export type TextInput = { readonly path: string } | { readonly stream: Readable };

/** What is wrong with bytes that were read as text. */
export interface Damage {
  /** Whether some of them were no UTF-8: they stand in the text as U+FFFD. */
  notUtf8: boolean;
}

export const NOT_UTF8 = "it is not UTF-8 text; save it as UTF-8 (not UTF-16 or Latin-1)";

const REPLACEMENT = "\ufffd";
const REPLACEMENT_BYTES = Buffer.from(REPLACEMENT);

/**
 * UTF-8 text in pieces, without a byte order mark; decompressed when the bytes are gzip, whatever the name.
 *
 * @param damage  is told what is found, piece by piece
 * @throws FormatError when the bytes are no whole gzip, or too many; errors of the file system as they are
 */
export async function* readText(input: TextInput, damage: Damage): AsyncGenerator<string, void, undefined> {
  const bytes = "path" in input ? createReadStream(input.path, { highWaterMark: CHUNK_BYTES }) : input.stream;
  const decoder = new TextDecoder();
  let characters = 0;
  let before = Buffer.alloc(0);
  for await (const chunk of unpacked(bytes)) {
    const text = decoder.decode(chunk, { stream: true });
    characters += text.length;
    if (characters > MAX_CHARACTERS) throw new FormatError(`it holds more than ${MAX_CHARACTERS} characters`);
    if (text.includes(REPLACEMENT)) {
      // U+FFFD may also be what the text really has; its first bytes may have come with the piece before.
      const meant = occurrences(Buffer.concat([before, chunk]), REPLACEMENT_BYTES);
      if (text.split(REPLACEMENT).length - 1 > meant) damage.notUtf8 = true;
    }
    before = Buffer.concat([before, chunk.subarray(-2)]).subarray(-2);
    if (text !== "") yield text;
  }
  const rest = decoder.decode();
  if (rest === "") return;
  damage.notUtf8 = true;
  yield rest;
}

function occurrences(whole: Buffer, part: Buffer): number {
  let count = 0;
  for (let at = whole.indexOf(part); at !== -1; at = whole.indexOf(part, at + part.length)) count++;
  return count;
}

async function* unpacked(bytes: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = chunksOf(bytes);
  try {
    let head = Buffer.alloc(0);
    while (head.length < GZIP_MAGIC.length) {
      const { value, done } = await iterator.next();
      if (done) break;
      head = Buffer.concat([head, value]);
    }
    const all = (async function* () {
      yield head;
      yield* iterator;
    })();
    if (!GZIP_MAGIC.every((byte, index) => head[index] === byte)) {
      yield* all;
      return;
    }
    const gunzip = createGunzip();
    // Errors of either end arrive in the loop.
    pipeline(Readable.from(all, { objectMode: false }), gunzip, () => {});
    yield* gunzip as AsyncIterable<Buffer>;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("Z_")) throw error;
    throw new FormatError(
      code === "Z_BUF_ERROR" ? "the gzip data end before their end" : `gzip: ${message}`,
      "",
      {
        cause: error,
      },
    );
  } finally {
    bytes.destroy();
  }
}

async function* chunksOf(bytes: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes as AsyncIterable<Buffer | string>) {
    yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  }
}

/** All of a text, which may have so many characters at most. */
export async function wholeText(pieces: AsyncIterable<string>, maxCharacters: number): Promise<string> {
  const kept: string[] = [];
  let characters = 0;
  for await (const piece of pieces) {
    characters += piece.length;
    if (characters > maxCharacters) throw new FormatError(`expected at most ${maxCharacters} characters`);
    kept.push(piece);
  }
  return kept.join("");
}
