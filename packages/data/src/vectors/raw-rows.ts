import type { FieldValue } from "./source.ts";

/** Rows as a format gives them, before bad ones are taken out. */
export interface RawBlock {
  /** Number of the first row in the file, from 0. */
  readonly first: number;
  readonly rows: number;
  /** [rows, width]; belongs to the receiver. */
  readonly values: Float32Array;
  readonly fields: Readonly<Record<string, readonly FieldValue[]>>;
  /** Lines of a text file, from 1. Without them problems name the row. */
  readonly lines?: readonly number[];
  /** Rows that could not be read at all, by position in the block. */
  readonly unreadable?: ReadonlyMap<number, { readonly reason: string; readonly value: string }>;
}

export interface RawReadOptions {
  readonly rowsPerBlock: number;
  readonly signal: AbortSignal | undefined;
}

/** What a format's reader knows and does. */
export interface RawRows {
  readonly rows: number | null;
  readonly width: number;
  readonly dtype: string;
  read(options: RawReadOptions): AsyncIterable<RawBlock>;
  close(): Promise<void>;
}
