/** Class or cluster names of N things: numbers or strings. */
export type Labels = ArrayLike<number> | ArrayLike<string>;

/** @throws RangeError when the list is empty, or one of its numbers is NaN or infinite */
export function checkFinite(operation: string, name: string, values: ArrayLike<number>): void {
  if (values.length === 0) throw new RangeError(`${operation}: ${name} is empty; needs at least one value`);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]))
      throw new RangeError(`${operation}: ${name} must be finite numbers, got ${values[i]} at index ${i}`);
  }
}

/** @throws RangeError when two lists that belong together differ in length */
export function checkSameLength(
  operation: string,
  a: readonly [name: string, values: ArrayLike<unknown>],
  b: readonly [name: string, values: ArrayLike<unknown>],
): void {
  if (a[1].length !== b[1].length) {
    throw new RangeError(
      `${operation}: ${a[0]} and ${b[0]} must have one length, got ${a[1].length} and ${b[1].length}`,
    );
  }
}

/** @throws RangeError unless there are `count` labels, each an integer in [0, classes) */
export function checkLabels(
  operation: string,
  labels: ArrayLike<number>,
  count: number,
  classes: number,
): void {
  if (labels.length !== count)
    throw new RangeError(`${operation}: needs ${count} labels, got ${labels.length}`);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      const range = Number.isFinite(classes) ? `in [0, ${classes})` : ">= 0";
      throw new RangeError(`${operation}: label ${i} must be an integer ${range}, got ${label}`);
    }
  }
}

/** @throws RangeError unless the value is an integer of at least `least` (and at most `most`) */
export function checkCount(
  operation: string,
  name: string,
  value: number,
  least = 1,
  most = Number.POSITIVE_INFINITY,
): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    const range = Number.isFinite(most) ? `in [${least}, ${most}]` : `>= ${least}`;
    throw new RangeError(`${operation}: ${name} must be an integer ${range}, got ${value}`);
  }
}

/**
 * Names in ascending order (numbers by value, strings by code unit) and, for every list, the number of each of its
 * labels in that order.
 *
 * @throws RangeError when a list is empty, a label is NaN or infinite, or numbers and strings are mixed
 */
export function encodeLabels(
  operation: string,
  ...lists: readonly (readonly [name: string, labels: Labels])[]
): { readonly names: readonly (number | string)[]; readonly codes: readonly Int32Array[] } {
  const kinds = new Set<string>();
  const distinct = new Set<number | string>();
  for (const [name, labels] of lists) {
    if (labels.length === 0) throw new RangeError(`${operation}: ${name} is empty; needs at least one label`);
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number | string;
      if (typeof label !== "string" && !Number.isFinite(label)) {
        throw new RangeError(
          `${operation}: ${name} must be strings or finite numbers, got ${label} at index ${i}`,
        );
      }
      kinds.add(typeof label);
      distinct.add(label);
    }
  }
  if (kinds.size > 1)
    throw new RangeError(`${operation}: labels must be all numbers or all strings, got both`);
  const names = [...distinct].sort((a, b) => (a < b ? -1 : 1));
  const numbers = new Map(names.map((name, i) => [name, i]));
  const codes = lists.map(([, labels]) =>
    Int32Array.from({ length: labels.length }, (_, i) => numbers.get(labels[i] as number | string) as number),
  );
  return { names, codes };
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}
