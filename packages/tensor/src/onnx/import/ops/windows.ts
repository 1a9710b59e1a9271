import { formatShape } from "../../../core/errors.ts";
import { ndarray } from "../../../core/ndarray.ts";
import { asTensor, type Tensor } from "../../../core/tensor.ts";
import { add, mul } from "../../../ops/arithmetic.ts";
import type { Border } from "../../../ops/conv.ts";
import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
} from "../../../ops/conv.ts";
import {
  averagePool1d,
  averagePool2d,
  averagePool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "../../../ops/pool.ts";
import { max, mean } from "../../../ops/reduce.ts";
import { pad } from "../../../ops/shape.ts";
import { reshape } from "../../../ops/structure.ts";
import type { NodeCall } from "../call.ts";
import type { OpEntries } from "./entry.ts";

/** A window over the spatial axes, its borders worked out. */
interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly Border[];
}

const convolutions = [conv1d, conv2d, conv3d] as const;
const transposedConvolutions = [convTranspose1d, convTranspose2d, convTranspose3d] as const;
const maxPools = [maxPool1d, maxPool2d, maxPool3d] as const;
const averagePools = [averagePool1d, averagePool2d, averagePool3d] as const;

function forRank<F>(call: NodeCall, functions: readonly F[], x: Tensor): F {
  return functions[x.rank - 3] ?? call.fail(`input ${formatShape(x.shape)} needs one to three spatial axes`);
}

function list(call: NodeCall, name: string, count: number, fallback: number): number[] {
  const values = call.ints(name) ?? Array.from({ length: count }, () => fallback);
  if (values.length !== count) call.fail(`${name} has ${values.length} entries, expected ${count}`);
  return values;
}

/** Borders for the automatic modes: SAME makes ⌈size / stride⌋ positions. */
function borders(
  call: NodeCall,
  image: readonly number[],
  { kernel, stride, dilation }: Omit<Window, "padding">,
): Border[] {
  const mode = call.text("auto_pad", "NOTSET");
  if (mode === "VALID") return image.map(() => [0, 0]);
  if (mode === "NOTSET") {
    const pads = list(call, "pads", 2 * image.length, 0);
    return image.map((_, i) => [pads[i] as number, pads[i + image.length] as number]);
  }
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") return call.fail(`auto_pad '${mode}' is unknown`);
  return image.map((size, i) => {
    const span = (dilation[i] as number) * ((kernel[i] as number) - 1) + 1;
    const step = stride[i] as number;
    const total = Math.max(0, (Math.ceil(size / step) - 1) * step + span - size);
    const [few, many] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return mode === "SAME_UPPER" ? [few, many] : [many, few];
  });
}

function windowOf(call: NodeCall, x: Tensor, kernel: readonly number[]): Window {
  const count = x.rank - 2;
  const stated = call.ints("kernel_shape") ?? kernel;
  if (stated.join() !== kernel.join())
    call.fail(`kernel_shape is [${stated.join(", ")}], but the weights have [${kernel.join(", ")}]`);
  if (kernel.length !== count)
    call.fail(`a window of ${kernel.length} axes for input ${formatShape(x.shape)}`);
  const stride = list(call, "strides", count, 1);
  const dilation = list(call, "dilations", count, 1);
  const window = { kernel, stride, dilation };
  return { ...window, padding: borders(call, x.shape.slice(2), window) };
}

export function conv(call: NodeCall): Tensor {
  const [x, weights, bias] = [call.float(0), call.float(1), call.optional(2)];
  const apply = forRank(call, convolutions, x);
  const { stride, dilation, padding } = windowOf(call, x, weights.shape.slice(2));
  const options = { stride, dilation, padding, groups: call.int("group", 1) };
  const y = apply(x, weights, { ...options, ...(bias && { bias }) });
  call.trace.convolutions.set(y, (factor, shift) => {
    const scaled = mul(
      weights,
      reshape(
        factor,
        weights.shape.map((_, axis) => (axis === 0 ? -1 : 1)),
      ),
    );
    return apply(x, scaled, { ...options, bias: bias ? add(mul(bias, factor), shift) : shift });
  });
  return y;
}

/** Sizes of a transposed convolution's borders where its output size is given instead. */
function transposedBorders(
  call: NodeCall,
  image: readonly number[],
  { kernel, stride, dilation }: Omit<Window, "padding">,
  outputPadding: readonly number[],
): Border[] {
  const sizes = call.ints("output_shape")?.slice(-image.length);
  const mode = call.text("auto_pad", "NOTSET");
  if (!sizes && (mode === "NOTSET" || mode === "VALID"))
    return borders(call, image, { kernel, stride, dilation });
  return image.map((size, i) => {
    const step = stride[i] as number;
    const span = (dilation[i] as number) * ((kernel[i] as number) - 1) + 1;
    const wanted = sizes?.[i] ?? size * step;
    const total = Math.max(0, step * (size - 1) + (outputPadding[i] as number) + span - wanted);
    const [few, many] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return mode === "SAME_UPPER" ? [few, many] : [many, few];
  });
}

function convTranspose(call: NodeCall): Tensor {
  const [x, weights, bias] = [call.float(0), call.float(1), call.optional(2)];
  const apply = forRank(call, transposedConvolutions, x);
  const count = x.rank - 2;
  const stride = list(call, "strides", count, 1);
  const dilation = list(call, "dilations", count, 1);
  const outputPadding = list(call, "output_padding", count, 0);
  const window = { kernel: weights.shape.slice(2), stride, dilation };
  const padding = transposedBorders(call, x.shape.slice(2), window, outputPadding);
  const groups = call.int("group", 1);
  return apply(x, weights, { stride, dilation, padding, outputPadding, groups, ...(bias && { bias }) });
}

/** A pool's window and its borders; with ceil_mode the far borders grow until the last window that starts inside fits. */
interface PoolWindow extends Window {
  /** Borders before they grew. */
  readonly stated: readonly Border[];
}

function poolWindow(call: NodeCall, x: Tensor): PoolWindow {
  const kernel = call.ints("kernel_shape") ?? call.fail("needs the attribute 'kernel_shape'");
  const window = windowOf(call, x, kernel);
  if (window.dilation.some((n) => n !== 1)) call.fail("dilated pools are not supported");
  if (!call.flag("ceil_mode", false)) return { ...window, stated: window.padding };
  const padding = window.padding.map(([before, after], i): Border => {
    const [size, step] = [x.shape[i + 2] as number, window.stride[i] as number];
    const rest = size + before + after - (kernel[i] as number);
    let positions = Math.ceil(rest / step) + 1;
    if ((positions - 1) * step >= size + before) positions--;
    return [before, after + Math.max(0, (positions - 1) * step - rest)];
  });
  return { ...window, padding, stated: window.padding };
}

/** The engine's pools take equal borders that are narrower than the window; others become part of the input. */
function bordered(
  x: Tensor,
  { padding, kernel }: Window,
  value: number,
): { readonly x: Tensor; readonly padding: number[] } {
  const plain = padding.every(([before, after], i) => before === after && before < (kernel[i] as number));
  return plain
    ? { x, padding: padding.map(([before]) => before) }
    : { x: pad(x, [[0, 0], [0, 0], ...padding], value), padding: padding.map(() => 0) };
}

/** Below every float32, yet finite: an infinite border would turn into NaN when multiplied by 0. */
const LOWEST = -3.4028234663852886e38;

function maxPool(call: NodeCall): Tensor {
  const x = call.float(0);
  const apply = forRank(call, maxPools, x);
  if (call.node.outputs.slice(1).some((name) => name !== "")) call.fail("its indices are not supported");
  if (call.flag("storage_order", false)) call.fail("storage_order 1 is not supported");
  const window = poolWindow(call, x);
  const { x: input, padding } = bordered(x, window, LOWEST);
  return apply(input, window.kernel, { stride: window.stride, padding });
}

/** How many entries of a window at each position of an axis count. */
function counted(positions: number, window: PoolWindow, axis: number, size: number, all: boolean): number[] {
  const [kernel, stride] = [window.kernel[axis] as number, window.stride[axis] as number];
  const [before] = window.padding[axis] as Border;
  const [low, high] = all ? (window.stated[axis] as Border) : [0, 0];
  return Array.from({ length: positions }, (_, i) => {
    const start = i * stride - before;
    return Math.max(1, Math.min(start + kernel, size + high) - Math.max(start, -low));
  });
}

function averagePool(call: NodeCall): Tensor {
  const x = call.float(0);
  const apply = forRank(call, averagePools, x);
  const window = poolWindow(call, x);
  const { stride, kernel } = window;
  const { x: input, padding } = bordered(x, window, 0);
  const y = apply(input, kernel, { stride, padding });
  const all = call.flag("count_include_pad", false);
  // The engine's mean counts every entry of the window; where some do not count, it is too small.
  return y.shape.slice(2).reduce((current, positions, i) => {
    call.trace.charge(positions);
    const counts = counted(positions, window, i, x.shape[i + 2] as number, all);
    if (counts.every((n) => n === kernel[i])) return current;
    const factors = counts.map((n) => (kernel[i] as number) / n);
    const shape = y.shape.map((_, axis) => (axis === i + 2 ? positions : 1));
    return mul(current, asTensor(ndarray(factors, { shape, dtype: x.dtype })));
  }, y);
}

/** All positions of each channel become one; the axes stay. */
function overPositions(call: NodeCall): { readonly axes: number[]; readonly keepDims: true } {
  const { rank } = call.float(0);
  if (rank < 3) call.fail("its input has no spatial axes");
  return { axes: Array.from({ length: rank - 2 }, (_, i) => i + 2), keepDims: true };
}

export const WINDOW = ["auto_pad", "dilations", "kernel_shape", "pads", "strides"];

export const windowOps: OpEntries = {
  AveragePool: {
    attributes: [...WINDOW, "ceil_mode", "count_include_pad"],
    note: "one to three spatial axes, dilation 1",
    lazy: averagePool,
  },
  Conv: { attributes: [...WINDOW, "group"], note: "one to three spatial axes", lazy: conv },
  ConvTranspose: {
    attributes: [...WINDOW, "group", "output_padding", "output_shape"],
    note: "one to three spatial axes",
    lazy: convTranspose,
  },
  GlobalAveragePool: { attributes: [], lazy: (call) => mean(call.float(0), overPositions(call)) },
  GlobalMaxPool: { attributes: [], lazy: (call) => max(call.float(0), overPositions(call)) },
  MaxPool: {
    attributes: [...WINDOW, "ceil_mode", "storage_order"],
    note: "one to three spatial axes, dilation 1, without indices",
    lazy: maxPool,
  },
};
