import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import { mul } from "./arithmetic.ts";
import { matmul } from "./matmul.ts";
import { diagonal } from "./rearrange.ts";
import { reshape, sum, transpose } from "./structure.ts";

/** A tensor with the name of each axis: a letter, or ".0", ".1", … for the axes of an ellipsis, from the last one. */
interface Named {
  readonly x: Tensor;
  readonly names: readonly string[];
}

interface Equation {
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

const TERM = /^([a-zA-Z]*)(\.\.\.)?([a-zA-Z]*)$/;

function axisNames(text: string, equation: string, ellipsis: number): string[] {
  const parts = TERM.exec(text);
  if (!parts)
    throw new ShapeError(`einsum: '${text}' in '${equation}' is no list of letters with at most one '...'`);
  const [, before = "", dots, after = ""] = parts;
  const open = dots ? Array.from({ length: ellipsis }, (_, i) => `.${ellipsis - 1 - i}`) : [];
  return [...before, ...open, ...after];
}

function parse(equation: string, tensors: readonly Tensor[]): Equation {
  const [left = "", right, ...more] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (more.length > 0) throw new ShapeError(`einsum: '${equation}' has more than one '->'`);
  if (terms.length !== tensors.length)
    throw new ShapeError(`einsum: '${equation}' names ${terms.length} operands, got ${tensors.length}`);
  let widest = 0;
  const operands = terms.map((term, k) => {
    const { rank, shape } = tensors[k] as Tensor;
    const letters = axisNames(term, equation, 0).length;
    const open = term.includes("...");
    if (open ? rank < letters : rank !== letters)
      throw new ShapeError(
        `einsum: operand ${k} '${term}' has shape ${formatShape(shape)}, but ${open ? "at least " : ""}${letters} axes are named`,
      );
    widest = Math.max(widest, rank - letters);
    return axisNames(term, equation, rank - letters);
  });
  const all = operands.flat();
  const lone = [...new Set(all)].filter((name) => all.indexOf(name) === all.lastIndexOf(name));
  const implied = [...lone].filter((name) => !name.startsWith(".")).sort();
  const result =
    right === undefined
      ? [...axisNames("...", equation, widest), ...implied]
      : axisNames(right, equation, widest);
  for (const name of result) {
    const shown = name.startsWith(".") ? "..." : name;
    if (!all.includes(name))
      throw new ShapeError(`einsum: '${shown}' in the result of '${equation}' is in no operand`);
    if (result.indexOf(name) !== result.lastIndexOf(name))
      throw new ShapeError(`einsum: '${shown}' stands twice in the result of '${equation}'`);
  }
  return { operands, result };
}

/** Size of each axis; axes of an ellipsis broadcast from size 1. */
function axisSizes(
  equation: string,
  tensors: readonly Tensor[],
  operands: Equation["operands"],
): Map<string, number> {
  const sizes = new Map<string, { readonly size: number; readonly owner: number }>();
  operands.forEach((names, owner) => {
    names.forEach((name, axis) => {
      const size = (tensors[owner] as Tensor).shape[axis] as number;
      const known = sizes.get(name);
      const broadcast = name.startsWith(".");
      if (known && known.size !== size && !(broadcast && (size === 1 || known.size === 1)))
        throw new ShapeError(
          `einsum: ${broadcast ? "an axis of '...'" : `'${name}'`} in '${equation}' is ${known.size} in operand ${known.owner} ${formatShape((tensors[known.owner] as Tensor).shape)} and ${size} in operand ${owner} ${formatShape((tensors[owner] as Tensor).shape)}`,
        );
      if (!known || known.size === 1) sizes.set(name, { size, owner });
    });
  });
  return new Map([...sizes].map(([name, { size }]) => [name, size]));
}

function inOrder({ x, names }: Named, order: readonly string[]): Tensor {
  return transpose(
    x,
    order.map((name) => names.indexOf(name)),
  );
}

/** Repeated letters become one: the diagonal of their axes. */
function withoutRepeats({ x, names }: Named): Named {
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated === undefined) return { x, names };
  const [first, second] = [names.indexOf(repeated), names.indexOf(repeated, names.indexOf(repeated) + 1)];
  const rest = names.map((_, i) => i).filter((i) => i !== first && i !== second);
  const matrix = transpose(x, [...rest, first, second]);
  return withoutRepeats({ x: diagonal(matrix), names: [...rest.map((i) => names[i] as string), repeated] });
}

/** Sums over axes that nothing else names, and drops axes of size 1 that broadcast. */
function reduced({ x, names }: Named, keep: (name: string, size: number) => boolean): Named {
  const gone = names.flatMap((name, axis) => (keep(name, x.shape[axis] as number) ? [] : [axis]));
  if (gone.length === 0) return { x, names };
  return { x: sum(x, { axes: gone }), names: names.filter((_, axis) => !gone.includes(axis)) };
}

/** Product of two operands, summed over the shared axes that are not kept; the axes come as [shared, of a, of b]. */
function contracted(
  a: Named,
  b: Named,
  sizes: ReadonlyMap<string, number>,
  keep: ReadonlySet<string>,
): Named {
  const size = (names: readonly string[]): number =>
    names.reduce((product, name) => product * (sizes.get(name) as number), 1);
  const shared = a.names.filter((name) => b.names.includes(name));
  const [batch, inner] = [shared.filter((name) => keep.has(name)), shared.filter((name) => !keep.has(name))];
  const rows = a.names.filter((name) => !shared.includes(name));
  const columns = b.names.filter((name) => !shared.includes(name));
  const names = [...batch, ...rows, ...columns];
  const full = names.map((name) => sizes.get(name) as number);
  const outer = rows.length > 0 || columns.length > 0;
  if (inner.length === 0 || !outer) {
    // Without a sum, or without a matrix, entry by entry.
    const left = inOrder(a, [...batch, ...rows, ...inner]);
    const right = inOrder(b, [...batch, ...columns, ...inner]);
    const wide = [
      ...left.shape.slice(0, batch.length + rows.length),
      ...columns.map(() => 1),
      ...left.shape.slice(batch.length + rows.length),
    ];
    const product = mul(
      reshape(left, wide),
      reshape(right, [
        ...right.shape.slice(0, batch.length),
        ...rows.map(() => 1),
        ...right.shape.slice(batch.length),
      ]),
    );
    const summed = inner.map((_, i) => full.length + i);
    return { x: summed.length === 0 ? product : sum(product, { axes: summed }), names };
  }
  const matrices = (
    operand: Named,
    free: readonly string[],
    freeFirst: boolean,
  ): readonly [Tensor, boolean] => {
    const straight = [...batch, ...(freeFirst ? [...free, ...inner] : [...inner, ...free])];
    const turned = [...batch, ...(freeFirst ? [...inner, ...free] : [...free, ...inner])];
    const asIs =
      turned.every((name, i) => name === operand.names[i]) &&
      straight.some((name, i) => name !== operand.names[i]);
    const lead = batch.length > 0 ? [size(batch)] : [];
    const [m, n] = freeFirst === asIs ? [size(inner), size(free)] : [size(free), size(inner)];
    return [reshape(asIs ? operand.x : inOrder(operand, straight), [...lead, m, n]), asIs];
  };
  const [left, transposeA] = matrices(a, rows, true);
  const [right, transposeB] = matrices(b, columns, false);
  return { x: reshape(matmul(left, right, { transposeA, transposeB }), full), names };
}

/**
 * Sums of products by named axes, in Einstein's notation: each operand's axes get letters, equal letters are the same
 * axis, and letters that the result lacks are summed over.
 *
 *   einsum("bqd,bkd->bqk", queries, keys)    products of all pairs of rows, batch by batch
 *   einsum("ii->", x)                        trace
 *   einsum("...i,i->...", x, weights)        weighted sum over the last axis
 *
 * `...` stands for any number of axes, which broadcast. Without `->` the result has the axes of `...` and then the
 * letters that occur once, in alphabetical order. Lowered to matrix products of two operands at a time, the cheapest
 * first, with as few transpositions as their layouts allow.
 *
 * @throws ShapeError, DTypeError that names the letter, the operands and their sizes
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  const { operands, result } = parse(equation, tensors);
  for (const { dtype } of tensors)
    if (dtype !== tensors[0]?.dtype)
      throw new DTypeError(
        `einsum: operands have dtypes ${tensors.map((x) => x.dtype).join(", ")}; convert with cast()`,
      );
  const sizes = axisSizes(equation, tensors, operands);
  let left: Named[] = tensors.map((x, k) => withoutRepeats({ x, names: operands[k] as readonly string[] }));
  /** Names that the result or an operand other than these need. */
  const needed = (but: readonly Named[]): Set<string> =>
    new Set([...result, ...left.filter((operand) => !but.includes(operand)).flatMap(({ names }) => names)]);
  for (const operand of left) {
    const others = needed([operand]);
    const kept = reduced(operand, (name, size) => others.has(name) && (size !== 1 || sizes.get(name) === 1));
    left = left.map((other) => (other === operand ? kept : other));
  }
  while (left.length > 1) {
    const [a, b] = cheapestPair(left, sizes);
    const keep = needed([a, b]);
    const others = left.filter((operand) => operand !== a && operand !== b);
    const product = contracted(a, b, sizes, keep);
    const turned = others.length === 0 && product.names.some((name, i) => name !== result[i]);
    const other = turned ? contracted(b, a, sizes, keep) : product;
    left = [other.names.every((name, i) => name === result[i]) ? other : product, ...others];
  }
  return inOrder(left[0] as Named, result);
}

/** The two operands whose product takes the fewest multiplications. */
function cheapestPair(
  operands: readonly Named[],
  sizes: ReadonlyMap<string, number>,
): readonly [Named, Named] {
  let best: readonly [Named, Named] | undefined;
  let least = Number.POSITIVE_INFINITY;
  operands.forEach((a, i) => {
    for (const b of operands.slice(i + 1)) {
      const cost = [...new Set([...a.names, ...b.names])].reduce(
        (product, name) => product * (sizes.get(name) as number),
        1,
      );
      if (cost < least) [best, least] = [[a, b], cost];
    }
  });
  return best as readonly [Named, Named];
}
