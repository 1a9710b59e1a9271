import { normalizeAxis, sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { zerosLike } from "./create.ts";
import { expandDims, reshape } from "./structure.ts";

interface SliceAttributes {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly steps: readonly number[];
}

const sliceOp = defineUnitOp<SliceAttributes, [x: Tensor]>({
  name: "slice",
  infer: ([x], { starts, ends, steps }) => [
    {
      shape: starts.map((start, axis) =>
        Math.ceil(((ends[axis] as number) - start) / (steps[axis] as number)),
      ),
      dtype: x.dtype,
    },
  ],
  lower: (graph, [x], { starts, ends, steps }) => {
    const axes = graph.int64s(starts.map((_, axis) => axis));
    return [graph.node("Slice", [x, graph.int64s(starts), graph.int64s(ends), axes, graph.int64s(steps)])];
  },
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { starts, steps } }) => {
    const { shape } = x;
    const spread = spreadOut(dy, steps);
    return [
      pad(
        spread,
        starts.map((start, axis): [number, number] => [
          start,
          (shape[axis] as number) - start - (spread.shape[axis] as number),
        ]),
      ),
    ];
  },
});

/** Puts steps - 1 zeros between neighbours along each axis. */
function spreadOut(x: Tensor, steps: readonly number[]): Tensor {
  return steps.reduce((current, step, axis) => {
    if (step === 1) return current;
    const n = current.shape[axis] as number;
    const wide = expandDims(current, axis + 1);
    const padded = pad(
      wide,
      wide.shape.map((_, i): [number, number] => [0, i === axis + 1 ? step - 1 : 0]),
    );
    const merged = reshape(padded, [
      ...current.shape.slice(0, axis),
      n * step,
      ...current.shape.slice(axis + 1),
    ]);
    return narrow(merged, axis, 0, (n - 1) * step + 1);
  }, x);
}

/**
 * A block of a tensor: along axis i the entries start_i, start_i + step_i, … below end_i. Negative starts and ends
 * count from the end; an end may be left out as Infinity. Steps are positive.
 *
 * @throws ShapeError when a block is empty or starts outside; RangeError when a step is no positive integer
 */
export function slice(
  x: TensorLike,
  starts: readonly number[],
  ends: readonly number[],
  steps?: readonly number[],
): Tensor {
  const input = asTensor(x);
  if (starts.length !== input.rank || ends.length !== input.rank || (steps && steps.length !== input.rank)) {
    throw new ShapeError(
      `slice: starts, ends and steps need ${input.rank} entries each for shape ${formatShape(input.shape)}`,
    );
  }
  const from = starts.map((start, axis) => (start < 0 ? start + (input.shape[axis] as number) : start));
  const to = ends.map((end, axis) =>
    Math.min(end < 0 ? end + (input.shape[axis] as number) : end, input.shape[axis] as number),
  );
  from.forEach((start, axis) => {
    const end = to[axis] as number;
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || start >= end) {
      throw new ShapeError(
        `slice: [${starts[axis]}, ${ends[axis]}) along axis ${axis} of ${formatShape(input.shape)} is empty, outside or not whole`,
      );
    }
  });
  const stride = steps ?? starts.map(() => 1);
  if (stride.some((step) => !Number.isInteger(step) || step < 1))
    throw new RangeError(`slice: steps must be positive integers, got [${stride.join(", ")}]`);
  const whole = from.every(
    (start, axis) => start === 0 && to[axis] === input.shape[axis] && stride[axis] === 1,
  );
  return whole ? input : sliceOp([input], { starts: from, ends: to, steps: stride });
}

/**
 * `length` entries from `start` along one axis: [..., N, ...] to [..., length, ...].
 *
 * @throws ShapeError when they reach outside the axis
 */
export function narrow(x: TensorLike, axis: number, start: number, length: number): Tensor {
  const input = asTensor(x);
  const along = normalizeAxis("narrow", axis, input.rank);
  const starts = input.shape.map((_, i) => (i === along ? start : 0));
  const ends = input.shape.map((n, i) => (i === along ? start + length : n));
  if (start < 0 || (ends[along] as number) > (input.shape[along] as number)) {
    throw new ShapeError(
      `narrow: entries ${start} to ${start + length} reach outside axis ${axis} of ${formatShape(input.shape)}`,
    );
  }
  return slice(input, starts, ends);
}

const splitOp = defineOp<{ readonly sizes: readonly number[]; readonly axis: number }, [x: Tensor]>({
  name: "split",
  infer: ([x], { sizes, axis }) => {
    const { shape, dtype } = x;
    return sizes.map((size) => ({ shape: shape.with(axis, size), dtype }));
  },
  lower: (graph, [x], { sizes, axis }) =>
    graph.nodeWithOutputs("Split", [x, graph.int64s(sizes)], sizes.length, { axis }),
  vjp: ({ outputs, cotangents, attributes: { axis } }) => [
    concat(
      outputs.map((part, i) => cotangents[i] ?? zerosLike(part)),
      axis,
    ),
  ],
});

/**
 * Parts along an axis: so many equal ones, or parts of the given sizes.
 *
 * @throws ShapeError when the axis does not part evenly, or the sizes do not add up to it
 */
export function split(x: TensorLike, parts: number | readonly number[], axis = -1): Tensor[] {
  const input = asTensor(x);
  const along = normalizeAxis("split", axis, input.rank);
  const length = input.shape[along] as number;
  if (typeof parts === "number") {
    if (!(Number.isInteger(parts) && parts > 0 && length % parts === 0)) {
      throw new ShapeError(
        `split: axis ${axis} of ${formatShape(input.shape)} does not part into ${parts} equal pieces`,
      );
    }
    return split(input, new Array<number>(parts).fill(length / parts), along);
  }
  const total = parts.reduce((sum, size) => sum + size, 0);
  if (total !== length || parts.some((size) => !Number.isInteger(size) || size < 1)) {
    throw new ShapeError(
      `split: axis ${axis} of ${formatShape(input.shape)} does not part into pieces of [${parts.join(", ")}]`,
    );
  }
  return parts.length === 1 ? [input] : splitOp([input], { sizes: [...parts], axis: along });
}

interface PadAttributes {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number;
}

const padOp = defineUnitOp<PadAttributes, [x: Tensor]>({
  name: "pad",
  infer: ([x], { before, after }) => [
    {
      shape: x.shape.map((n, axis) => n + (before[axis] as number) + (after[axis] as number)),
      dtype: x.dtype,
    },
  ],
  lower: (graph, [x], { before, after, value }, { inputs }) => [
    graph.node("Pad", [x, graph.int64s([...before, ...after]), graph.scalar(value, inputs[0].dtype)], {
      mode: "constant",
    }),
  ],
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { before } }) => [
    slice(
      dy,
      before,
      before.map((start, axis) => start + (x.shape[axis] as number)),
    ),
  ],
});

/**
 * Adds entries of one value before and after each axis: `[[top, bottom], [left, right]]`.
 *
 * @param amounts  how many before and after, for each axis
 * @param value    default 0
 * @throws ShapeError unless there is a pair of integers >= 0 for each axis
 */
export function pad(
  x: TensorLike,
  amounts: readonly (readonly [before: number, after: number])[],
  value = 0,
): Tensor {
  const input = asTensor(x);
  if (amounts.length !== input.rank || amounts.flat().some((n) => !Number.isInteger(n) || n < 0)) {
    throw new ShapeError(`pad: needs one pair of integers >= 0 for each axis of ${formatShape(input.shape)}`);
  }
  if (amounts.every(([before, after]) => before === 0 && after === 0)) return input;
  return padOp([input], { before: amounts.map(([n]) => n), after: amounts.map(([, n]) => n), value });
}

const concatOp = defineUnitOp<{ readonly axis: number }>({
  name: "concat",
  infer: (inputs, { axis }) => {
    const [first] = inputs as [Spec];
    for (const { shape, dtype } of inputs) {
      if (dtype !== first.dtype)
        throw new DTypeError(`concat: dtypes ${first.dtype} and ${dtype} differ; convert one with cast()`);
      if (shape.length !== first.shape.length || !sameShape(shape.with(axis, 0), first.shape.with(axis, 0))) {
        throw new ShapeError(
          `concat: ${formatShape(first.shape)} and ${formatShape(shape)} differ outside axis ${axis}`,
        );
      }
    }
    return [
      {
        shape: first.shape.with(
          axis,
          inputs.reduce((total, { shape }) => total + (shape[axis] as number), 0),
        ),
        dtype: first.dtype,
      },
    ];
  },
  lower: (graph, inputs, { axis }) => [graph.node("Concat", inputs, { axis })],
  vjp: ({ inputs, cotangents: [dy], attributes: { axis } }) => {
    const sizes = inputs.map(({ shape }) => shape[axis] as number);
    const parts = split(
      dy,
      sizes.filter((size) => size > 0),
      axis,
    );
    let taken = 0;
    return sizes.map((size) => (size === 0 ? null : (parts[taken++] as Tensor)));
  },
});

/**
 * Tensors one after another along an existing axis: K tensors [..., N_k, ...] to [..., Σ N_k, ...].
 *
 * @param axis  default: the first
 * @throws ShapeError when there is no tensor or the sizes along other axes differ; DTypeError when dtypes differ
 */
export function concat(tensors: readonly TensorLike[], axis = 0): Tensor {
  const parts = tensors.map((x) => asTensor(x));
  const [first] = parts;
  if (!first) throw new ShapeError("concat: needs at least one tensor");
  if (parts.length === 1) return first;
  return concatOp(parts, { axis: normalizeAxis("concat", axis, first.rank) });
}

/**
 * Tensors of one shape stacked along a new axis: K tensors [...] to [..., K, ...].
 *
 * @param axis  where the new axis stands in the result. Default: the first
 * @throws ShapeError when there is no tensor or the shapes differ; DTypeError when dtypes differ
 */
export function stack(tensors: readonly TensorLike[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => expandDims(x, axis)),
    axis,
  );
}
