import { sameShape } from "../../../core/axes.ts";
import { formatShape } from "../../../core/errors.ts";
import type { DType, NDArray } from "../../../core/ndarray.ts";
import { isFloat, ndarray, sizeOf, toNumbers } from "../../../core/ndarray.ts";
import { asTensor, Tensor } from "../../../core/tensor.ts";
import { add, cast, equal, less, mul, sub, where } from "../../../ops/arithmetic.ts";
import { arange, full } from "../../../ops/create.ts";
import { cumsum } from "../../../ops/cumulative.ts";
import { gather, takeAlong } from "../../../ops/gather.ts";
import { scatterSet, scatterSetAlong } from "../../../ops/scatter.ts";
import { narrow, slice } from "../../../ops/shape.ts";
import { topK } from "../../../ops/sort.ts";
import { broadcastTo, expandDims, reshape, sum } from "../../../ops/structure.ts";
import type { NodeCall } from "../call.ts";
import { axisOf } from "../call.ts";
import { build, rearrange, stridesOf, unravel } from "../host.ts";
import type { OpEntries } from "./entry.ts";

function asIndices(call: NodeCall, index: number): Tensor {
  const indices = call.tensor(index);
  if (isFloat(indices.dtype)) call.fail(`indices are ${indices.dtype}, expected integers`);
  return indices.dtype === "int32" || indices.dtype === "int64" ? indices : cast(indices, "int64");
}

/** Negative indices count from the end. */
function fromStart(call: NodeCall, index: number, size: number): number {
  const at = index < 0 ? index + size : index;
  return at >= 0 && at < size ? at : call.fail(`index ${index} is outside of an axis of ${size}`);
}

function gathered(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const axis = axisOf(call, call.int("axis", 0), x.rank);
  const size = x.shape[axis] as number;
  const given = call.value(1);
  if (given instanceof Tensor || given.data.length > 65_536) return gather(x, asIndices(call, 1), axis);
  call.trace.charge(given.data.length);
  const at = toNumbers(given).map((i) => fromStart(call, i, size));
  const shape = [...x.shape.slice(0, axis), ...given.shape, ...x.shape.slice(axis + 1)];
  const [first] = at;
  if (first !== undefined && at.every((n, i) => n === first + i))
    return reshape(narrow(x, axis, first, at.length), shape);
  return gather(x, asTensor(ndarray(at, { shape: given.shape, dtype: "int64" })), axis);
}

/** Entries at index tuples: the tuples become positions in the flattened leading axes. */
function gatherNd(call: NodeCall): Tensor {
  const x = call.tensor(0);
  if (call.int("batch_dims", 0) !== 0) call.fail("batch_dims other than 0 is not supported");
  const indices = asIndices(call, 1);
  const { positions, lead } = flatPositions(call, x, indices);
  return gather(reshape(x, [sizeOf(lead), ...x.shape.slice(lead.length)]), positions, 0);
}

function gatherElements(call: NodeCall): Tensor {
  const [x, indices] = [call.tensor(0), asIndices(call, 1)];
  const axis = axisOf(call, call.int("axis", 0), x.rank);
  if (indices.rank !== x.rank) call.fail(`indices ${formatShape(indices.shape)} for ${formatShape(x.shape)}`);
  const ends = x.shape.map((n, k) => (k === axis ? n : (indices.shape[k] as number)));
  const cut = sameShape(ends, x.shape)
    ? x
    : slice(
        x,
        x.shape.map(() => 0),
        ends,
      );
  const size = x.shape[axis] as number;
  return takeAlong(cut, nonNegative(indices, size), axis);
}

/** Shape, or the part of it that start and end leave. */
function shapeHost(call: NodeCall): NDArray {
  const { shape } = call.value(0);
  const within = (at: number): number => Math.min(Math.max(at < 0 ? at + shape.length : at, 0), shape.length);
  const part = shape.slice(within(call.int("start", 0)), within(call.int("end", shape.length)));
  return ndarray(part, { shape: [part.length], dtype: "int64" });
}

function range(call: NodeCall, [start, limit, delta]: readonly NDArray[]): NDArray {
  const [from, to, step] = [start, limit, delta].map((x) => Number((x as NDArray).data[0])) as [
    number,
    number,
    number,
  ];
  if (step === 0) call.fail("the step is 0");
  const count = Math.max(0, Math.ceil((to - from) / step));
  return build(call, [count], (start as NDArray).dtype, (i) => from + i * step);
}

/** The one number with which ConstantOfShape fills. */
function filling(call: NodeCall): { readonly value: number; readonly dtype: DType } {
  const given = call.tensorAttribute("value");
  if (!given) return { value: 0, dtype: "float32" };
  if (given.data.length !== 1) call.fail(`its value has ${given.data.length} entries`);
  return { value: Number(given.data[0]), dtype: given.dtype };
}

function constantValue(call: NodeCall): NDArray {
  const tensor = call.tensorAttribute("value");
  if (tensor) return tensor;
  const floats = call.floats("value_floats");
  if (floats) return ndarray([...floats], { shape: [floats.length] });
  const ints = call.ints("value_ints");
  if (ints) return ndarray(ints, { shape: [ints.length], dtype: "int64" });
  if (call.node.attributes.has("value_float"))
    return ndarray([call.floatAttribute("value_float", 0)], { shape: [] });
  if (call.node.attributes.has("value_int"))
    return ndarray([call.int("value_int", 0)], { shape: [], dtype: "int64" });
  return call.fail("it has no value that is a tensor, floats or integers");
}

/** Whether Trilu keeps the entry. */
function kept(upper: boolean, diagonal: number): (row: number, column: number) => boolean {
  return upper ? (row, column) => column - row >= diagonal : (row, column) => column - row <= diagonal;
}

function diagonalOf(call: NodeCall): number {
  return call.has(1) ? call.number(1, "diagonal") : 0;
}

function nonNegative(indices: Tensor, size: number): Tensor {
  return where(less(indices, 0), add(indices, size), indices);
}

/** Positions in the flattened leading axes for index tuples. */
function flatPositions(call: NodeCall, x: Tensor, indices: Tensor): { positions: Tensor; lead: number[] } {
  const depth = indices.shape.at(-1);
  if (depth === undefined || depth < 1 || depth > x.rank)
    call.fail(`index tuples of ${depth} for ${formatShape(x.shape)}`);
  const lead = x.shape.slice(0, depth);
  const constantOf = (values: readonly number[]): Tensor =>
    asTensor(ndarray([...values], { shape: [values.length], dtype: indices.dtype }));
  const positive = where(less(indices, 0), add(indices, constantOf(lead)), indices);
  return { positions: sum(mul(positive, constantOf(stridesOf(lead))), { axes: -1 }), lead };
}

function scatterNd(call: NodeCall): Tensor {
  if (call.text("reduction", "none") !== "none") call.fail("reductions are not supported");
  const [x, updates] = [call.tensor(0), call.tensor(2)];
  const { positions, lead } = flatPositions(call, x, asIndices(call, 1));
  const rest = x.shape.slice(lead.length);
  const rows = reshape(x, [sizeOf(lead), ...rest]);
  const news = reshape(updates, [sizeOf(positions.shape), ...rest]);
  return reshape(scatterSet(rows, reshape(positions, [-1]), news, 0), x.shape);
}

function scatterNdHost(call: NodeCall, [x, indices, updates]: readonly NDArray[]): NDArray {
  const [data, at, values] = [x, indices, updates] as [NDArray, NDArray, NDArray];
  if (call.text("reduction", "none") !== "none") call.fail("reductions are not supported");
  const depth = at.shape.at(-1) ?? 0;
  if (depth > data.shape.length) call.fail(`index tuples of ${depth} for ${formatShape(data.shape)}`);
  const strides = stridesOf(data.shape);
  const width = sizeOf(data.shape.slice(depth));
  const count = sizeOf(at.shape.slice(0, -1));
  if (values.data.length !== count * width || values.dtype !== data.dtype)
    call.fail(`updates ${formatShape(values.shape)} do not fit`);
  call.reserve(data.shape);
  call.trace.charge(values.data.length);
  const result = data.data.slice() as { [at: number]: number | bigint } & NDArray["data"];
  for (let i = 0; i < count; i++) {
    let start = 0;
    for (let k = 0; k < depth; k++) {
      const index = fromStart(call, Number(at.data[i * depth + k]), data.shape[k] as number);
      start += index * (strides[k] as number);
    }
    for (let j = 0; j < width; j++) result[start + j] = values.data[i * width + j] as number | bigint;
  }
  return { ...data, data: result } as NDArray;
}

function oneHotOf(call: NodeCall): Tensor {
  const indices = asIndices(call, 0);
  const depth = call.number(1, "depth");
  const [off, on] = toNumbers(call.known(2, "values")) as [number, number];
  const { dtype } = call.value(2);
  const axis = call.int("axis", -1);
  const at = axis < 0 ? axis + indices.rank + 1 : axis;
  call.checkSize([...indices.shape, depth]);
  if (at < 0 || at > indices.rank || !(depth >= 1))
    call.fail(`axis ${axis} or depth ${depth} is out of range`);
  call.trace.charge(depth);
  const classes = reshape(arange(depth, indices.dtype), [depth, ...indices.shape.slice(at).map(() => 1)]);
  const positive = where(less(indices, 0), add(indices, depth), indices);
  const hits = cast(equal(expandDims(positive, at), classes), dtype);
  return add(mul(hits, on - off), off);
}

export const indexingOps: OpEntries = {
  CumSum: {
    attributes: ["exclusive", "reverse"],
    note: "the axis known beforehand",
    lazy: (call) => {
      const x = call.tensor(0);
      const axis = axisOf(call, call.number(1, "axis"), x.rank);
      const [exclusive, reverse] = [call.flag("exclusive", false), call.flag("reverse", false)];
      return cumsum(x, axis, { exclusive, reverse });
    },
  },
  Constant: {
    attributes: ["value", "value_float", "value_floats", "value_int", "value_ints"],
    lazy: constantValue,
  },
  ConstantOfShape: {
    attributes: ["value"],
    lazy: (call) => {
      const shape = call.integers(0, "shape");
      call.checkSize(shape);
      const { value, dtype } = filling(call);
      return full(shape, value, dtype);
    },
    fold: (call) => {
      const { value, dtype } = filling(call);
      return build(call, call.integers(0, "shape"), dtype, () => value);
    },
  },
  EyeLike: {
    attributes: ["k"],
    lazy: (call) => {
      const { shape, dtype } = call.value(0);
      const [rows, columns] = shape as [number, number];
      if (shape.length !== 2) call.fail(`expected two axes, got ${formatShape(shape)}`);
      const diagonal = call.int("k", 0);
      return build(call, shape, dtype, (i) =>
        Number((i % columns) - Math.floor(i / columns) === diagonal && rows > 0),
      );
    },
  },
  Gather: {
    attributes: ["axis"],
    lazy: gathered,
    fold: (call, [x, indices]) => {
      const [from, at] = [x as NDArray, indices as NDArray];
      const axis = axisOf(call, call.int("axis", 0), from.shape.length);
      const strides = stridesOf(from.shape);
      const shape = [...from.shape.slice(0, axis), ...at.shape, ...from.shape.slice(axis + 1)];
      const steps = stridesOf(at.shape);
      return rearrange(call, from, shape, (index) => {
        const entry = index
          .slice(axis, axis + at.shape.length)
          .reduce((position, i, k) => position + i * (steps[k] as number), 0);
        const chosen = fromStart(call, Number(at.data[entry]), from.shape[axis] as number);
        return [...index.slice(0, axis), chosen, ...index.slice(axis + at.shape.length)].reduce(
          (position, i, k) => position + i * (strides[k] as number),
          0,
        );
      });
    },
  },
  GatherElements: { attributes: ["axis"], lazy: gatherElements },
  GatherND: { attributes: ["batch_dims"], note: "batch_dims 0", lazy: gatherNd },
  NonZero: {
    attributes: [],
    note: "only where values follow from shapes and constants",
    fold: (call, [x]) => {
      const from = x as NDArray;
      // An index for each entry takes several numbers.
      call.trace.charge(8 * from.data.length);
      const hits: number[][] = [];
      for (let i = 0; i < from.data.length; i++)
        if (Number(from.data[i]) !== 0) hits.push(unravel(i, from.shape));
      const rank = from.shape.length;
      return build(call, [rank, hits.length], "int64", (i) =>
        Number(hits[i % hits.length]?.[Math.floor(i / hits.length)]),
      );
    },
  },
  OneHot: { attributes: ["axis"], note: "depth and values known beforehand", lazy: oneHotOf },
  Range: {
    attributes: [],
    note: "only where bounds follow from shapes and constants",
    fold: range,
  },
  ScatterElements: {
    attributes: ["axis", "reduction"],
    note: "without reduction; no place twice; other axes of one size",
    lazy: (call) => {
      if (call.text("reduction", "none") !== "none") call.fail("reductions are not supported");
      const x = call.tensor(0);
      const axis = axisOf(call, call.int("axis", 0), x.rank);
      return scatterSetAlong(
        x,
        nonNegative(asIndices(call, 1), x.shape[axis] as number),
        call.tensor(2),
        axis,
      );
    },
  },
  ScatterND: {
    attributes: ["reduction"],
    note: "without reduction; no place twice",
    lazy: scatterNd,
    fold: scatterNdHost,
  },
  Shape: { attributes: ["start", "end"], lazy: shapeHost },
  Size: {
    attributes: [],
    lazy: (call) => ndarray([sizeOf(call.value(0).shape)], { shape: [], dtype: "int64" }),
  },
  TopK: {
    attributes: ["axis", "largest", "sorted"],
    note: "k known beforehand",
    lazy: (call) => {
      const x = call.tensor(0);
      const axis = axisOf(call, call.int("axis", -1), x.rank);
      const largest = call.flag("largest", true);
      const { values, indices } = topK(x, call.number(1, "k"), axis, { largest });
      return [values, cast(indices, "int64")];
    },
  },
  Trilu: {
    attributes: ["upper"],
    since: 14,
    lazy: (call) => {
      const x = call.tensor(0);
      const [rows, columns] = x.shape.slice(-2) as [number, number];
      if (x.rank < 2) call.fail(`expected two axes or more, got ${formatShape(x.shape)}`);
      call.trace.charge(rows + columns);
      const column = reshape(arange(columns, "int32"), [1, columns]);
      const row = reshape(arange(rows, "int32"), [rows, 1]);
      const [offset, diagonal] = [sub(column, row), diagonalOf(call)];
      const mask = call.flag("upper", true) ? less(diagonal - 1, offset) : less(offset, diagonal + 1);
      return where(broadcastTo(mask, x.shape), x, 0);
    },
    fold: (call, [x]) => {
      const from = x as NDArray;
      const [rows, columns] = from.shape.slice(-2) as [number, number];
      if (from.shape.length < 2) call.fail(`expected two axes or more, got ${formatShape(from.shape)}`);
      const keeps = kept(call.flag("upper", true), diagonalOf(call));
      return build(call, from.shape, from.dtype, (i) =>
        keeps(Math.floor(i / columns) % rows, i % columns) ? Number(from.data[i]) : 0,
      );
    },
  },
};
