import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { columnNames, missingColumn, type PairColumns, textList } from "./columns.ts";
import { type PairSource, shownValue } from "./rows.ts";
import { readText, unixLineBreaks } from "./text-file.ts";

export interface CsvOptions extends PairColumns {
  /** One character. Default: tab for `.tsv` and `.tsv.gz`, else comma. */
  readonly delimiter?: string;
  /** Quoting character, or null for files without quoting. Default: null for tab-separated files, else `"`. */
  readonly quote?: string | null;
  /** `text`: one caption a row; `json`: the caption column holds a JSON list of captions. Default `text`. */
  readonly captionFormat?: "text" | "json";
}

/** Longest row in characters; guards against a quote that is never closed. */
const maxRowCharacters = 2 ** 20;

interface CsvRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
  readonly raw: string;
}

/**
 * Captioned images from a CSV or TSV file with a heading line. Columns other than image and caption become
 * labels. UTF-8 with or without byte order mark, any line ends, quoted delimiters and line breaks, gzip by name.
 *
 * @throws Error when the file cannot be read, is empty, or lacks a column (the message lists those it has)
 */
export function csvPairs(file: string, options: CsvOptions = {}): PairSource {
  const { delimiter, quote } = csvDialect(file, options);
  const names = columnNames(options);
  return {
    file,
    async *rows(report) {
      let header: readonly string[] | undefined;
      for await (const { record, line } of csvRecords(file, { delimiter, quote })) {
        if (header === undefined) {
          header = record.map((name) => name.trim());
          for (const name of [names.image, names.caption])
            if (!header.includes(name)) throw missingColumn(file, line, name, header);
          continue;
        }
        if (record.length !== header.length) {
          const reason = `row has ${record.length} columns, the heading ${header.length}`;
          report({ file, line, reason, value: shownValue(record.join(delimiter)) });
          continue;
        }
        const text = record[header.indexOf(names.caption)] as string;
        const captions = options.captionFormat === "json" ? parseCaptionList(text) : [text];
        if (captions === null) {
          report({ file, line, reason: "caption is not a JSON list of texts", value: shownValue(text) });
          continue;
        }
        const image = record[header.indexOf(names.image)] as string;
        const labels = new Map<string, string>();
        header.forEach((name, i) => {
          if (name !== names.image && name !== names.caption) labels.set(name, record[i] as string);
        });
        for (const caption of captions) yield { image, caption, labels, file, line };
      }
      if (header === undefined)
        throw new Error(`${file} is empty: a heading line with column names is needed`);
    },
  };
}

function parseCaptionList(text: string): readonly string[] | null {
  try {
    return textList(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The delimiter and the quoting of a file, as its name tells where the options do not. */
export function csvDialect(
  file: string,
  options: Pick<CsvOptions, "delimiter" | "quote"> = {},
): { readonly delimiter: string; readonly quote: string | null } {
  const delimiter = options.delimiter ?? (/\.tsv(\.gz)?$/i.test(file) ? "\t" : ",");
  return {
    delimiter,
    quote: options.quote === undefined ? (delimiter === "\t" ? null : '"') : options.quote,
  };
}

/**
 * Rows, the heading included, with the line that they start at, from 1.
 *
 * @throws Error with file and line when a row does not end within the limit
 */
export async function* csvRecords(
  file: string,
  options: { readonly delimiter: string; readonly quote: string | null; readonly maxCharacters?: number },
): AsyncGenerator<{ readonly record: readonly string[]; readonly line: number }> {
  const { delimiter, quote, maxCharacters = maxRowCharacters } = options;
  const parser = parse({
    delimiter,
    quote,
    record_delimiter: "\n",
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: maxCharacters,
    info: true,
    raw: true,
  });
  const text = Readable.from(unixLineBreaks(readText(file)));
  text.on("error", (error) => parser.destroy(error)).pipe(parser);
  let end = 0;
  try {
    for await (const { record, info, raw } of parser as AsyncIterable<CsvRecord>) {
      end = info.lines;
      yield { record, line: end - (raw.trim().split("\n").length - 1) };
    }
  } catch (error) {
    if (error instanceof CsvError) {
      const reason =
        error.code === "CSV_MAX_RECORD_SIZE" || error.code === "CSV_QUOTE_NOT_CLOSED"
          ? "the row does not end; is a quote left open?"
          : error.message;
      throw new Error(`${file}:${end + 1}: ${reason}`, { cause: error });
    }
    throw error;
  } finally {
    text.destroy();
    parser.destroy();
  }
}
