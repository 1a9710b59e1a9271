import { sizeOf } from "../../core/ndarray.ts";
import type { GraphBuilder } from "../../onnx/builder.ts";
import { blockOf, fromBlocked, padded, toBlocked, transposed, type Value } from "../../onnx/nchwc.ts";
import { convolveStack, type Operands } from "./blocked.ts";
import type { Border, ConvGeometry } from "./geometry.ts";

/** Along one axis: the taps of the kernel that reach the positions with the same rest modulo the stride. */
interface Rest {
  /** First tap, and their number; `stride` apart. */
  readonly first: number;
  readonly taps: number;
  readonly padding: Border;
}

/**
 * A transposed convolution with a stride s as convolutions of stride 1. Position t of the result with rest e modulo s,
 * t = s·q + e, only meets the taps i ≡ e + p: those make a small kernel of its own, applied to dy at distance
 * m = (e + p - i) / s from q. The results for all rests alternate.
 */
export interface Subpixel {
  readonly rests: readonly (readonly Rest[])[];
  /** Positions for each rest along each axis, before the end is cut. */
  readonly positions: readonly number[];
}

/** Undefined where the decomposition does not fit. */
export function subpixel(
  image: readonly number[],
  positions: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation, groups }: ConvGeometry,
): Subpixel | undefined {
  if (groups > 1 || dilation.some((gap) => gap > 1)) return undefined;
  const counts = image.map((n, axis) => Math.ceil(n / (stride[axis] as number)));
  const rests = image.map((_, axis) => {
    const [step, size] = [stride[axis] as number, kernel[axis] as number];
    const [before] = padding[axis] as Border;
    return Array.from({ length: step }, (__, rest): Rest => {
      const first = (rest + before) % step;
      const taps = Math.max(0, Math.ceil((size - first) / step));
      // Distances of dy: the first tap reaches furthest ahead.
      const high = (rest + before - first) / step;
      const low = high - taps + 1;
      const rows = (counts[axis] as number) - (positions[axis] as number);
      return { first, taps, padding: [-low, rows + high] };
    });
  });
  const fits = rests.flat().every(({ taps, padding }) => taps > 0 && padding.every((border) => border >= 0));
  return fits ? { rests, positions: counts } : undefined;
}

/** The kernel of one rest: [O, C, ...kernel] to [C, O, ...taps]. */
function restKernel(
  graph: GraphBuilder,
  weights: Value,
  rests: readonly Rest[],
  stride: readonly number[],
): Value {
  const [filters, channels] = weights.shape as [number, number];
  const bounds = (list: readonly number[]): string => graph.int64s(list);
  const last = rests.map(({ first, taps }, axis) => first + (taps - 1) * (stride[axis] as number));
  // Backwards, as in every adjoint; the end counts from behind the first entry.
  const ends = rests.map(({ first }, axis) => first - 1 - (weights.shape[axis + 2] as number));
  const picked = graph.node("Slice", [
    weights.name,
    bounds(last),
    bounds(ends),
    bounds(rests.map((_, axis) => axis + 2)),
    bounds(stride.map((step) => -step)),
  ]);
  const name = transposed(graph, picked, [1, 0, ...rests.map((_, axis) => axis + 2)]);
  return { name, dtype: weights.dtype, shape: [channels, filters, ...rests.map(({ taps }) => taps)] };
}

/** The rests along all axes together, the last axis fastest. */
function combinations(rests: Subpixel["rests"]): Rest[][] {
  return rests.reduce<Rest[][]>(
    (list, axis) => list.flatMap((some) => axis.map((rest) => [...some, rest])),
    [[]],
  );
}

function unitGeometry(rests: readonly Rest[]): ConvGeometry {
  const ones = rests.map(() => 1);
  return { groups: 1, stride: ones, dilation: ones, padding: rests.map(({ padding }) => padding) };
}

/** Cuts [B, C, ...wide] at the far end. */
function cutTo(graph: GraphBuilder, x: Value, shape: readonly number[]): string {
  return padded(
    graph,
    x,
    x.shape.map((n, axis): Border => [0, (shape[axis] as number) - n]),
  ).name;
}

/** Results of the rests in blocked order, [...rests, B, C / b, ...positions, b], to [B, C, ...image] in plain order. */
function alternate(
  graph: GraphBuilder,
  parts: readonly string[],
  shape: readonly number[],
  positions: readonly number[],
  stride: readonly number[],
): string {
  const block = blockOf(graph);
  const [batch, channels] = shape as [number, number];
  const blocks = Math.ceil(channels / block);
  const rank = positions.length;
  const each = [1, batch, blocks, ...positions, block];
  const together = graph.node(
    "Concat",
    parts.map((part) => graph.reshape(part, each)),
    { axis: 0 },
  );
  const all = graph.reshape(together, [...stride, ...each.slice(1)]);
  const mixed = transposed(graph, all, [
    rank,
    rank + 1,
    ...positions.flatMap((_, axis) => [rank + 2 + axis, axis]),
    2 * rank + 2,
  ]);
  const wide = positions.map((n, axis) => n * (stride[axis] as number));
  const rows = [batch, blocks * block, sizeOf(wide.slice(0, -1)), wide.at(-1) as number];
  const plain = fromBlocked(graph, graph.reshape(mixed, rows), channels);
  const whole = [batch, channels, ...wide];
  return cutTo(graph, { name: graph.reshape(plain, whole), dtype: "float32", shape: whole }, shape);
}

/** Transposed convolution of lines or images with a stride, see `Subpixel`; to [B, C, ...image], in plain layout. */
export function subpixelBlocked(
  graph: GraphBuilder,
  { x: dy, weights, bias }: Operands,
  shape: readonly number[],
  { rests, positions }: Subpixel,
  stride: readonly number[],
): string {
  const parts = combinations(rests).map((some) =>
    convolveStack(
      graph,
      { x: dy, weights: restKernel(graph, weights, some, stride), bias },
      unitGeometry(some),
    ),
  );
  return alternate(graph, parts, shape, positions, stride);
}

/** As `subpixelBlocked` for any number of axes and any kernels: `convolve` computes the parts in plain layout. */
export function subpixelPlain(
  graph: GraphBuilder,
  { x: dy, weights, bias }: Operands,
  shape: readonly number[],
  { rests, positions }: Subpixel,
  stride: readonly number[],
  convolve: (operands: Operands, shape: readonly number[], geometry: ConvGeometry) => string,
): string {
  const [batch, channels] = shape as [number, number];
  const parts = combinations(rests).map((some) => {
    const operands = { x: dy, weights: restKernel(graph, weights, some, stride), bias };
    return convolve(operands, [batch, channels, ...positions], unitGeometry(some));
  });
  const count = sizeOf(positions);
  if (graph.target.blockedConv) {
    // Runs of a whole block are exchanged much faster than single numbers.
    const blocked = parts.map((name) => {
      const flat = [batch, channels, 1, count];
      return toBlocked(graph, { name: graph.reshape(name, flat), dtype: dy.dtype, shape: flat });
    });
    return alternate(graph, blocked, shape, positions, stride);
  }
  const rank = positions.length;
  const each = [1, batch, channels, ...positions];
  const together = graph.node(
    "Concat",
    parts.map((part) => graph.reshape(part, each)),
    { axis: 0 },
  );
  const all = graph.reshape(together, [...stride, ...each.slice(1)]);
  const order = [rank, rank + 1, ...positions.flatMap((_, axis) => [rank + 2 + axis, axis])];
  const wide = [batch, channels, ...positions.map((n, axis) => n * (stride[axis] as number))];
  const name = graph.reshape(transposed(graph, all, order), wide);
  return cutTo(graph, { name, dtype: dy.dtype, shape: wide }, shape);
}
