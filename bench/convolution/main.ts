/**
 * Every way in which a convolution or one of its gradients can be computed, timed on shapes of training steps.
 *
 *   node --conditions=source bench/convolution/main.ts [--threads 1] [--rounds 30] [filter]
 */
import { parseArgs } from "node:util";
import { type NDArray, ndarray, normalArray, randomKey, zerosArray } from "@concord/tensor";
import { GraphBuilder } from "../../packages/tensor/src/onnx/builder.ts";
import type { Value } from "../../packages/tensor/src/onnx/nchwc.ts";
import { blockable, convolveBlocked } from "../../packages/tensor/src/ops/conv/blocked.ts";
import {
  weightGradientBlocked,
  weightsBlockable,
} from "../../packages/tensor/src/ops/conv/blocked-weights.ts";
import {
  adjointWeights,
  convolveByColumns,
  inputGradientByColumns,
  weightGradientByColumns,
} from "../../packages/tensor/src/ops/conv/columns.ts";
import {
  adjoint,
  type ConvGeometry,
  onnxPads,
  outputSizes,
  unreached,
} from "../../packages/tensor/src/ops/conv/geometry.ts";
import { convolve } from "../../packages/tensor/src/ops/conv/lowering.ts";
import {
  forwardStrategy,
  inputGradientStrategy,
  weightGradientStrategy,
} from "../../packages/tensor/src/ops/conv/strategy.ts";
import { subpixel, subpixelBlocked, subpixelPlain } from "../../packages/tensor/src/ops/conv/subpixel.ts";
import { runtime } from "../../packages/tensor/src/runtime/node.ts";
import { shapes } from "./shapes.ts";

type Product = "forward" | "input gradient" | "weight gradient";
type Build = (graph: GraphBuilder, a: Value, b: Value) => string;

interface Problem {
  readonly label: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly geometry: ConvGeometry;
}

function problemOf({
  batch,
  channels,
  filters,
  image,
  kernel,
  stride,
  padding,
}: (typeof shapes)[number]): Problem {
  const geometry: ConvGeometry = {
    groups: 1,
    stride: image.map(() => stride),
    dilation: image.map(() => 1),
    padding: image.map(() => [padding, padding]),
  };
  const x = [batch, channels, ...image];
  const taps = image.map(() => kernel);
  return {
    label: `${channels}→${filters}, ${image.join("×")}, batch ${batch}, kernel ${kernel}${stride > 1 ? `, stride ${stride}` : ""}`,
    x,
    w: [filters, channels, ...taps],
    y: [batch, filters, ...outputSizes("conv", x, taps, geometry)],
    geometry,
  };
}

/** Each way to compute one of the three products; the first is what the standard's operators offer. */
function waysOf(product: Product, { x, w, y, geometry }: Problem): Record<string, Build | undefined> {
  const { target } = runtime;
  const block = target.blockedConv?.block ?? 0;
  const [image, positions, kernel] = [x.slice(2), y.slice(2), w.slice(2)];
  const unit = geometry.stride.every((step) => step === 1);
  const attributes = { strides: geometry.stride, pads: onnxPads(geometry.padding) };
  const back = unit ? adjoint(image, positions, kernel, geometry) : undefined;
  const parts = unit ? undefined : subpixel(image, positions, kernel, geometry);
  switch (product) {
    case "forward":
      return {
        plain: (graph, a, b) => graph.node("Conv", [a.name, b.name], attributes),
        columns: (graph, a, b) => convolveByColumns(graph, a, b, geometry),
        blocked: blockable(x, w, geometry, block)
          ? (graph, a, b) => convolveBlocked(graph, { x: a, weights: b }, y, geometry)
          : undefined,
      };
    case "input gradient":
      return {
        plain: (graph, a, b) =>
          graph.node("ConvTranspose", [a.name, b.name], {
            ...attributes,
            output_padding: unreached(image, positions, kernel, geometry),
          }),
        columns: (graph, a, b) => inputGradientByColumns(graph, a, b, image, geometry),
        adjoint:
          back &&
          ((graph, a, b) => convolveBlocked(graph, { x: a, weights: adjointWeights(graph, b, 1) }, x, back)),
        subpixel:
          parts &&
          ((graph, a, b) => {
            const operands = { x: a, weights: b };
            if (image.length < 3) return subpixelBlocked(graph, operands, x, parts, geometry.stride);
            return subpixelPlain(graph, operands, x, parts, geometry.stride, (...part) =>
              convolve(graph, ...part),
            );
          }),
      };
    case "weight gradient":
      return {
        columns: (graph, a, b) => weightGradientByColumns(graph, a, b, w, geometry),
        blocked: weightsBlockable(x[0] as number, kernel, geometry, block)
          ? (graph, a, b) => weightGradientBlocked(graph, a, b, w, geometry)
          : undefined,
      };
  }
}

function chosen(product: Product, { x, w, y, geometry }: Problem): string {
  const [from, weights, to] = [x, w, y].map((shape) => ({ shape, dtype: "float32" as const })) as [
    Value,
    Value,
    Value,
  ];
  if (product === "forward") return forwardStrategy(runtime.target, from, weights, y, geometry);
  if (product === "input gradient") return inputGradientStrategy(runtime.target, to, weights, x, geometry);
  return weightGradientStrategy(runtime.target, from, to, w, geometry);
}

interface Runner {
  readonly name: string;
  readonly result: NDArray;
  run(): Promise<void>;
  release(): Promise<void>;
}

async function runnerOf(
  name: string,
  build: Build,
  operands: readonly [NDArray, NDArray],
  shape: readonly number[],
  threads: number,
): Promise<Runner> {
  const graph = new GraphBuilder(runtime.target);
  const [a, b] = operands.map((array, i) => ({
    name: graph.input(`in${i}`, array),
    shape: array.shape,
    dtype: array.dtype,
  })) as [Value, Value];
  graph.output("out", build(graph, a, b), { shape, dtype: "float32" });
  const session = await runtime.load(graph.build(name), { threads });
  const result = zerosArray(shape);
  const feeds = { in0: operands[0], in1: operands[1] };
  return { name, result, run: () => session.run(feeds, { out: result }), release: () => session.release() };
}

/** With one thread the processor's time, which other work on the machine does not lengthen; else the wall's. */
function clock(threads: number): () => number {
  if (threads > 1) return () => performance.now();
  return () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
}

/** Least milliseconds of each runner; they take turns, so that a disturbance meets all of them. */
async function race(runners: readonly Runner[], rounds: number, now: () => number): Promise<number[]> {
  const best = runners.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, runner] of runners.entries()) {
      const start = now();
      await runner.run();
      if (round > 0) best[i] = Math.min(best[i] as number, now() - start);
    }
  }
  return best;
}

function largestDifference(a: NDArray, b: NDArray): number {
  let [difference, scale] = [0, 0];
  for (let i = 0; i < a.data.length; i++) {
    difference = Math.max(difference, Math.abs(Number(a.data[i]) - Number(b.data[i])));
    scale = Math.max(scale, Math.abs(Number(a.data[i])));
  }
  return difference / scale;
}

async function compare(product: Product, problem: Problem, threads: number, rounds: number): Promise<void> {
  const { x, w, y } = problem;
  const key = randomKey(3);
  const draw = (shape: readonly number[]): NDArray =>
    ndarray(normalArray(key, shape).data as Float32Array<ArrayBuffer>, { shape });
  const [first, second, result] = {
    forward: [x, w, y],
    "input gradient": [y, w, x],
    "weight gradient": [x, y, w],
  }[product] as [number[], number[], number[]];
  const operands = [draw(first), draw(second)] as const;
  const runners: Runner[] = [];
  for (const [name, build] of Object.entries(waysOf(product, problem)))
    if (build) runners.push(await runnerOf(name, build, operands, result, threads));
  const best = await race(runners, rounds, clock(threads));
  const work = (2 * w.reduce((p, n) => p * n, 1) * y.reduce((p, n) => p * n, 1)) / (y[1] as number);
  const choice = chosen(product, problem);
  const cells = runners.map(({ name, result: values }, i) => {
    const error = largestDifference((runners[0] as Runner).result, values);
    if (!(error < 1e-4)) throw new Error(`${problem.label}, ${product}: ${name} differs by ${error}`);
    const time = `${name} ${(best[i] as number).toFixed(2)} ms (${(work / (best[i] as number) / 1e6).toFixed(0)} GFLOP/s)`;
    return name === choice ? `**${time}**` : time;
  });
  console.log(`| ${problem.label} | ${product} | ${cells.join(", ")} |`);
  for (const runner of runners) await runner.release();
}

const { values, positionals } = parseArgs({
  options: { threads: { type: "string", default: "1" }, rounds: { type: "string", default: "30" } },
  allowPositionals: true,
});
console.log(
  `${runtime.description}, ${values.threads} threads, blocks of ${runtime.target.blockedConv?.block ?? "no"} channels; chosen in bold\n`,
);
console.log("| convolution | product | ways |\n| --- | --- | --- |");
for (const shape of shapes) {
  const problem = problemOf(shape);
  if (!problem.label.includes(positionals[0] ?? "")) continue;
  for (const product of ["forward", "input gradient", "weight gradient"] as const)
    await compare(product, problem, Number(values.threads), Number(values.rounds));
}
