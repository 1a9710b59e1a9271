import { formatShape, ShapeError } from "./errors.ts";

type Words<S extends string> = S extends `${infer Head} ${infer Tail}`
  ? Head | Words<Tail>
  : S extends ""
    ? never
    : S;
type AxisNames<P extends string> = {
  readonly [A in Exclude<Words<P>, "..."> as A extends `${number}` ? never : A]: number;
};
type Shaped = { readonly shape: readonly number[] };

/**
 * Checks shapes against named axes and returns the size of each axis.
 *
 *   const { B, D } = checkAxes("infoNCE", { a: [a, "B D"], b: [b, "B D"] });
 *
 * A pattern is a list of axis names parted by blanks; a number demands that size, a leading `...` allows any
 * number of axes before the named ones. The same name must have the same size everywhere.
 *
 * @throws ShapeError that names the operation, the tensor, the axis and both sizes
 */
export function checkAxes<const P extends string>(
  operation: string,
  tensors: Readonly<Record<string, readonly [tensor: Shaped, pattern: P]>>,
): AxisNames<P> {
  const sizes = new Map<string, { size: number; owner: string }>();
  for (const [name, [tensor, pattern]] of Object.entries(tensors)) {
    const all = pattern.split(" ").filter((word) => word !== "");
    const open = all[0] === "...";
    const names = open ? all.slice(1) : all;
    const { shape } = tensor;
    const described = `${operation}: ${name} has shape ${formatShape(shape)}`;
    if (open ? shape.length < names.length : shape.length !== names.length) {
      throw new ShapeError(`${described}, expected axes [${all.join(", ")}]`);
    }
    const offset = shape.length - names.length;
    names.forEach((axis, i) => {
      const size = shape[offset + i] as number;
      const literal = /^\d+$/.test(axis);
      const known = literal ? { size: Number(axis), owner: "the operation" } : sizes.get(axis);
      if (known && known.size !== size) {
        throw new ShapeError(
          `${described}: axis ${literal ? offset + i : axis} is ${size}, but ${known.owner} needs ${known.size}`,
        );
      }
      if (!known) sizes.set(axis, { size, owner: `${axis} of ${name}` });
    });
  }
  return Object.fromEntries([...sizes].map(([axis, { size }]) => [axis, size])) as unknown as AxisNames<P>;
}

/** A valid, non-negative axis number. */
export function normalizeAxis(operation: string, axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= rank) {
    throw new ShapeError(`${operation}: axis ${axis} does not exist in a tensor of rank ${rank}`);
  }
  return normal;
}

/** Sorted, non-negative axes; all axes when none are given. */
export function normalizeAxes(
  operation: string,
  axes: number | readonly number[] | undefined,
  rank: number,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const list = typeof axes === "number" ? [axes] : axes;
  const normal = list.map((axis) => normalizeAxis(operation, axis, rank)).sort((a, b) => a - b);
  if (new Set(normal).size !== normal.length)
    throw new ShapeError(`${operation}: an axis is named twice in [${list.join(", ")}]`);
  return normal;
}

/** The shape that two shapes broadcast to (as in NumPy). */
export function broadcastShapes(operation: string, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${operation}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: axis ${i - rank} is ${m} and ${n}`,
      );
    }
    return m === 1 ? n : m;
  });
}

/** Throws unless the sliding window of a convolution or pool has whole sizes and steps >= 1 and borders >= 0. */
export function checkWindow(
  operation: string,
  window: Readonly<Record<"size" | "stride" | "padding", number | readonly number[]>>,
): void {
  for (const [name, value] of Object.entries(window)) {
    const least = name === "padding" ? 0 : 1;
    if ([value].flat().some((n) => !Number.isInteger(n) || n < least))
      throw new ShapeError(
        `${operation}: ${name} must be an integer >= ${least}, got ${[value].flat().join(", ")}`,
      );
  }
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}
