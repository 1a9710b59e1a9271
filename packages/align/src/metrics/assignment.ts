import { checkFinite } from "./checks.ts";

export interface Assignment {
  /** Column of each row; -1 for a row that stays without (more rows than columns). */
  readonly columnOfRow: Int32Array;
  /** Sum of the chosen values. */
  readonly total: number;
}

/** Shortest augmenting paths on costs with rows ≤ columns; the row of each column, or -1. */
function rowOfColumns(
  costAt: (row: number, column: number) => number,
  rows: number,
  columns: number,
): Int32Array {
  const potentialOfRow = new Float64Array(rows);
  const potentialOfColumn = new Float64Array(columns + 1);
  // Column `columns` is where each search starts: it holds the row that is to be placed.
  const start = columns;
  const rowOf = new Int32Array(columns + 1).fill(-1);
  const previous = new Int32Array(columns);
  const distance = new Float64Array(columns);
  const done = new Uint8Array(columns + 1);
  for (let row = 0; row < rows; row++) {
    rowOf[start] = row;
    let column = start;
    distance.fill(Number.POSITIVE_INFINITY);
    done.fill(0);
    while (rowOf[column] !== -1) {
      done[column] = 1;
      const from = rowOf[column] as number;
      let shortest = Number.POSITIVE_INFINITY;
      let next = -1;
      for (let j = 0; j < columns; j++) {
        if (done[j]) continue;
        const reduced = costAt(from, j) - (potentialOfRow[from] as number) - (potentialOfColumn[j] as number);
        if (reduced < (distance[j] as number)) {
          distance[j] = reduced;
          previous[j] = column;
        }
        if ((distance[j] as number) < shortest) {
          shortest = distance[j] as number;
          next = j;
        }
      }
      for (let j = 0; j <= columns; j++) {
        if (done[j]) {
          const owner = rowOf[j] as number;
          potentialOfRow[owner] = (potentialOfRow[owner] as number) + shortest;
          potentialOfColumn[j] = (potentialOfColumn[j] as number) - shortest;
        } else if (j < columns) {
          distance[j] = (distance[j] as number) - shortest;
        }
      }
      column = next;
    }
    while (column !== start) {
      const before = previous[column] as number;
      rowOf[column] = rowOf[before] as number;
      column = before;
    }
  }
  return rowOf.subarray(0, columns);
}

/**
 * Linear assignment: pairs each row with a column of its own so that the sum of the chosen values is least (or, with
 * `maximize`, greatest). A rectangular table leaves the longer side's rest without partner. O(min² · max) time.
 * Where several assignments are best, one of them.
 *
 * @param values            [R, C] numbers, row after row
 * @param rows              R ≥ 1
 * @param columns           C ≥ 1
 * @param options.maximize  default false
 * @throws RangeError when there are not R · C values or one is not finite
 * @source Kuhn 1955; shortest augmenting paths: Jonker, Volgenant 1987
 */
export function linearAssignment(
  values: ArrayLike<number>,
  rows: number,
  columns: number,
  { maximize = false }: { readonly maximize?: boolean } = {},
): Assignment {
  const operation = "linearAssignment";
  checkFinite(operation, "values", values);
  if (values.length !== rows * columns) {
    throw new RangeError(
      `${operation}: needs ${rows} × ${columns} values, one for each row and column, got ${values.length}`,
    );
  }
  const sign = maximize ? -1 : 1;
  const columnOfRow = new Int32Array(rows).fill(-1);
  if (rows <= columns) {
    rowOfColumns((row, column) => sign * (values[row * columns + column] as number), rows, columns).forEach(
      (row, column) => {
        if (row >= 0) columnOfRow[row] = column;
      },
    );
  } else {
    rowOfColumns((column, row) => sign * (values[row * columns + column] as number), columns, rows).forEach(
      (column, row) => {
        columnOfRow[row] = column;
      },
    );
  }
  const total = columnOfRow.reduce(
    (sum, column, row) => (column < 0 ? sum : sum + (values[row * columns + column] as number)),
    0,
  );
  return { columnOfRow, total };
}
