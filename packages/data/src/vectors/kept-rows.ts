import { ProblemLog, type RowProblem, type RowProblems } from "../loaders/rows.ts";
import type { RawBlock, RawReadOptions, RawRows } from "./raw-rows.ts";
import type { FieldValue, OpenVectorsOptions, VectorBlock, VectorSource } from "./source.ts";

const blockBytes = 4 * 2 ** 20;

/** The source of what a reader gives, without its bad rows. */
export function keptRows(name: string, raw: RawRows, options: OpenVectorsOptions): VectorSource {
  const log = new ProblemLog(false);
  const strict = new ProblemLog(true);
  /** Rows before this one have been examined, and their problems reported, in an earlier pass. */
  let examined = 0;
  const report = (row: number, problem: RowProblem): void => {
    if (options.strict) strict.add(problem);
    if (row < examined) return;
    log.add(problem);
    options.onProblem?.(problem);
  };
  return {
    name,
    rows: raw.rows,
    width: raw.width,
    dtype: raw.dtype,
    problems: log satisfies RowProblems,
    async *blocks({ rowsPerBlock, signal } = {}) {
      const signals = [signal, options.signal].filter((one) => one !== undefined);
      const reading: RawReadOptions = {
        rowsPerBlock: checkedRows(rowsPerBlock) ?? Math.max(1, Math.floor(blockBytes / (4 * raw.width))),
        signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
      };
      let start = 0;
      reading.signal?.throwIfAborted();
      for await (const block of raw.read(reading)) {
        const kept = keepGood(name, block, raw.width, options.zeros === "keep", start, report);
        examined = Math.max(examined, block.first + block.rows);
        start += kept.rows;
        if (kept.rows > 0) yield kept;
        reading.signal?.throwIfAborted();
      }
    },
    close: () => raw.close(),
  };
}

function checkedRows(rows: number | undefined): number | undefined {
  if (rows !== undefined && !(Number.isInteger(rows) && rows >= 1))
    throw new RangeError(`blocks: rowsPerBlock must be an integer >= 1, got ${rows}`);
  return rows;
}

/** Moves good rows together, in place. */
function keepGood(
  name: string,
  block: RawBlock,
  width: number,
  keepZeros: boolean,
  start: number,
  report: (row: number, problem: RowProblem) => void,
): VectorBlock {
  const { values } = block;
  const indices = new Float64Array(block.rows);
  let rows = 0;
  for (let row = 0; row < block.rows; row++) {
    const at = row * width;
    const problem = block.unreadable?.get(row) ?? badRow(values, at, width, keepZeros);
    if (problem) {
      const line = block.lines ? (block.lines[row] as number) : block.first + row + 1;
      report(block.first + row, { file: name, line, ...problem });
      continue;
    }
    if (rows < row) values.copyWithin(rows * width, at, at + width);
    indices[rows++] = block.first + row;
  }
  if (rows === block.rows) return { start, rows, values, indices, fields: block.fields };
  const kept = indices.subarray(0, rows);
  const fields: [string, FieldValue[]][] = Object.entries(block.fields).map(([field, column]) => [
    field,
    Array.from(kept, (index) => column[index - block.first] as FieldValue),
  ]);
  return {
    start,
    rows,
    values: values.subarray(0, rows * width),
    indices: kept,
    fields: Object.fromEntries(fields),
  };
}

function badRow(
  values: Float32Array,
  at: number,
  width: number,
  keepZeros: boolean,
): { readonly reason: string; readonly value: string } | undefined {
  // x * 0 is NaN exactly for NaN and infinities; one sum tells both questions without a branch a number.
  let finite = 0;
  let size = 0;
  for (let i = at; i < at + width; i++) {
    const x = values[i] as number;
    finite += x * 0;
    size += Math.abs(x);
  }
  if (finite !== 0) {
    let column = 0;
    while (Number.isFinite(values[at + column])) column++;
    return { reason: "row has a value that is not finite", value: `${values[at + column]} at ${column}` };
  }
  if (size === 0 && !keepZeros) return { reason: "row is all zeros", value: `${width} zeros` };
  return undefined;
}
