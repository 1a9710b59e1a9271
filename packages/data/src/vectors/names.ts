/** Names in quotes, at most 50 of them. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 50).map((name) => JSON.stringify(name.slice(0, 80)));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : "";
  return `${shown.join(", ")}${more}`;
}

/**
 * `there is no column "lable"; did you mean "label"? There are "id", "label"`
 *
 * @param kind  e.g. `column` or `array`
 */
export function unknownName(kind: string, wanted: string, present: readonly string[]): string {
  const start = `there is no ${kind} ${JSON.stringify(wanted.slice(0, 80))}`;
  if (present.length === 0) return `${start}; there is none at all`;
  const close = nearest(wanted, present.slice(0, 1000));
  const hint = close === undefined ? "" : `; did you mean ${JSON.stringify(close.slice(0, 80))}?`;
  return `${start}${hint === "" ? ";" : hint} there are ${listNames(present)}`;
}

/** The name with the least edit distance, if that is at most a third of the longer length. */
function nearest(wanted: string, present: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of present) {
    const longer = Math.max(name.length, wanted.length);
    if (longer > 80) continue;
    const distance = editDistance(wanted.toLowerCase(), name.toLowerCase());
    if (distance < least && distance <= Math.max(1, longer / 3)) [best, least] = [name, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours (Damerau 1964, optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] as number;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        replaced,
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        swapped ? at(i - 2, j - 2) + 1 : a.length + b.length,
      );
    }
  }
  return at(a.length, b.length);
}
