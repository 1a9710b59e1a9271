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

/** @throws VectorFileError when the file holds no single column */
export async function planLabels(
  labels: LabelInput | undefined,
  column: string | undefined,
): Promise<LabelPlan | null> {
  if (labels === undefined) return null;
  if (typeof labels === "string") {
    const paths = (await isFile(labels)) ? [labels] : labels.split(",");
    const files = await Promise.all(paths.map(isFile));
    if (paths.length > 2 || files.includes(false)) return { kind: "column", column: labels };
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
