import { parseAtom } from "../formats/atom.ts";
import { dumpItem } from "../formats/dump.ts";
import { FormatError, type Item, rejected } from "../formats/item.ts";
import { parseOai } from "../formats/oai.ts";
import { parseRss, rootName } from "../formats/rss.ts";
import { parseTextList } from "../formats/text-list.ts";
import { type JsonText, jsonLines, jsonValues } from "./json-values.ts";
import { type Damage, NOT_UTF8, readText, type TextInput, wholeText } from "./text.ts";

/** What files are read as: JSON objects by line or in a list, arXiv's XML, or the text of a Daily Papers page. */
export type FileFormat = "jsonl" | "json" | "xml" | "text";

export interface FileOptions {
  /** Default: told from the beginning of the text. */
  readonly format?: FileFormat | undefined;
  /** Of a text list: its day, YYYY-MM-DD; default: what its header says. */
  readonly day?: string | undefined;
  /** YYYY-MM-DD; see `parseTextList`. */
  readonly today: string;
  /** Called with what somebody should know of the file as a whole. */
  readonly note?: (text: string) => void;
}

/** XML and text lists are read as a whole. */
const MAX_DOCUMENT_CHARACTERS = 64 * 2 ** 20;
const PEEK_CHARACTERS = 2 ** 16;

/**
 * The papers of a file, each still to be parsed: what is skipped costs nothing.
 *
 * @throws FormatError when the file as a whole cannot be read
 */
export async function* fileItems(
  input: TextInput,
  options: FileOptions,
): AsyncGenerator<() => Item, void, undefined> {
  const damage: Damage = { notUtf8: false };
  const pieces = readText(input, damage);
  const { head, text } = await peeked(pieces);
  // Most of UTF-16 looks so.
  if (damage.notUtf8 && head.includes("\0")) throw new FormatError(NOT_UTF8);
  const format = options.format ?? formatOf(head);
  if (format === "jsonl" || format === "json") {
    for await (const value of format === "jsonl" ? jsonLines(text) : jsonValues(text))
      yield () => jsonItem(value, damage);
    return;
  }
  const document = await wholeText(text, MAX_DOCUMENT_CHARACTERS);
  if (damage.notUtf8) throw new FormatError(NOT_UTF8);
  for (const item of documentItems(document, format, options)) yield () => item;
}

function jsonItem({ text, position }: JsonText, { notUtf8 }: Damage): Item {
  if (text === null) return rejected(position, null, "a record of more than 4 MiB", "");
  const item = dumpItem(text, position);
  // One bad byte costs its record, not those behind it; and no record comes in with letters missing.
  if (!(notUtf8 && text.includes("\ufffd"))) return item;
  return rejected(position, item.kind === "paper" ? item.record.id : item.id, NOT_UTF8, text);
}

function* documentItems(document: string, format: "xml" | "text", options: FileOptions): Generator<Item> {
  if (format === "text") {
    const list = parseTextList(document, options);
    if (list.yearGuessed) {
      options.note?.(
        `the page's day has no year and was taken as ${list.day}; give its day if that is wrong`,
      );
    }
    yield* list.items;
    return;
  }
  const root = rootName(document);
  if (root === "feed") {
    const feed = parseAtom(document);
    for (const error of feed.errors) options.note?.(`arXiv says: ${error}`);
    yield* feed.items;
  } else if (root === "rss") yield* parseRss(document).items;
  else if (root === "OAI-PMH") yield* parseOai(document).items;
  else throw new FormatError(`expected Atom, RSS or OAI-PMH, got <${root ?? "no element"}>`);
}

/** The beginning of a text, and the whole of it. */
async function peeked(
  pieces: AsyncGenerator<string, void, undefined>,
): Promise<{ readonly head: string; readonly text: AsyncIterable<string> }> {
  let head = "";
  while (head.length < PEEK_CHARACTERS) {
    const { value, done } = await pieces.next();
    if (done) break;
    head += value;
  }
  async function* all(): AsyncGenerator<string, void, undefined> {
    if (head !== "") yield head;
    yield* pieces;
  }
  return { head, text: all() };
}

/**
 * What the beginning of a text looks like. With `{` in front it has one object a line when the first line ends with
 * one, or the second begins with one.
 *
 * @throws FormatError when it is empty or binary
 */
export function formatOf(head: string): FileFormat {
  const start = head.replace(/^\ufeff/, "").trimStart();
  if (start === "") throw new FormatError("the file is empty");
  if (start.includes("\0")) throw new FormatError("expected text, got binary data");
  if (start.startsWith("<")) return "xml";
  if (start.startsWith("[")) return "json";
  if (!start.startsWith("{")) return "text";
  const [first = "", second] = start.split("\n", 2);
  return second === undefined || first.trimEnd().endsWith("}") || second.startsWith("{") ? "jsonl" : "json";
}
