import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Json } from "../../store/ports.ts";
import { fileItems } from "../files/items.ts";
import { isObject } from "../formats/json.ts";
import { type IngestSource, SourceError, type SourceReader, utcDay } from "./source.ts";

/** A file or an open stream. A file that was read in part goes on after its last record, if it has not changed. */
export function fileSource(source: Extract<IngestSource, { kind: "file" | "stream" }>): SourceReader {
  const path = source.kind === "file" ? resolve(source.path) : null;
  return {
    key: path === null ? `stream:${source.kind === "stream" ? source.name : ""}` : `file:${path}`,
    async *read(state, context) {
      const input = source.kind === "file" ? { path: source.path } : { stream: source.stream };
      const print = path === null ? null : await fingerprint(path);
      const skip =
        print !== null && isObject(state.cursor) && state.cursor.file === print
          ? Number(state.cursor.items)
          : 0;
      if (skip > 0) context.note(`goes on after record ${skip}`);
      const items = fileItems(input, {
        format: source.format,
        day: source.day,
        today: utcDay(context.now()),
        note: context.note,
      });
      async function* rest() {
        let number = 0;
        for await (const item of items) if (++number > skip) yield item;
      }
      yield {
        items: rest(),
        after: { cursor: null },
        ...(print === null
          ? {}
          : { cursorAfter: (read: number): Json => ({ file: print, items: skip + read }) }),
      };
    },
  };
}

async function fingerprint(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${size}-${Math.trunc(mtimeMs)}`;
}

const PAPER_FILE = /\.(?:jsonl|ndjson|json|xml|atom|rss|txt)(?:\.gz)?$/i;

/**
 * The files of a folder that may hold papers, by name; folders within are not looked into.
 *
 * @throws SourceError when there is none
 */
export async function filesOf(folder: string): Promise<Extract<IngestSource, { kind: "file" }>[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && PAPER_FILE.test(entry.name))
    .map(({ name }) => name);
  if (names.length === 0) {
    throw new SourceError(
      `${folder} holds no file that ends in .jsonl, .json, .xml or .txt, with or without .gz.`,
    );
  }
  return names.sort().map((name) => ({ kind: "file", path: join(folder, name) }));
}
