import type { GraphBuilder } from "../../onnx/builder.ts";
import {
  blockedConv,
  blockOf,
  blockRows,
  fitted,
  padded,
  roundUp,
  toBlocked,
  transposed,
  type Value,
} from "../../onnx/nchwc.ts";
import { asImages, channelsLast } from "./blocked.ts";
import { adjointWeights } from "./columns.ts";
import type { Border, ConvGeometry } from "./geometry.ts";
import { adjoint } from "./geometry.ts";

/*
 * The gradient of the weights is a convolution too, of x with dy as its kernel:
 *
 *   dW[o, c, i, j] = Σ_{n, r, s} dy[n, o, r, s] · x[n, c, i + r, j + s]
 *
 * It runs fast on the blocked kernels when the batch takes the place of the channels and the input channels that of
 * columns: an image of H rows and W · C columns with "channels" n, and kernels of R rows and S columns that are C
 * columns apart. The result has a row for each i and a column for each pair (j, c), and blocks of output channels.
 * Blocks of the batch are groups, whose results are added at the end. Where the batch is no multiple of the block, or
 * space has three axes, the outermost axis of space joins the batch, and each of its kernel entries gets a
 * convolution of its own.
 */

/** Bytes of dy that one pass over it should touch: well within a second-level cache. */
const CACHE_BYTES = 1 << 19;
/** Blocks of filters that the kernels compute together. */
const FILTER_BLOCKS = 4;

/** A batch that fills its blocks at least by this share stays alone; otherwise rows join it. */
const FILLED = 0.7;

/** Whether the outermost axis of space joins the batch. */
function foldsRows(
  batch: number,
  kernel: readonly number[],
  stride: readonly number[],
  block: number,
): boolean {
  if (kernel.length === 3) return true;
  return kernel.length === 2 && stride[0] === 1 && batch / roundUp(batch, block) < FILLED;
}

/** Whether the blocked kernels can compute this gradient without much waste. */
export function weightsBlockable(
  batch: number,
  kernel: readonly number[],
  { groups, stride, dilation }: ConvGeometry,
  block: number,
): boolean {
  const axis = kernel.length - 1;
  if (groups > 1 || (dilation[axis] !== 1 && kernel[axis] !== 1)) return false;
  if (foldsRows(batch, kernel, stride, block)) return true;
  return batch / roundUp(batch, block) >= FILLED;
}

/** x with its outermost axis of space folded into the batch, for one entry of the kernel along that axis. */
interface Layer {
  /** [N, H, W, C] */
  readonly x: Value;
  /** Zeros to add, or rows and columns to cut, around the entries that this kernel entry meets. */
  readonly borders: readonly Border[];
}

/** [N, O, R, S] blocked as [N, O / b, R, S, b], rows from `start` on: to kernels [N / b · O, b, rows, S]. */
function gradientKernels(
  graph: GraphBuilder,
  dy: Value,
  { start, rows }: { readonly start: number; readonly rows: number },
): Value {
  const block = blockOf(graph);
  const [n, filters, height, width] = dy.shape as [number, number, number, number];
  const blocks = Math.ceil(filters / block);
  const [groups, all] = [Math.ceil(n / block), roundUp(n, block)];
  let source = toBlocked(graph, dy);
  if (rows < height) {
    const parted = graph.reshape(source, [n, blocks, height, width * block]);
    source = graph.node("Slice", [
      parted,
      ...[[start], [start + rows], [2]].map((list) => graph.int64s(list)),
    ]);
  }
  const run = blocks * rows * width * block;
  const flat: Value = { name: graph.reshape(source, [n, run]), dtype: dy.dtype, shape: [n, run] };
  const turned = blockRows(graph, fitted(graph, flat, 0, all).name, [groups, block, run]);
  const shape = [groups * blocks * block, block, rows, width];
  return { name: graph.reshape(turned, shape), dtype: dy.dtype, shape };
}

/** One layer of the kernel: [O / b, kh, kw, C, b], O filled up to blocks. */
function layerGradient(
  graph: GraphBuilder,
  { x, borders }: Layer,
  dy: Value,
  kernel: readonly [number, number],
  { stride, dilation }: { readonly stride: readonly number[]; readonly dilation: readonly number[] },
): Value {
  const block = blockOf(graph);
  const channels = x.shape.at(-1) as number;
  const [n, filters, height, width] = dy.shape as [number, number, number, number];
  const blocks = Math.ceil(filters / block);
  const groups = Math.ceil(n / block);
  const rowBytes = width * block * block * 4 * Math.min(FILTER_BLOCKS, blocks);
  const chunks = Math.ceil((height * rowBytes) / CACHE_BYTES);
  const step = Math.ceil(height / chunks);
  const [dilated, strideDown] = [dilation[0] as number, stride[0] as number];
  let sum: string | undefined;
  for (let start = 0; start < height; start += step) {
    const rows = Math.min(step, height - start);
    const first = start * strideDown;
    const needed = (kernel[0] - 1) * dilated + (rows - 1) * strideDown + 1;
    const [above] = borders.at(-2) as Border;
    // From row `first` of the padded image on, `needed` rows.
    const below = needed - (x.shape.at(-3) as number) - (above - first);
    const chunk = padded(graph, x, [
      ...borders.slice(0, -2),
      [above - first, below],
      borders.at(-1) as Border,
      [0, 0],
    ]);
    const [columns] = chunk.shape.slice(-2) as [number];
    const shape = [1, n, needed, columns * channels];
    const image: Value = { name: graph.reshape(chunk.name, shape), dtype: x.dtype, shape };
    const kernels = gradientKernels(graph, dy, { start, rows });
    sum = blockedConv(graph, {
      x: toBlocked(graph, fitted(graph, image, 1, groups * block)),
      weights: kernels.name,
      sum,
      kernel: [rows, width],
      stride: [dilated, 1],
      dilation: [strideDown, (stride[1] as number) * channels],
      pads: [0, 0, 0, 0],
      groups,
    });
  }
  const size = [kernel[0], kernel[1], channels, block];
  const run = size.reduce((product, m) => product * m, blocks);
  const total = graph.node("ReduceSum", [graph.reshape(sum as string, [groups, run]), graph.int64s([0])], {
    keepdims: 0,
  });
  return { name: graph.reshape(total, [blocks, ...size]), dtype: dy.dtype, shape: [blocks, ...size] };
}

/** Every `step`-th slice of [B, D, H, W, C] once `border` is added to its depth, from the first on. */
function everySlice(graph: GraphBuilder, x: Value, border: Border, step: number): Value {
  const whole = padded(graph, x, [[0, 0], border, [0, 0], [0, 0], [0, 0]]);
  const [batch, depth, ...rest] = whole.shape as [number, number, ...number[]];
  const parted = graph.reshape(whole.name, [
    batch,
    depth / step,
    step,
    rest.reduce((product, n) => product * n, 1),
  ]);
  const first = graph.node("Slice", [parted, ...[[0], [1], [2]].map((list) => graph.int64s(list))]);
  const shape = [batch, depth / step, ...rest];
  return { name: graph.reshape(first, shape), dtype: x.dtype, shape };
}

/** Gradient of the weights, [O, C, ...kernel], by blocked kernels. */
export function weightGradientBlocked(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const [filters, channels, ...kernel] = shape as [number, number, ...number[]];
  const { stride, dilation, padding } = geometry;
  const block = blockOf(graph);
  const positions = dy.shape.slice(2);
  // The kernels are most efficient with many filters. At stride 1 x and dy may change places.
  const [fewer, more] = [Math.ceil(filters / block), Math.ceil(channels / block)];
  if (fewer < FILTER_BLOCKS && fewer < more && stride.every((step) => step === 1)) {
    const exchanged = [channels, filters, ...kernel];
    const back = adjoint(x.shape.slice(2), positions, kernel, geometry);
    if (back.padding.flat().every((border) => border >= 0)) {
      const name = weightGradientBlocked(graph, dy, x, exchanged, back);
      return adjointWeights(graph, { name, dtype: dy.dtype, shape: exchanged }, 1).name;
    }
  }
  if (kernel.length === 2 && foldsRows(x.shape[0] as number, kernel, stride, block)) {
    // Rows become slices of one row.
    const sliced = (list: readonly number[]): number[] => list.toSpliced(-1, 0, 1);
    const volume = (value: Value): Value => {
      const apart = sliced(value.shape);
      return { name: graph.reshape(value.name, apart), dtype: value.dtype, shape: apart };
    };
    const [down, across] = padding as [Border, Border];
    const gradient = weightGradientBlocked(graph, volume(x), volume(dy), sliced(shape), {
      groups: 1,
      stride: sliced(stride),
      dilation: sliced(dilation),
      padding: [down, [0, 0], across],
    });
    return graph.reshape(gradient, shape);
  }
  const source = channelsLast(graph, x, kernel, geometry);
  /** Borders that leave exactly the entries which the kernel meets along an axis. */
  const fit = (axis: number, size: number): Border => {
    const [before] = padding[axis] as Border;
    const needed =
      ((kernel[axis] as number) - 1) * (dilation[axis] as number) +
      ((positions[axis] as number) - 1) * (stride[axis] as number) +
      1;
    return [before, needed - size - before];
  };
  let layers: Value[];
  if (kernel.length === 3) {
    const [batch, depth, pitch, width] = source.shape as [number, number, number, number];
    const [slices] = positions as [number];
    const [, o, , rows, columns] = dy.shape as [number, number, number, number, number];
    const outer = transposed(graph, dy.name, [0, 2, 1, 3, 4]);
    const folded = [batch * slices, o, rows, columns];
    const gradient: Value = { name: graph.reshape(outer, folded), dtype: dy.dtype, shape: folded };
    layers = Array.from({ length: kernel[0] as number }, (_, layer) => {
      const front = (padding[0] as Border)[0] - layer * (dilation[0] as number);
      const step = stride[0] as number;
      const inDepth: Border = [front, slices * step - depth - front];
      const inPlane = [fit(1, pitch), fit(2, width)];
      return layerGradient(
        graph,
        step === 1
          ? { x: source, borders: [[0, 0], inDepth, ...inPlane] }
          : { x: everySlice(graph, source, inDepth, step), borders: [[0, 0], [0, 0], ...inPlane] },
        gradient,
        [kernel[1] as number, kernel[2] as number],
        { stride: stride.slice(1), dilation: dilation.slice(1) },
      );
    });
  } else {
    const lines = kernel.length === 1;
    const along = kernel.length - 1;
    const image = asImages(graph, dy);
    const [, height, width] = source.shape as [number, number, number];
    const rows: Border = lines ? [0, 0] : fit(0, height);
    layers = [
      layerGradient(
        graph,
        { x: source, borders: [[0, 0], rows, fit(along, width)] },
        image,
        lines ? [1, kernel[0] as number] : [kernel[0] as number, kernel[1] as number],
        lines ? { stride: [1, ...stride], dilation: [1, ...dilation] } : geometry,
      ),
    ];
  }
  const [blocks, rows, columns] = (layers[0] as Value).shape as [number, number, number];
  const parts = layers.map(({ name }) => graph.reshape(name, [blocks, 1, rows, columns, channels, block]));
  const all = parts.length === 1 ? (parts[0] as string) : graph.node("Concat", parts, { axis: 1 });
  const ordered = transposed(graph, all, [0, 5, 4, 1, 2, 3]);
  const whole: Value = {
    name: graph.reshape(ordered, [blocks * block, channels, ...kernel]),
    dtype: dy.dtype,
    shape: [blocks * block, channels, ...kernel],
  };
  return fitted(graph, whole, 0, filters).name;
}
