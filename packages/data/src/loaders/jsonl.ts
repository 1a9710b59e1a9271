import { isRecord } from "../json.ts";
import { columnNames, missingColumn, type PairColumns, textList } from "./columns.ts";
import { type PairSource, shownValue } from "./rows.ts";
import { readLines } from "./text-file.ts";

/**
 * Captioned images from a file with one JSON object a line. The caption field holds one caption or a list.
 * Other fields with texts, numbers or booleans become labels. UTF-8, gzip by name (`.jsonl.gz`).
 *
 * @throws Error when the file cannot be read; when no object has the image or the caption field, the message
 *   lists the fields of the first one
 */
export function jsonlPairs(file: string, columns: PairColumns = {}): PairSource {
  const names = columnNames(columns);
  return {
    file,
    async *rows(report) {
      const seen = new Set<string>();
      let firstFields: { readonly line: number; readonly names: readonly string[] } | undefined;
      for await (const { text, line } of readLines(file)) {
        if (text !== null && text.trim() === "") continue;
        const record = text === null ? null : parseObject(text);
        if (record === null) {
          const reason = text === null ? "line is too long" : "line is not a JSON object";
          report({ file, line, reason, value: shownValue(text ?? "") });
          continue;
        }
        firstFields ??= { line, names: Object.keys(record) };
        const image = record[names.image];
        const captions = textList(record[names.caption]);
        for (const name of [names.image, names.caption]) if (Object.hasOwn(record, name)) seen.add(name);
        if (typeof image !== "string" || captions === null) {
          const field = typeof image !== "string" ? names.image : names.caption;
          const reason = `field ${JSON.stringify(field)} is missing or not a text`;
          report({ file, line, reason, value: shownValue(record[field] ?? null) });
          continue;
        }
        const labels = new Map<string, string>();
        for (const [name, value] of Object.entries(record)) {
          const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
          if (plain && name !== names.image && name !== names.caption) labels.set(name, String(value));
        }
        for (const caption of captions) yield { image, caption, labels, file, line };
      }
      for (const name of [names.image, names.caption]) {
        if (firstFields && !seen.has(name))
          throw missingColumn(file, firstFields.line, name, firstFields.names);
      }
    },
  };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}
