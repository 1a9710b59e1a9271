import type { OutputFile } from "./output-file.ts";
import type { FieldValue } from "./source.ts";
import type { EncoderOptions, VectorEncoder } from "./vector-writer.ts";
import { shortNumber } from "./write-jsonl.ts";

const pieceCharacters = 2 ** 20;

/** A heading line, fields first, then one column a number: `id,v0,v1,...`. Tabs for `.tsv`. */
export function csvEncoder(file: OutputFile, options: EncoderOptions): VectorEncoder {
  const { width, fields, column = "v" } = options;
  const tabs = /\.tsv$/i.test(file.path);
  const delimiter = tabs ? "\t" : ",";
  const cell = tabs ? tabCell : commaCell;
  return {
    async begin() {
      const names = [...fields.map(cell), ...Array.from({ length: width }, (_, i) => cell(`${column}${i}`))];
      await file.write(Buffer.from(`${names.join(delimiter)}\n`));
    },
    async write(block) {
      let text = "";
      for (let row = 0; row < block.rows; row++) {
        const cells = fields.map((name) => cell(block.fields?.[name]?.[row] ?? null));
        for (let i = row * width; i < (row + 1) * width; i++) {
          const value = block.values[i] as number;
          cells.push(Number.isFinite(value) ? shortNumber(value) : String(value));
        }
        text += `${cells.join(delimiter)}\n`;
        if (text.length < pieceCharacters) continue;
        await file.write(Buffer.from(text));
        text = "";
      }
      await file.write(Buffer.from(text));
    },
    end: async () => {},
  };
}

function commaCell(value: FieldValue): string {
  const text = value === null ? "" : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Tab-separated files have no quoting: what would end a cell becomes a space. */
function tabCell(value: FieldValue): string {
  return value === null ? "" : String(value).replace(/[\t\r\n]/g, " ");
}
