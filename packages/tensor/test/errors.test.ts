import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  arange,
  argmax,
  averagePool2d,
  batchNorm,
  batchNormInference,
  broadcastShapes,
  broadcastTo,
  checkAxes,
  clamp,
  concat,
  conv2d,
  DTypeError,
  dot,
  erf,
  exp,
  expandDims,
  full,
  gather,
  globalAveragePool,
  greater,
  l2Normalize,
  layerNorm,
  linspace,
  logicalAnd,
  logicalNot,
  logSumExp,
  matmul,
  maxPool2d,
  mean,
  mul,
  narrow,
  neg,
  ones,
  outer,
  pad,
  pow,
  repeat,
  reshape,
  roll,
  ShapeError,
  scatterAddAlong,
  segmentSum,
  sgd,
  slice,
  softmax,
  softmaxCrossEntropy,
  split,
  squeeze,
  stack,
  sum,
  sumTo,
  takeAlong,
  tensor,
  transpose,
  variance,
  where,
} from "../src/index.ts";

const whole = (...values: number[]): Tensor => tensor(values, { dtype: "int32" });
const image = ones([1, 2, 4, 4]);
const kernel = ones([3, 2, 2, 2]);
const double = ones([2], "float64");

function throwing(
  cases: readonly (readonly [act: () => unknown, message: string])[],
  type: new () => Error,
): void {
  test.each(cases.map(([act, message]) => [message, act] as const))("%s", (message, act) => {
    expect(act).toThrow(type);
    expect(act).toThrow(message);
  });
}

describe("shapes that do not fit", () => {
  throwing(
    [
      [() => add(ones([2, 3]), ones([4])), "add: shapes [2, 3] and [4] do not broadcast: axis -1 is 3 and 4"],
      [
        () => mul(ones([2, 3]), ones([3, 3])),
        "mul: shapes [2, 3] and [3, 3] do not broadcast: axis -2 is 2 and 3",
      ],
      [() => where(ones([2], "bool"), ones([3]), 0), "where: shapes [3] and [2] do not broadcast"],
      [() => broadcastTo(ones([3]), [2]), "broadcastTo: shapes [3] and [2] do not broadcast"],
      [() => broadcastTo(ones([2, 3]), [3]), "broadcastTo: [2, 3] does not broadcast to [3]"],
      [() => sumTo(ones([2, 3]), [2]), "sumTo: shapes [2] and [2, 3] do not broadcast: axis -1 is 2 and 3"],
      [() => sumTo(ones([3]), [2, 3]), "sumTo: [2, 3] does not broadcast to [3]"],
      [() => matmul(ones([2, 3]), ones([4, 2])), "matmul: [2, 3] by [4, 2]: inner sizes 3 and 4 differ"],
      [
        () => matmul(ones([2, 3]), ones([4, 5]), { transposeA: true, transposeB: true }),
        "matmul: [2, 3] transposed by [4, 5] transposed: inner sizes 2 and 5 differ",
      ],
      [
        () => matmul(ones([5, 2, 3]), ones([4, 2])),
        "matmul: [5, 2, 3] by [4, 2]: inner sizes 3 and 4 differ",
      ],
      [() => matmul(ones([3]), ones([3, 2])), "matmul: [3] by [3, 2]: both operands need at least two axes"],
      [() => matmul(ones([2, 1, 3]), ones([3, 3, 1])), "matmul: shapes [2] and [3] do not broadcast"],
      [() => dot(ones([2]), ones([3])), "dot: expected two vectors of one length, got [2] and [3]"],
      [() => outer(ones([2, 2]), ones([3])), "outer: a has shape [2, 2], expected axes [M]"],
      [() => reshape(ones([2, 3]), [4]), "reshape: [2, 3] (6 elements) does not fit [4]"],
      [() => reshape(ones([2, 3]), [-1, 4]), "reshape: [2, 3] (6 elements) does not fit [-1, 4]"],
      [() => reshape(ones([2, 3]), [-1, -1]), "reshape: [2, 3] (6 elements) does not fit [-1, -1]"],
      [() => reshape(ones([2, 3]), [1.5, 4]), "reshape: [2, 3] (6 elements) does not fit [1.5, 4]"],
      [() => squeeze(ones([2, 3]), 0), "squeeze: axis 0 of [2, 3] is not of size 1"],
      [() => concat([ones([2, 3]), ones([2, 4])]), "concat: [2, 3] and [2, 4] differ outside axis 0"],
      [() => concat([ones([2, 3]), ones([2])], 1), "concat: [2, 3] and [2] differ outside axis 1"],
      [() => concat([]), "concat: needs at least one tensor"],
      [() => stack([ones([2]), ones([3])]), "concat: [1, 2] and [1, 3] differ outside axis 0"],
      [() => split(ones([2, 5]), 2), "split: axis -1 of [2, 5] does not part into 2 equal pieces"],
      [() => split(ones([6]), 1.5), "split: axis -1 of [6] does not part into 1.5 equal pieces"],
      [() => split(ones([6]), 0), "split: axis -1 of [6] does not part into 0 equal pieces"],
      [() => slice(ones([4]), [2], [2]), "slice: [2, 2) along axis 0 of [4] is empty, outside or not whole"],
      [() => slice(ones([4]), [4], [9]), "slice: [4, 9) along axis 0 of [4] is empty"],
      [() => slice(ones([4]), [-5], [4]), "slice: [-5, 4) along axis 0 of [4] is empty, outside"],
      [
        () => slice(ones([4]), [0.5], [2]),
        "slice: [0.5, 2) along axis 0 of [4] is empty, outside or not whole",
      ],
      [
        () => slice(ones([4, 2]), [0], [4]),
        "slice: starts, ends and steps need 2 entries each for shape [4, 2]",
      ],
      [() => narrow(ones([4]), 0, 3, 2), "narrow: entries 3 to 5 reach outside axis 0 of [4]"],
      [() => narrow(ones([4]), 0, -1, 1), "narrow: entries -1 to 0 reach outside axis 0 of [4]"],
      [() => narrow(ones([4]), 0, 1, 0), "slice: [1, 1) along axis 0 of [4] is empty"],
      [() => pad(ones([2]), [[-1, 0]]), "pad: needs one pair of integers >= 0 for each axis of [2]"],
      [() => pad(ones([2, 2]), [[1, 1]]), "pad: needs one pair of integers >= 0 for each axis of [2, 2]"],
      [
        () => takeAlong(ones([2, 3]), whole(0, 1)),
        "takeAlong: [2, 3] and indices [2] differ outside axis -1",
      ],
      [
        () => segmentSum(ones([2, 3]), whole(0, 1, 2), 3),
        "segmentSum: x [N, ...] and ids [N] have shapes [2, 3] and [3]",
      ],
      [() => segmentSum(ones([]), whole(0), 1), "segmentSum: x [N, ...] and ids [N] have shapes [] and [1]"],
      [
        () => scatterAddAlong(ones([2]), whole(0, 1, 1), [3]),
        "scatterAddAlong: updates [2], indices [3] and result [3] differ outside axis -1 of the result",
      ],
      [
        () => scatterAddAlong(ones([2]), whole(0, 1), [3, 3]),
        "scatterAddAlong: updates [2], indices [2] and result [3, 3]",
      ],
      [
        () => softmaxCrossEntropy(ones([2, 3]), ones([2, 1])),
        "softmaxCrossEntropy: targets has shape [2, 1]: axis C is 1, but C of logits needs 3",
      ],
      [
        () => conv2d(image, ones([3, 4, 2, 2])),
        "conv2d: weights has shape [3, 4, 2, 2]: axis C is 4, but C of x needs 2",
      ],
      [() => conv2d(ones([2, 4, 4]), kernel), "conv2d: x has shape [2, 4, 4], expected axes [B, C, H, W]"],
      [
        () => conv2d(image, kernel, { bias: ones([2]) }),
        "conv2d: bias has shape [2]: axis O is 2, but O of weights needs 3",
      ],
      [
        () => conv2d(image, ones([1, 2, 5, 1])),
        "conv2d: kernel 5x1 does not fit into [1, 2, 4, 4] with padding [0, 0]",
      ],
      [() => conv2d(image, kernel, { stride: 0 }), "conv2d: stride must be an integer >= 1, got 0, 0"],
      [
        () => conv2d(image, kernel, { stride: [1, 1.5] }),
        "conv2d: stride must be an integer >= 1, got 1, 1.5",
      ],
      [() => conv2d(image, kernel, { padding: -1 }), "conv2d: padding must be an integer >= 0, got -1, -1"],
      [() => maxPool2d(image, 0), "maxPool2d: size must be an integer >= 1, got 0"],
      [() => maxPool2d(image, 5), "maxPool2d: kernel 5x5 does not fit into [1, 2, 4, 4] with padding [0, 0]"],
      [
        () => averagePool2d(image, 2, { padding: 2 }),
        "averagePool2d: a border of 2 must be smaller than the window of 2",
      ],
      [() => averagePool2d(ones([4, 4]), 2), "averagePool2d: x has shape [4, 4], expected axes [B, C, H, W]"],
      [() => globalAveragePool(ones([4])), "globalAveragePool: x needs the axes [B, C, ...], got [4]"],
      [
        () => layerNorm(ones([2, 3]), ones([2]), ones([3])),
        "layerNorm: gain has shape [2]: axis D is 2, but D of x needs 3",
      ],
      [
        () => batchNorm(ones([4, 3]), ones([1]), ones([3]), { mean: ones([3]), variance: ones([3]) }),
        "batchNorm: gain has shape [1]: axis C is 1, but C of x needs 3",
      ],
      [
        () => batchNormInference(ones([3]), ones([3]), ones([3]), { mean: ones([3]), variance: ones([3]) }),
        "batchNormInference: x needs the axes [B, C, ...], got [3]",
      ],
      [() => full([-1], 0), "broadcastTo: [-1] is no shape; sizes are integers >= 0"],
      [() => full([1.5], 0), "broadcastTo: [1.5] is no shape; sizes are integers >= 0"],
    ],
    ShapeError,
  );
});

describe("axes that do not exist", () => {
  throwing(
    [
      [() => sum(ones([2, 3]), { axes: 2 }), "sum: axis 2 does not exist in a tensor of rank 2"],
      [() => mean(ones([2, 3]), { axes: [0, -3] }), "mean: axis -3 does not exist in a tensor of rank 2"],
      [() => sum(ones([2, 3]), { axes: [1, -1] }), "sum: an axis is named twice in [1, -1]"],
      [() => sum(ones([2, 3]), { axes: 0.5 }), "sum: axis 0.5 does not exist"],
      [() => softmax(ones([]), 0), "softmax: axis 0 does not exist in a tensor of rank 0"],
      [() => argmax(ones([2]), 1), "argmax: axis 1 does not exist in a tensor of rank 1"],
      [() => concat([ones([2]), ones([2])], 1), "concat: axis 1 does not exist in a tensor of rank 1"],
      [() => gather(ones([2]), whole(0), 1), "gather: axis 1 does not exist in a tensor of rank 1"],
      [() => expandDims(ones([2]), 2), "expandDims: axis 2 does not exist in a tensor of rank 2"],
      [() => l2Normalize(ones([])), "sumSquares: axis -1 does not exist in a tensor of rank 0"],
      [() => transpose(ones([2, 3]), [0, 2]), "transpose: axis 2 does not exist in a tensor of rank 2"],
      [() => transpose(ones([2, 3]), [0, 0]), "transpose: [0, 0] is not a permutation of the axes of [2, 3]"],
      [() => transpose(ones([2, 3]), [0]), "transpose: [0] is not a permutation of the axes of [2, 3]"],
      [() => transpose(ones([2])), "transpose: needs at least two axes, got shape [2]"],
    ],
    ShapeError,
  );
});

describe("dtypes that do not fit", () => {
  throwing(
    [
      [
        () => add(whole(1), ones([1])),
        "add: operands have dtypes int32 and float32; convert one with cast()",
      ],
      [
        () => matmul(ones([2, 2]), ones([2, 2], "float64")),
        "matmul: operands have dtypes float32 and float64",
      ],
      [() => where(ones([2], "bool"), whole(1, 2), double), "where: operands have dtypes int32 and float64"],
      [
        () => concat([ones([2]), double]),
        "concat: dtypes float32 and float64 differ; convert one with cast()",
      ],
      [() => greater(whole(1), 0.5), "greater: 0.5 is no int32, which is the other operand's dtype"],
      [() => neg(ones([1], "uint8")), "mul: -1 is no uint8, which is the other operand's dtype"],
      [() => clamp(whole(1), 0.5, 2), "less: 0.5 is no int32, which is the other operand's dtype"],
      [() => add(whole(1), 2 ** 31), "add: 2147483648 is no int32"],
      [() => where(ones([2]), 1, 2), "where: expected booleans, got float32"],
      [() => logicalAnd(ones([2], "bool"), ones([2])), "logicalAnd: expected booleans, got float32"],
      [() => logicalNot(whole(1)), "logicalNot: expected booleans, got int32"],
      [() => exp(whole(1)), "exp: expected float32 or float64, got int32; convert with cast()"],
      [() => erf(whole(1)), "erf: expected float32 or float64, got int32; convert with cast()"],
      [() => mean(whole(1, 2)), "mean: expected float32 or float64, got int32"],
      [() => variance(whole(1, 2)), "mean: expected float32 or float64, got int32"],
      [() => logSumExp(whole(1, 2)), "logSumExp: expected float32 or float64, got int32"],
      [() => softmax(whole(1, 2)), "softmax: expected float32 or float64, got int32"],
      [() => pow(whole(2), 0.5), "pow: the exponent 0.5 needs a float, got int32; convert with cast()"],
      [() => gather(ones([2]), ones([1])), "gather: indices must be int32 or int64, got float32"],
      [() => takeAlong(ones([2]), ones([2])), "takeAlong: indices must be int32 or int64, got float32"],
      [() => segmentSum(ones([2]), ones([2]), 2), "segmentSum: indices must be int32 or int64, got float32"],
      [
        () => conv2d(image, ones([3, 2, 2, 2], "float64")),
        "conv2d: operands have dtypes float32 and float64",
      ],
      [() => layerNorm(whole(1), whole(1), whole(1)), "layerNorm: expected float32 or float64, got int32"],
    ],
    DTypeError,
  );
});

describe("options outside their range", () => {
  throwing(
    [
      [() => sgd({ learningRate: 0.1, nesterov: true }), "sgd: nesterov needs a momentum above 0"],
      [() => arange(-1), "arange: needs an integer length >= 0, got -1"],
      [() => slice(ones([4]), [0], [4], [0]), "slice: steps must be positive integers, got [0]"],
      [() => roll(ones([2]), 0.5), "roll: the shift must be an integer, got 0.5"],
      [() => repeat(ones([2]), 0), "repeat: needs an integer >= 1, got 0"],
      [() => linspace(0, 1, 0), "linspace: needs an integer count >= 1, got 0"],
      [() => gather(ones([3]), 1.5), "ndarray: 1.5 at position 0 is no int32"],
    ],
    RangeError,
  );
});

describe("checkAxes", () => {
  const a = { shape: [2, 3] };
  const b = { shape: [4, 3] };

  test("returns the size of every named axis", () => {
    expect(checkAxes("op", { a: [a, "B D"], b: [b, "N D"] })).toEqual({ B: 2, D: 3, N: 4 });
    expect(checkAxes("op", { x: [{ shape: [7, 5, 2, 3] }, "... B D"], a: [a, "B D"] })).toEqual({
      B: 2,
      D: 3,
    });
    expect(checkAxes("op", { a: [a, "B 3"], s: [{ shape: [] }, ""] })).toEqual({ B: 2 });
  });

  test("names operation, tensor, axis and both sizes", () => {
    const act = (fn: () => unknown, message: string): void => {
      expect(fn).toThrow(ShapeError);
      expect(fn).toThrow(message);
    };
    act(
      () => checkAxes("infoNCE", { a: [a, "B D"], b: [b, "B D"] }),
      "infoNCE: b has shape [4, 3]: axis B is 4, but B of a needs 2",
    );
    act(() => checkAxes("op", { a: [a, "B D K"] }), "op: a has shape [2, 3], expected axes [B, D, K]");
    act(
      () => checkAxes("op", { a: [a, "... A B C"] }),
      "op: a has shape [2, 3], expected axes [..., A, B, C]",
    );
    act(
      () => checkAxes("op", { a: [a, "B 4"] }),
      "op: a has shape [2, 3]: axis 1 is 3, but the operation needs 4",
    );
    act(() => checkAxes("op", { a: [a, "N N"] }), "op: a has shape [2, 3]: axis N is 3, but N of a needs 2");
  });
});

test("broadcastShapes follows NumPy", () => {
  expect(broadcastShapes("op", [2, 1, 4], [3, 1])).toEqual([2, 3, 4]);
  expect(broadcastShapes("op", [], [2])).toEqual([2]);
  expect(broadcastShapes("op", [0, 1], [1, 3])).toEqual([0, 3]);
  expect(() => broadcastShapes("op", [2], [0])).toThrow(
    "op: shapes [2] and [0] do not broadcast: axis -1 is 2 and 0",
  );
});
