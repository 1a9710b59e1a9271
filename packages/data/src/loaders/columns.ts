/** Which columns or fields hold what. */
export interface PairColumns {
  /** Default "image". */
  readonly image?: string;
  /** Default "caption". */
  readonly caption?: string;
}

export function columnNames(columns: PairColumns): { readonly image: string; readonly caption: string } {
  return { image: columns.image ?? "image", caption: columns.caption ?? "caption" };
}

/** Says which columns there are when one is missing. */
export function missingColumn(file: string, line: number, wanted: string, present: readonly string[]): Error {
  const shown = present.slice(0, 50).map((name) => JSON.stringify(name.slice(0, 80)));
  const more = present.length > shown.length ? ` and ${present.length - shown.length} more` : "";
  return new Error(
    `${file}:${line}: there is no column ${JSON.stringify(wanted)}; the columns are ${shown.join(", ")}${more}`,
  );
}

/** Texts of a field that holds one text or a list of texts; null when it holds something else. */
export function textList(value: unknown): readonly string[] | null {
  const list = Array.isArray(value) ? value : [value];
  return list.every((item) => typeof item === "string") && list.length > 0 ? list : null;
}
