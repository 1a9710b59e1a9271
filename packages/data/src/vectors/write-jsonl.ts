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

/** The shortest of 6 to 9 significant digits that gives back the same float32. */
export function shortNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return Object.is(value, -0) ? "-0" : String(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
