import type { OutputFile } from "./output-file.ts";
import type { EncoderOptions, VectorEncoder } from "./vector-writer.ts";

/** Text is handed to the file in pieces of about this many characters. */
const pieceCharacters = 2 ** 20;

/** One JSON object a line, fields first. Numbers have as many digits as a float32 needs; NaN becomes null. */
export function jsonlEncoder(file: OutputFile, options: EncoderOptions): VectorEncoder {
  const { width, fields, column = "vector" } = options;
  return {
    begin: async () => {},
    async write(block) {
      let text = "";
      for (let row = 0; row < block.rows; row++) {
        const record = Object.fromEntries(fields.map((name) => [name, block.fields?.[name]?.[row] ?? null]));
        const start = JSON.stringify(record).slice(0, -1);
        const numbers: string[] = [];
        for (let i = row * width; i < (row + 1) * width; i++) {
          const value = block.values[i] as number;
          numbers.push(Number.isFinite(value) ? shortNumber(value) : "null");
        }
        text += `${start}${fields.length > 0 ? "," : ""}${JSON.stringify(column)}:[${numbers.join(",")}]}\n`;
        if (text.length < pieceCharacters) continue;
        await file.write(Buffer.from(text));
        text = "";
      }
      await file.write(Buffer.from(text));
    },
    end: async () => {},
  };
}

/** A float32 in at most nine significant digits, so that reading gives back the same bits; 0.1 stays 0.1. */
export function shortNumber(value: number): string {
  const short = Number(value.toPrecision(8));
  if (Object.is(value, -0)) return "-0";
  return String(Math.fround(short) === value ? short : Number(value.toPrecision(9)));
}
