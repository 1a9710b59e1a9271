import { sameShape } from "../core/axes.ts";
import { DTypeError, formatShape } from "../core/errors.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import { constant, defineUnitOp, type Spec, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { add, cast, greaterOrEqual, mul } from "../ops/arithmetic.ts";
import { cos, log, sqrt } from "../ops/math.ts";
import type { Key } from "./host.ts";
import { MIX } from "./host.ts";

/** ONNX has 32-bit products for signed and 32-bit shifts for unsigned integers only, so values change type on the way. */
function scramble(graph: GraphBuilder, keyHigh: string, keyLow: string, counters: string): string {
  const int = (value: number): string =>
    graph.constant({ dtype: "int32", shape: [], data: new Int32Array([value | 0]) });
  const shiftXor = (x: string, bits: number): string => {
    const unsigned = graph.cast(x, "uint32");
    const shift = graph.cast(int(bits), "uint32");
    const mixed = graph.node("BitwiseXor", [
      unsigned,
      graph.node("BitShift", [unsigned, shift], { direction: "RIGHT" }),
    ]);
    return graph.cast(mixed, "int32");
  };
  const times = (x: string, factor: number): string => graph.node("Mul", [x, int(factor)]);
  let x = graph.node("Add", [times(counters, MIX.golden), keyHigh]);
  x = times(shiftXor(x, 16), MIX.first);
  x = graph.node("Add", [shiftXor(x, 13), keyLow]);
  x = times(x, MIX.second);
  x = times(shiftXor(x, 16), MIX.third);
  return shiftXor(x, 15);
}

function checkKey(op: string, key: Spec): void {
  if (key.dtype !== "int32" || !sameShape(key.shape, [2]))
    throw new DTypeError(`${op}: a key is int32 [2], got ${key.dtype} ${formatShape(key.shape)}`);
}

const bitsOp = defineUnitOp<{ readonly count: number }>({
  name: "randomBits",
  infer: ([key], { count }) => {
    checkKey("randomBits", key as Spec);
    return [{ shape: [count], dtype: "int32" }];
  },
  lower: (graph, [key], { count }) => {
    const word = (i: number): string =>
      graph.node("Gather", [key as string, graph.scalar(i, "int64")], { axis: 0 });
    const int = (value: number): string => graph.scalar(value, "int32");
    const counters = graph.node("Range", [int(0), int(count), int(1)]);
    return [scramble(graph, word(0), word(1), counters)];
  },
});

const foldInOp = defineUnitOp<undefined>({
  name: "foldIn",
  infer: ([key, data]) => {
    checkKey("foldInTensor", key as Spec);
    const { dtype, shape } = data as Spec;
    if (dtype !== "int32" || shape.length !== 0)
      throw new DTypeError(`foldInTensor: data must be an int32 scalar, got ${dtype} ${formatShape(shape)}`);
    return [{ shape: [2], dtype: "int32" }];
  },
  lower: (graph, [key, data]) => {
    const word = (i: number): string =>
      graph.node("Gather", [key as string, graph.scalar(i, "int64")], { axis: 0 });
    const tweak = graph.constant({ dtype: "int32", shape: [], data: new Int32Array([MIX.tweak]) });
    const first = scramble(graph, word(0), word(1), data as string);
    const second = scramble(graph, graph.node("BitwiseXor", [word(1), tweak]), word(0), data as string);
    return [graph.node("Concat", [graph.reshape(first, [1]), graph.reshape(second, [1])], { axis: 0 })];
  },
});

const uniformOp = defineUnitOp<{ readonly shape: readonly number[] }>({
  name: "randomUniform",
  infer: (_inputs, { shape }) => [{ shape, dtype: "float32" }],
  lower: (graph, [bits], { shape }) => {
    const shift = graph.cast(graph.scalar(8, "int32"), "uint32");
    const high = graph.node("BitShift", [graph.cast(bits as string, "uint32"), shift], {
      direction: "RIGHT",
    });
    const unit = graph.node("Mul", [graph.cast(high, "float32"), graph.scalar(2 ** -24, "float32")]);
    return [graph.reshape(unit, shape)];
  },
});

/** A host key as a constant of a graph. Pass keys that change from step to step as inputs instead (`keyArray`). */
export function keyTensor(key: Key): Tensor {
  return constant(keyArray(key));
}

/** A host key as a concrete array, int32 [2], to be fed to a compiled function. */
export function keyArray(key: Key): {
  readonly dtype: "int32";
  readonly shape: readonly number[];
  readonly data: Int32Array;
} {
  return { dtype: "int32", shape: [2], data: new Int32Array([key[0] | 0, key[1] | 0]) };
}

/**
 * Inside a graph: a new key from a key [2] and an int32 scalar, the same as `foldIn` on the host.
 *
 * @throws DTypeError when the key or the integer has another dtype or shape
 */
export function foldInTensor(key: Tensor, data: number | Tensor): Tensor {
  const value =
    typeof data === "number" ? constant(ndarray([data | 0], { shape: [], dtype: "int32" })) : data;
  return foldInOp([key, value], undefined);
}

/** Inside a graph: uniform numbers in [0, 1), bit for bit those of `uniformArray`. */
export function uniform(key: Tensor, shape: readonly number[]): Tensor {
  return uniformOp([bitsOp([key], { count: sizeOf(shape) })], { shape: [...shape] });
}

/** Inside a graph: standard normal numbers, those of `normalArray` up to the rounding of log and cos. */
export function normal(key: Tensor, shape: readonly number[]): Tensor {
  const u = add(uniform(foldInTensor(key, 0), shape), 2 ** -24);
  const v = uniform(foldInTensor(key, 1), shape);
  return mul(sqrt(mul(log(u), -2)), cos(mul(v, 2 * Math.PI)));
}

/**
 * Sets entries to zero with probability `rate` and scales the others by 1 / (1 - rate).
 *
 * @param key   int32 [2]; another key for every call and every step
 * @param rate  in [0, 1)
 * @source Srivastava et al. 2014
 */
export function dropout(key: Tensor, x: Tensor, rate: number): Tensor {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`dropout: the rate must lie in [0, 1), got ${rate}`);
  if (rate === 0) return x;
  const kept = cast(greaterOrEqual(uniform(key, x.shape), rate), x.dtype);
  return mul(x, mul(kept, 1 / (1 - rate)));
}
