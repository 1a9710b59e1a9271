import { FormatError } from "../formats/item.ts";

/** One value's text; null when it is longer than the limit. */
export interface JsonText {
  readonly text: string | null;
  /** e.g. `line 12` or `element 3`. */
  readonly position: string;
}

const MAX_VALUE_CHARACTERS = 4 * 2 ** 20;

/** The lines of a text that are not blank. A line longer than 4 MiB comes as null. */
export async function* jsonLines(pieces: AsyncIterable<string>): AsyncGenerator<JsonText, void, undefined> {
  let rest = "";
  let line = 0;
  let tooLong = false;
  const finish = (text: string): JsonText => {
    const long = tooLong || text.length > MAX_VALUE_CHARACTERS;
    tooLong = false;
    return { text: long ? null : text, position: `line ${++line}` };
  };
  for await (const piece of pieces) {
    const parts = piece.split("\n");
    const last = parts.pop() as string;
    for (const part of parts) {
      const value = finish(rest + part);
      rest = "";
      if (value.text === null || value.text.trim() !== "") yield value;
    }
    rest += last;
    if (rest.length > MAX_VALUE_CHARACTERS) {
      rest = "";
      tooLong = true;
    }
  }
  if (tooLong || rest.trim() !== "") yield finish(rest);
}

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN = new Set([91, 123]);
const CLOSE = new Set([93, 125]);
const BLANK_OR_COMMA = new Set([9, 10, 13, 32, 44]);
const ARRAY_START = 91;
const ARRAY_END = 93;

/**
 * The objects of a JSON text: the elements of a list, or objects one after another. Each is cut out by its brackets and
 * not otherwise checked, so that a list larger than memory can be read and a bad element does not cost the others.
 *
 * @throws FormatError when the text ends inside a value, or holds something else between them
 */
export async function* jsonValues(pieces: AsyncIterable<string>): AsyncGenerator<JsonText, void, undefined> {
  let depth = 0;
  let base: number | null = null;
  let inString = false;
  let escaped = false;
  let kept = "";
  let tooLong = false;
  let element = 0;
  for await (const piece of pieces) {
    let start = depth > (base ?? 0) ? 0 : -1;
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i);
      if (inString) {
        if (escaped) escaped = false;
        else if (code === BACKSLASH) escaped = true;
        else if (code === QUOTE) inString = false;
      } else if (base === null) {
        if (BLANK_OR_COMMA.has(code)) continue;
        if (!OPEN.has(code)) throw new FormatError("expected JSON that begins with [ or {");
        base = code === ARRAY_START ? 1 : 0;
        depth = 1;
        if (base === 0) start = i;
      } else if (depth <= base) {
        if (BLANK_OR_COMMA.has(code) || (depth === 1 && code === ARRAY_END)) {
          if (code === ARRAY_END) depth = 0;
          continue;
        }
        if (code !== 123 || (base === 1 && depth === 0)) {
          throw new FormatError(
            `expected an object after element ${element}, got ${JSON.stringify(piece[i])}`,
          );
        }
        start = i;
        depth++;
      } else if (code === QUOTE) inString = true;
      else if (OPEN.has(code)) depth++;
      else if (CLOSE.has(code)) {
        depth--;
        if (depth > base) continue;
        const text = kept + piece.slice(start, i + 1);
        yield {
          text: tooLong || text.length > MAX_VALUE_CHARACTERS ? null : text,
          position: `element ${++element}`,
        };
        kept = "";
        tooLong = false;
        start = -1;
      }
    }
    if (start !== -1) kept += piece.slice(start);
    if (kept.length > MAX_VALUE_CHARACTERS) {
      kept = "";
      tooLong = true;
    }
  }
  if (depth > 0 || base === null) throw new FormatError(`the JSON text ends inside element ${element + 1}`);
}
