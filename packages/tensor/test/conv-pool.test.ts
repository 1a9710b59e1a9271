import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  averagePool1d,
  averagePool2d,
  conv1d,
  conv2d,
  convTranspose2d,
  evaluate,
  globalMaxPool,
  gradients,
  maxPool2d,
  maxPool3d,
  ones,
  ShapeError,
  sum,
  tensor,
  toNumbers,
} from "../src/index.ts";
import { allValuesOf, valuesOf } from "./support/arrays.ts";

describe("meaning of the options", () => {
  test("a causal convolution sees nothing that comes later", async () => {
    const weights = tensor([[[1, 10, 100]]]);
    const filtered = (last: number): Tensor =>
      conv1d(tensor([[[1, 2, 3, last]]]), weights, { padding: [[4, 0]], dilation: 2 });
    const [a, b] = (await allValuesOf([filtered(4), filtered(9)])) as [number[], number[]];
    expect(a).toEqual([100, 200, 310, 420]);
    expect(b.slice(0, 3)).toEqual(a.slice(0, 3));
  });

  test("padding 'same' keeps ⌈size / stride⌉ positions and gives the odd zero to the end", async () => {
    const x = ones([1, 1, 7, 4]);
    expect(conv2d(x, ones([1, 1, 4, 3]), { padding: "same" }).shape).toEqual([1, 1, 7, 4]);
    expect(conv2d(x, ones([1, 1, 4, 3]), { padding: "same", stride: [2, 3] }).shape).toEqual([1, 1, 4, 2]);
    expect(await valuesOf(conv1d(tensor([[[1, 2, 3]]]), tensor([[[1, 10]]]), { padding: "same" }))).toEqual([
      21, 32, 3,
    ]);
  });

  test("groups do not see each other", async () => {
    const x = tensor([[[1], [2], [3], [4]]]);
    const weights = tensor([
      [[1], [1]],
      [[1], [-1]],
    ]);
    expect(await valuesOf(conv1d(x, weights, { groups: 2 }))).toEqual([3, -1]);
  });

  test("zeros of the border count in a mean only if they are meant to", async () => {
    const x = tensor([[[3, 3, 3]]]);
    const options = { stride: 1, padding: 1 };
    expect(await valuesOf(averagePool1d(x, 3, options))).toEqual([2, 3, 2]);
    expect(await valuesOf(averagePool1d(x, 3, { ...options, countPadding: false }))).toEqual([3, 3, 3]);
  });

  test("of equal values one gets the whole gradient, and of overlapping windows each adds its own", async () => {
    const x = tensor([
      [
        [
          [5, 5],
          [5, 5],
        ],
      ],
    ]);
    const [pooled] = gradients(sum(maxPool2d(x, 2)), [x]) as [Tensor];
    expect(await valuesOf(pooled)).toEqual([1, 0, 0, 0]);
    const [whole] = gradients(sum(globalMaxPool(x)), [x]) as [Tensor];
    expect(await valuesOf(whole)).toEqual([1, 0, 0, 0]);
    const peak = tensor([
      [
        [
          [0, 0, 0],
          [0, 9, 0],
          [0, 0, 0],
        ],
      ],
    ]);
    const [shared] = gradients(sum(maxPool2d(peak, 2, { stride: 1 })), [peak]) as [Tensor];
    expect(await valuesOf(shared)).toEqual([0, 0, 0, 0, 4, 0, 0, 0, 0]);
  });

  test("the border is never the maximum, not even of negative numbers", async () => {
    const x = tensor([
      [
        [
          [-1, -2],
          [-3, -4],
        ],
      ],
    ]);
    const [y] = await evaluate([maxPool2d(x, 3, { stride: 2, padding: 1 })]);
    expect(toNumbers(y!)).toEqual([-1]);
  });
});

describe("options that do not fit", () => {
  const image = ones([1, 4, 5, 5]);
  const kernel = ones([2, 4, 3, 3]);
  const rejected: readonly (readonly [string, () => Tensor, string])[] = [
    [
      "too many strides",
      () => conv2d(image, kernel, { stride: [1, 1, 1] }),
      "conv2d: stride must be a number or a list of 2, got [1, 1, 1]",
    ],
    [
      "a dilation of 0",
      () => conv2d(image, kernel, { dilation: 0 }),
      "conv2d: dilation must be an integer >= 1, got 0, 0",
    ],
    [
      "a dilated kernel",
      () => conv2d(image, kernel, { dilation: 3 }),
      "conv2d: kernel 3x3 with dilation [3, 3] does not fit into [1, 4, 5, 5] with padding [0, 0]",
    ],
    [
      "one border for two axes",
      () => conv2d(image, kernel, { padding: [[1, 0]] }),
      'conv2d: padding must be a number, "same" or a list of 2 numbers or [before, after], got [[1,0]]',
    ],
    [
      "a negative border",
      () => conv2d(image, kernel, { padding: [[0, -1], 0] }),
      "conv2d: padding must be an integer >= 0, got 0, -1, 0",
    ],
    [
      "three groups of four channels",
      () => conv2d(image, ones([3, 1, 3, 3]), { groups: 3 }),
      "conv2d: 4 input channels and 3 output channels do not part into 3 groups",
    ],
    [
      "weights of one group",
      () => conv2d(image, kernel, { groups: 2 }),
      "conv2d: weights [2, 4, 3, 3] in 2 groups see 8 channels, but x [1, 4, 5, 5] has 4",
    ],
    [
      "a bias of another size",
      () => conv2d(image, ones([4, 2, 3, 3]), { groups: 2, bias: ones([2]) }),
      "conv2d: bias has shape [2]: axis 0 is 2, but the operation needs 4",
    ],
    [
      "channels of the transpose",
      () => convTranspose2d(image, kernel),
      "convTranspose2d: weights has shape [2, 4, 3, 3]: axis C is 2, but C of x needs 4",
    ],
    [
      "outputPadding without stride",
      () => convTranspose2d(image, ones([4, 2, 3, 3]), { outputPadding: 1 }),
      "convTranspose2d: outputPadding must be an integer >= 0 below the stride [1, 1], got 1, 1",
    ],
    [
      "padding that leaves nothing",
      () => convTranspose2d(image, ones([4, 2, 3, 3]), { padding: 4 }),
      "convTranspose2d: padding 4 leaves nothing of [1, 4, 5, 5]",
    ],
    [
      "a pool's border",
      () => maxPool3d(ones([1, 1, 4, 4, 4]), [1, 2, 2], { padding: [1, 0, 0] }),
      "maxPool3d: a border of 1 must be smaller than the window of 1",
    ],
    [
      "a pool's rank",
      () => averagePool2d(ones([1, 2, 3]), 2),
      "averagePool2d: x has shape [1, 2, 3], expected axes [B, C, H, W]",
    ],
    ["a vector", () => globalMaxPool(ones([3])), "globalMaxPool: x needs the axes [B, C, ...], got [3]"],
  ];
  test.each(rejected)("%s", (_, build, message) => {
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(message);
  });
});
