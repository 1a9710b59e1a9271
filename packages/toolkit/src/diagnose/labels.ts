import { stat } from "node:fs/promises";
import { type FieldValue, openColumn } from "@concord/data";
import type { InputBlock } from "./inputs.ts";

/** One label a row; null for a row without one. */
export type LabelList = readonly FieldValue[];

/**
 * A label a row of A (and of B); a file with those of A, or two with a comma between them, of A and of B; or the name of
 * a column beside the vectors.
 */
export type LabelInput = string | LabelList | { readonly a: LabelList; readonly b?: LabelList };

/** Where labels come from once files are told from columns. */
export type LabelPlan =
  | { readonly kind: "column"; readonly column: string }
  | { readonly kind: "lists"; readonly a: LabelList; readonly b: LabelList | null };

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** What ends so is meant as a file, not as a column. */
const FILE_ENDING = /\.(txt|csv|tsv|jsonl|ndjson|parquet)(\.gz)?$/i;

/** @throws VectorFileError when the file holds no single column; RangeError when there is no such file */
export async function planLabels(
  labels: LabelInput | undefined,
  column: string | undefined,
): Promise<LabelPlan | null> {
  if (labels === undefined) return null;
  if (typeof labels === "string") {
    const paths = (await isFile(labels)) ? [labels] : labels.split(",");
    const files = await Promise.all(paths.map(isFile));
    if (paths.length > 2 || files.includes(false)) {
      const missing = paths.find((path, i) => !files[i] && FILE_ENDING.test(path));
      if (missing !== undefined) throw new RangeError(`labels: there is no file ${missing}`);
      return { kind: "column", column: labels };
    }
    const [a, b] = await Promise.all(
      paths.map((path) => openColumn(path, column === undefined ? {} : { column })),
    );
    return { kind: "lists", a: a ?? [], b: b ?? null };
  }
  if ("a" in labels) return { kind: "lists", a: labels.a, b: labels.b ?? null };
  return { kind: "lists", a: labels, b: null };
}

/** Numbers of labels by row, for two sets with common names. */
export class LabelCodes {
  readonly #numbers = new Map<string, number>();

  get names(): readonly string[] {
    return [...this.#numbers.keys()];
  }

  code(value: FieldValue | undefined): number {
    if (value === null || value === undefined || value === "") return -1;
    const name = String(value);
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}

/** @throws RangeError when labels of sampled rows cannot tell anything: none, one for all rows, or one for each row */
export function checkLabels(labels: Int32Array, names: readonly string[], name: string): void {
  const sizes = new Map<number, number>();
  for (const code of labels) if (code >= 0) sizes.set(code, (sizes.get(code) ?? 0) + 1);
  const wanted = "at least two different labels that several rows share are needed";
  if (sizes.size === 0) throw new RangeError(`${name}: no row has a label; ${wanted}`);
  const [first] = sizes.keys();
  if (sizes.size === 1)
    throw new RangeError(
      `${name}: all labelled rows have the label '${names[first as number]?.slice(0, 60)}'; ${wanted}`,
    );
  if ([...sizes.values()].filter((size) => size > 1).length < 2)
    throw new RangeError(
      `${name}: ${sizes.size} different labels for ${[...sizes.values()].reduce((sum, size) => sum + size, 0)} rows: these are names of rows, not of classes; ${wanted}`,
    );
}

/** Label of each row of one set by the row's number, filled as blocks come by. */
export class RowLabels {
  readonly #codes: LabelCodes;
  #labels = new Int32Array(1024).fill(-1);

  constructor(codes: LabelCodes) {
    this.#codes = codes;
  }

  addBlock(block: InputBlock, column: string): void {
    const values = block.fields[column];
    for (let i = 0; i < block.rows; i++) this.add(block.indices[i] as number, values?.[i]);
  }

  addList(list: LabelList): void {
    for (const [row, value] of list.entries()) this.add(row, value);
  }

  add(row: number, value: FieldValue | undefined): void {
    if (row >= this.#labels.length) {
      const wider = new Int32Array(Math.max(2 * this.#labels.length, row + 1)).fill(-1);
      wider.set(this.#labels);
      this.#labels = wider;
    }
    this.#labels[row] = this.#codes.code(value);
  }

  at(rows: ArrayLike<number>): Int32Array {
    return Int32Array.from({ length: rows.length }, (_, i) => this.#labels[rows[i] as number] ?? -1);
  }
}
