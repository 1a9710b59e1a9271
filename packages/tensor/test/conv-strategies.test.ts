import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { DType, NDArray, Tensor } from "../src/index.ts";
import {
  compile,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  gradients,
  mul,
  square,
  sum,
  toNumbers,
  zerosArray,
} from "../src/index.ts";
import type { GraphTarget } from "../src/onnx/builder.ts";
import { expectClose, randomArrays } from "./support/arrays.ts";
import { nodesOf } from "./support/graph-nodes.ts";
import { property, seeds } from "./support/property.ts";
import { type Plain, plain } from "./support/reference.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

type Border = readonly [number, number];

interface Case {
  readonly batch: number;
  readonly groups: number;
  /** Channels of a group before and after. */
  readonly channels: readonly [number, number];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly Border[];
  readonly image: readonly number[];
}

function flatten(index: readonly number[], shape: readonly number[]): number {
  return index.reduce((flat, i, axis) => flat * (shape[axis] as number) + i, 0);
}

function* indices(shape: readonly number[]): Generator<readonly number[]> {
  const [n, ...rest] = shape;
  if (n === undefined) yield [];
  else for (let i = 0; i < n; i++) for (const tail of indices(rest)) yield [i, ...tail];
}

function positionsOf({ kernel, stride, dilation, padding, image }: Case): number[] {
  return image.map((n, i) => {
    const [before, after] = padding[i]!;
    return Math.floor((n + before + after - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1;
  });
}

/** y, and the gradients of Σ y · dy, one multiplication at a time. */
function loops(x: Plain, w: Plain, dy: Plain, of: Case): { y: number[]; dx: number[]; dw: number[] } {
  const { batch, groups, channels, kernel, stride, dilation, padding, image } = of;
  const [y, dx, dw] = [dy, x, w].map(({ data }) => new Array<number>(data.length).fill(0)) as [
    number[],
    number[],
    number[],
  ];
  for (const [b, g, o, c] of indices([batch, groups, channels[1], channels[0]]) as Iterable<
    [number, number, number, number]
  >) {
    for (const position of indices(dy.shape.slice(2))) {
      for (const tap of indices(kernel)) {
        const source = position.map((p, i) => p * stride[i]! + tap[i]! * dilation[i]! - padding[i]![0]);
        if (source.some((p, i) => p < 0 || p >= image[i]!)) continue;
        const [filter, channel] = [g * channels[1] + o, g * channels[0] + c];
        const atX = flatten([b, channel, ...source], x.shape);
        const atW = flatten([filter, c, ...tap], w.shape);
        const atY = flatten([b, filter, ...position], dy.shape);
        y[atY]! += x.data[atX]! * w.data[atW]!;
        dx[atX]! += dy.data[atY]! * w.data[atW]!;
        dw[atW]! += dy.data[atY]! * x.data[atX]!;
      }
    }
  }
  return { y, dx, dw };
}

const channelCounts = fc.constantFrom(1, 3, 4, 16, 18, 20, 32);

/** Windows that fit, over one to three axes, with channel counts on both sides of a block and off its multiples. */
const cases: fc.Arbitrary<Case> = fc
  .integer({ min: 1, max: 3 })
  .chain((rank) => {
    const axis = fc.record({
      kernel: fc.integer({ min: 1, max: 4 }),
      stride: fc.constantFrom(1, 1, 1, 2, 3),
      dilation: fc.constantFrom(1, 1, 1, 2),
      before: fc.nat(3),
      after: fc.nat(3),
      more: fc.nat(4),
    });
    return fc.record({
      batch: fc.constantFrom(1, 2, 3, 16, 17),
      groups: fc.constantFrom(1, 1, 1, 2, 16),
      depthwise: fc.boolean(),
      channels: fc.tuple(channelCounts, channelCounts),
      axes: fc.array(axis, { minLength: rank, maxLength: rank }),
    });
  })
  .map(({ axes, groups, depthwise, channels, batch }) => ({
    batch,
    groups,
    channels: groups > 1 && (depthwise || groups === 16) ? ([1, 1] as const) : channels,
    kernel: axes.map(({ kernel }) => kernel),
    stride: axes.map(({ stride }) => stride),
    dilation: axes.map(({ dilation }) => dilation),
    padding: axes.map(({ before, after }): Border => [before, after]),
    image: axes.map(({ kernel, dilation, before, after, more }) =>
      Math.max(1, dilation * (kernel - 1) + 1 - before - after + more),
    ),
  }))
  .filter((of) => {
    const positions = positionsOf(of);
    const { batch, groups, channels, kernel } = of;
    const steps = [batch, groups, ...channels, ...kernel, ...positions].reduce(
      (product, n) => product * n,
      1,
    );
    return positions.every((n) => n >= 1) && steps <= 500_000;
  });

const forward = [conv1d, conv2d, conv3d];
const transposed = [convTranspose1d, convTranspose2d, convTranspose3d];

interface Strategy {
  readonly name: string;
  readonly dtype: DType;
  readonly target: GraphTarget;
  readonly tolerance: number;
}

const runtime = trackedRuntime();
afterEach(() => runtime.release());

const kernels = runtime.target.blockedConv;
const strategies: readonly Strategy[] = [
  { name: "slices and products", dtype: "float64", target: runtime.target, tolerance: 1e-9 },
  { name: "the standard's operators", dtype: "float32", target: { contribOps: false }, tolerance: 1e-4 },
  ...(kernels
    ? [
        {
          name: "blocked kernels, however small",
          dtype: "float32" as const,
          target: { contribOps: true, blockedConv: { ...kernels, leastWork: 0 } },
          tolerance: 1e-4,
        },
      ]
    : []),
];

describe.each(strategies)("convolutions by $name equal a loop", ({ dtype, target, tolerance }) => {
  property("in values and in every gradient", 40, [cases, seeds], async (of, seed) => {
    const positions = positionsOf(of);
    const { batch, groups, channels, kernel, stride, dilation, padding, image } = of;
    const shapes = [
      [batch, groups * channels[0], ...image],
      [groups * channels[1], channels[0], ...kernel],
      [batch, groups * channels[1], ...positions],
    ];
    const arrays = randomArrays(seed, shapes, { dtype, low: -1, high: 1 }) as [NDArray, NDArray, NDArray];
    const expected = loops(plain(arrays[0]), plain(arrays[1]), plain(arrays[2]), of);
    const options = { stride, dilation, padding, groups };
    // The transpose takes dy to dx; what no window reaches is its outputPadding.
    const outputPadding = image.map((n, i) => {
      const reached = (positions[i]! - 1) * stride[i]! + dilation[i]! * (kernel[i]! - 1) + 1;
      return n + padding[i]![0] + padding[i]![1] - reached;
    });
    const run = compile(
      (x: Tensor, w: Tensor, dy: Tensor) => {
        const y = forward[kernel.length - 1]!(x, w, options);
        const [dx, dw] = gradients(sum(mul(y, dy)), [x, w]) as [Tensor, Tensor];
        const back = transposed[kernel.length - 1]!(dy, w, { ...options, outputPadding });
        const [ddy, ddw] = gradients(sum(mul(back, x)), [dy, w]) as [Tensor, Tensor];
        return { y, dx, dw, back, ddy, ddw };
      },
      { runtime: { ...runtime, target } },
    );
    const results = await run(...arrays);
    expectClose("y", toNumbers(results.y), expected.y, tolerance);
    expectClose("dx", toNumbers(results.dx), expected.dx, tolerance);
    expectClose("dw", toNumbers(results.dw), expected.dw, tolerance);
    expectClose("transpose", toNumbers(results.back), expected.dx, tolerance);
    expectClose("gradient of the transpose in dy", toNumbers(results.ddy), expected.y, tolerance);
    expectClose("gradient of the transpose in w", toNumbers(results.ddw), expected.dw, tolerance);
  });
});

describe("which kernels a convolution runs on", () => {
  const step = (x: Tensor, w: Tensor): Tensor[] => {
    const y = conv2d(x, w, { padding: 1 });
    return [y, ...gradients(sum(square(y)), [x, w])];
  };
  const arrays = (batch: number, size: number): NDArray[] => [
    zerosArray([batch, 16, size, size]),
    zerosArray([16, 16, 3, 3]),
  ];

  test("the standard's where the target has no others, as for export", async () => {
    const kinds = await nodesOf(step, arrays(16, 16), { contribOps: false });
    expect(kinds.filter((kind) => kind.startsWith("Reorder"))).toEqual([]);
    expect(kinds.filter((kind) => kind.startsWith("Conv"))).toEqual(["Conv", "ConvTranspose"]);
  });

  test("the standard's where the convolution is small", async () => {
    const kinds = await nodesOf(step, arrays(2, 4));
    expect(kinds.filter((kind) => kind.startsWith("Reorder"))).toEqual([]);
  });

  test.runIf(kernels)("the blocked ones where it is large, and layouts are shared", async () => {
    const kinds = await nodesOf(step, arrays(16, 16));
    // x and dy once each, and both once more as operands of the gradient of the weights; each order of w takes two.
    expect(kinds.filter((kind) => kind === "ReorderInput")).toHaveLength(8);
    expect(kinds.filter((kind) => kind.startsWith("Conv"))).toEqual(["Conv", "Conv", "Conv"]);
  });
});
