import { broadcastShapes, sameShape } from "../../../core/axes.ts";
import { formatShape } from "../../../core/errors.ts";
import type { NDArray } from "../../../core/ndarray.ts";
import { ndarray, sizeOf } from "../../../core/ndarray.ts";
import { asTensor, Tensor } from "../../../core/tensor.ts";
import { full } from "../../../ops/create.ts";
import { gather } from "../../../ops/gather.ts";
import { concat, narrow, pad, slice } from "../../../ops/shape.ts";
import { broadcastTo, reshape, transpose } from "../../../ops/structure.ts";
import type { NodeCall, Value } from "../call.ts";
import { axisOf } from "../call.ts";
import { broadcastPositions, build, rearrange, stridesOf } from "../host.ts";
import type { OpEntries, OpEntry } from "./entry.ts";

/** The same values in another shape, whether known or not. */
export function reshaped(call: NodeCall, value: Value, shape: readonly number[]): Value {
  call.checkSize(shape);
  if (sizeOf(shape) !== sizeOf(value.shape))
    call.fail(`${formatShape(value.shape)} does not fit ${formatShape(shape)}`);
  return value instanceof Tensor ? reshape(value, shape) : { ...value, shape: [...shape] };
}

/** An operator that only changes the shape. */
function shaping(
  target: (call: NodeCall, shape: readonly number[]) => number[],
  attributes: string[],
): OpEntry {
  return { attributes, lazy: (call) => reshaped(call, call.value(0), target(call, call.value(0).shape)) };
}

function reshapeTarget(call: NodeCall, shape: readonly number[]): number[] {
  const keepZero = call.flag("allowzero", false);
  const wanted = call
    .integers(1, "target shape")
    .map((n, axis) =>
      n === 0 && !keepZero ? (shape[axis] ?? call.fail(`axis ${axis} is to be kept, but there is none`)) : n,
    );
  const open = wanted.indexOf(-1);
  if (open < 0) return wanted;
  const rest = wanted.reduce((product, n, axis) => (axis === open ? product : product * n), 1);
  const size = sizeOf(shape) / rest;
  if (!Number.isInteger(size) || size < 0)
    call.fail(`${formatShape(shape)} does not fit ${formatShape(wanted)}`);
  return wanted.with(open, size);
}

function squeezed(call: NodeCall, shape: readonly number[]): number[] {
  const given = call.integersOrAttribute("axes", 1);
  const axes = given?.map((axis) => axisOf(call, axis, shape.length));
  for (const axis of axes ?? [])
    if (shape[axis] !== 1) call.fail(`axis ${axis} of ${formatShape(shape)} is not of size 1`);
  return shape.filter((n, axis) => (axes ? !axes.includes(axis) : n !== 1));
}

function unsqueezed(call: NodeCall, shape: readonly number[]): number[] {
  const given = call.integersOrAttribute("axes", 1) ?? call.fail("needs axes");
  const rank = shape.length + given.length;
  const axes = new Set(given.map((axis) => axisOf(call, axis, rank)));
  if (axes.size < given.length) call.fail(`axes [${given.join(", ")}] name one twice`);
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (rest.shift() as number)));
}

function flattened(call: NodeCall, shape: readonly number[]): number[] {
  const axis = call.int("axis", 1);
  const at = axis < 0 ? axis + shape.length : axis;
  if (at < 0 || at > shape.length) call.fail(`axis ${axis} does not exist in ${formatShape(shape)}`);
  return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))];
}

function order(call: NodeCall, rank: number): number[] {
  const perm = call.ints("perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const axes = perm.map((axis) => axisOf(call, axis, rank));
  if (axes.length !== rank || new Set(axes).size !== rank)
    call.fail(`[${perm.join(", ")}] is no order of ${rank} axes`);
  return axes;
}

interface Cut {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** What Slice takes along each axis. */
function cuts(call: NodeCall, shape: readonly number[]): Cut[] {
  const [starts, ends] = [call.integers(1, "starts"), call.integers(2, "ends")];
  const axes = call.has(3) ? call.integers(3, "axes") : starts.map((_, i) => i);
  const steps = call.has(4) ? call.integers(4, "steps") : starts.map(() => 1);
  if ([ends, axes, steps].some((list) => list.length !== starts.length))
    call.fail(`its starts, ends, axes and steps differ in number`);
  const result = shape.map((n): Cut => ({ start: 0, step: 1, count: n }));
  axes.forEach((given, i) => {
    const axis = axisOf(call, given, shape.length);
    const size = shape[axis] as number;
    const step = steps[i] as number;
    if (step === 0) call.fail("a step is 0");
    const clip = (at: number, low: number, high: number): number =>
      Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const start = clip(starts[i] as number, Math.max(low, 0), high);
    // The largest integer means "to the end" in either direction, as ONNX Runtime has it.
    const whole = step < 0 && (ends[i] as number) >= 2 ** 63;
    const end = whole ? -1 : clip(ends[i] as number, low, high);
    result[axis] = { start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
  });
  return result;
}

function sliced(call: NodeCall, x: Tensor, parts: readonly Cut[]): Tensor {
  const shape = parts.map(({ count }) => count);
  if (shape.includes(0)) return full(shape, 0, x.dtype);
  const turned = parts.reduce((current, { start, step, count }, axis) => {
    if (step > 0) return current;
    call.trace.charge(count);
    return gather(current, indexTensor(Array.from({ length: count }, (_, i) => start + i * step)), axis);
  }, x);
  const ahead = parts.map((cut) => (cut.step > 0 ? cut : { start: 0, step: 1, count: cut.count }));
  return slice(
    turned,
    ahead.map(({ start }) => start),
    ahead.map(({ start, step, count }) => start + (count - 1) * step + 1),
    ahead.map(({ step }) => step),
  );
}

export function indexTensor(indices: readonly number[]): Tensor {
  return asTensor(ndarray([...indices], { shape: [indices.length], dtype: "int64" }));
}

/** Sizes of the parts that Split makes. */
function parts(call: NodeCall, size: number): number[] {
  const given = call.integersOrAttribute("split", 1);
  if (given) {
    if (given.some((n) => n < 0) || given.reduce((a, b) => a + b, 0) !== size)
      call.fail(`parts of [${given.join(", ")}] do not make up ${size}`);
    return given;
  }
  const count = call.int("num_outputs", call.node.outputs.length);
  if (count < 1 || count > call.node.outputs.length)
    call.fail(`${count} parts for ${call.node.outputs.length} outputs`);
  const each = Math.ceil(size / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(each, size - i * each)));
}

/** Shape after Tile, and the repetitions. */
function tiling(call: NodeCall, shape: readonly number[]): { repeats: number[]; tiled: number[] } {
  const repeats = call.integers(1, "repeats");
  if (repeats.length !== shape.length || repeats.some((n) => n < 0))
    call.fail(`repeats [${repeats.join(", ")}] do not fit ${formatShape(shape)}`);
  const tiled = shape.map((n, axis) => n * (repeats[axis] as number));
  call.checkSize(tiled);
  return { repeats, tiled };
}

function tile(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const { repeats, tiled } = tiling(call, x.shape);
  const between = x.shape.flatMap((n) => [1, n]);
  const repeated = x.shape.flatMap((n, axis) => [repeats[axis] as number, n]);
  return reshape(broadcastTo(reshape(x, between), repeated), tiled);
}

interface Border {
  readonly before: number;
  readonly after: number;
}

function padding(call: NodeCall, rank: number): Border[] {
  const amounts = call.integers(1, "pads");
  const axes = (call.has(3) ? call.integers(3, "axes") : Array.from({ length: rank }, (_, i) => i)).map(
    (axis) => axisOf(call, axis, rank),
  );
  if (amounts.length !== 2 * axes.length) call.fail(`${amounts.length} pads for ${axes.length} axes`);
  const borders = Array.from({ length: rank }, (): Border => ({ before: 0, after: 0 }));
  axes.forEach((axis, i) => {
    borders[axis] = { before: amounts[i] as number, after: amounts[i + axes.length] as number };
  });
  return borders;
}

/** Where an entry of a padded axis comes from. */
function source(call: NodeCall, mode: string, at: number, size: number): number {
  if (mode === "edge") return Math.min(Math.max(at, 0), size - 1);
  if (mode === "wrap") return ((at % size) + size) % size;
  const reflected = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
  if (reflected < 0 || reflected >= size) call.fail(`an axis of ${size} is too short to be reflected so far`);
  return reflected;
}

function padded(call: NodeCall): Tensor {
  const mode = call.text("mode", "constant");
  if (!["constant", "reflect", "edge", "wrap"].includes(mode)) call.fail(`mode '${mode}' is unknown`);
  const x = call.tensor(0);
  const borders = padding(call, x.rank);
  call.checkSize(
    x.shape.map((n, axis) => n + (borders[axis] as Border).before + (borders[axis] as Border).after),
  );
  const cropped = slice(
    x,
    borders.map(({ before }) => Math.max(0, -before)),
    borders.map(({ after }, axis) => (x.shape[axis] as number) - Math.max(0, -after)),
  );
  const grown = borders.map(({ before, after }) => [Math.max(0, before), Math.max(0, after)] as const);
  if (mode === "constant") return pad(cropped, grown, call.has(2) ? call.number(2, "value") : 0);
  return grown.reduce((current, [before, after], axis) => {
    if (before === 0 && after === 0) return current;
    const size = current.shape[axis] as number;
    if (size === 0) call.fail(`axis ${axis} is empty`);
    const length = before + size + after;
    call.trace.charge(length);
    const from = Array.from({ length }, (_, i) => source(call, mode, i - before, size));
    return gather(current, indexTensor(from), axis);
  }, cropped);
}

function concatHost(call: NodeCall, inputs: readonly NDArray[]): NDArray {
  const [first] = inputs as [NDArray];
  const axis = axisOf(call, call.requiredInt("axis"), first.shape.length);
  const sizes = inputs.map(({ shape, dtype }) => {
    if (
      dtype !== first.dtype ||
      shape.length !== first.shape.length ||
      !sameShape(shape.with(axis, 0), first.shape.with(axis, 0))
    )
      call.fail(`${formatShape(first.shape)} and ${formatShape(shape)} do not fit along axis ${axis}`);
    return shape[axis] as number;
  });
  const total = sizes.reduce((a, b) => a + b, 0);
  call.reserve(first.shape.with(axis, total));
  const owners = sizes.flatMap((n, k) => Array.from({ length: n }, (_, i) => [k, i] as const));
  const strides = inputs.map(({ shape }) => stridesOf(shape));
  const shape = first.shape.with(axis, total);
  const outer = stridesOf(shape);
  return build(call, shape, first.dtype, (position) => {
    const at = Math.floor(position / (outer[axis] as number)) % owners.length;
    const [k, i] = owners[at] as readonly [number, number];
    const before = Math.floor(position / ((outer[axis] as number) * owners.length));
    const after = position % (outer[axis] as number);
    const stride = (strides[k] as number[])[axis] as number;
    return Number(inputs[k]?.data[before * stride * (sizes[k] as number) + i * stride + after]);
  });
}

function splitAxis(call: NodeCall): { axis: number; sizes: number[] } {
  const { shape } = call.value(0);
  const axis = axisOf(call, call.int("axis", 0), shape.length);
  return { axis, sizes: parts(call, shape[axis] as number) };
}

export const rearrangeOps: OpEntries = {
  Concat: {
    attributes: ["axis"],
    lazy: (call) => {
      const tensors = call.inputs.map((_, i) => call.tensor(i));
      const axis = axisOf(call, call.requiredInt("axis"), (tensors[0] as Tensor).rank);
      const filled = tensors.filter(({ shape }) => shape[axis] !== 0);
      return concat(filled.length > 0 ? filled : tensors.slice(0, 1), axis);
    },
    fold: concatHost,
  },
  DepthToSpace: {
    attributes: ["blocksize", "mode"],
    lazy: (call) => {
      const x = call.tensor(0);
      const [batch, channels, height, width] = x.shape as [number, number, number, number];
      const block = call.requiredInt("blocksize");
      const inner = channels / (block * block);
      const columnsFirst = call.text("mode", "DCR") === "DCR";
      const parted = columnsFirst
        ? transpose(reshape(x, [batch, block, block, inner, height, width]), [0, 3, 4, 1, 5, 2])
        : transpose(reshape(x, [batch, inner, block, block, height, width]), [0, 1, 4, 2, 5, 3]);
      return reshape(parted, [batch, inner, height * block, width * block]);
    },
  },
  Expand: {
    attributes: [],
    lazy: (call) => {
      const x = call.tensor(0);
      const shape = broadcastShapes("Expand", x.shape, call.integers(1, "target shape"));
      call.checkSize(shape);
      return broadcastTo(x, shape);
    },
    fold: (call, [x]) => {
      const from = x as NDArray;
      const shape = broadcastShapes("Expand", from.shape, call.integers(1, "target shape"));
      return rearrange(call, from, shape, broadcastPositions(from.shape, shape));
    },
  },
  Flatten: shaping(flattened, ["axis"]),
  Pad: {
    attributes: ["mode"],
    note: "amounts known beforehand",
    lazy: padded,
  },
  Reshape: shaping(reshapeTarget, ["allowzero"]),
  Slice: {
    attributes: [],
    note: "bounds known beforehand",
    lazy: (call) => sliced(call, call.tensor(0), cuts(call, call.value(0).shape)),
    fold: (call, [x]) => {
      const from = x as NDArray;
      const along = cuts(call, from.shape);
      const strides = stridesOf(from.shape);
      return rearrange(
        call,
        from,
        along.map(({ count }) => count),
        (index) =>
          index.reduce((position, i, axis) => {
            const { start, step } = along[axis] as Cut;
            return position + (start + i * step) * (strides[axis] as number);
          }, 0),
      );
    },
  },
  SpaceToDepth: {
    attributes: ["blocksize"],
    lazy: (call) => {
      const x = call.tensor(0);
      const [batch, channels, height, width] = x.shape as [number, number, number, number];
      const block = call.requiredInt("blocksize");
      const [rows, columns] = [height / block, width / block];
      const parted = reshape(x, [batch, channels, rows, block, columns, block]);
      return reshape(transpose(parted, [0, 3, 5, 1, 2, 4]), [batch, channels * block * block, rows, columns]);
    },
  },
  Split: {
    attributes: ["axis", "split", "num_outputs"],
    lazy: (call) => {
      const { axis, sizes } = splitAxis(call);
      let start = 0;
      return sizes.map((size) => {
        start += size;
        return narrow(call.tensor(0), axis, start - size, size);
      });
    },
    fold: (call, [x]) => {
      const from = x as NDArray;
      const { axis, sizes } = splitAxis(call);
      const strides = stridesOf(from.shape);
      let start = 0;
      return sizes.map((size) => {
        const offset = start * (strides[axis] as number);
        start += size;
        return rearrange(call, from, from.shape.with(axis, size), (index) =>
          index.reduce((position, i, k) => position + i * (strides[k] as number), offset),
        );
      });
    },
  },
  Squeeze: shaping(squeezed, ["axes"]),
  Tile: {
    attributes: [],
    lazy: tile,
    fold: (call, [x]) => {
      const from = x as NDArray;
      const { tiled } = tiling(call, from.shape);
      const strides = stridesOf(from.shape);
      return rearrange(call, from, tiled, (index) =>
        index.reduce(
          (position, i, axis) => position + (i % (from.shape[axis] as number)) * (strides[axis] as number),
          0,
        ),
      );
    },
  },
  Transpose: {
    attributes: ["perm"],
    lazy: (call) => {
      const x = call.tensor(0);
      const y = transpose(x, order(call, x.rank));
      const origin = call.trace.weights.get(x);
      if (origin && x.rank === 2 && y !== x)
        call.trace.weights.set(y, { ...origin, transposed: !origin.transposed });
      return y;
    },
    fold: (call, [x]) => {
      const from = x as NDArray;
      const axes = order(call, from.shape.length);
      const strides = stridesOf(from.shape);
      const shape = axes.map((axis) => from.shape[axis] as number);
      return rearrange(call, from, shape, (index) =>
        index.reduce((position, i, k) => position + i * (strides[axes[k] as number] as number), 0),
      );
    },
  },
  Unsqueeze: shaping(unsqueezed, ["axes"]),
};
