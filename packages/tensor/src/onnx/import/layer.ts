import { formatShape } from "../../core/errors.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { isFloat, isNDArray } from "../../core/ndarray.ts";
import type { TensorLike } from "../../core/tensor.ts";
import { asTensor, constant, Tensor } from "../../core/tensor.ts";
import { cast } from "../../ops/arithmetic.ts";
import type { LinearHook, Value } from "./call.ts";
import { OnnxImportError } from "./errors.ts";
import { fuse } from "./fuse.ts";
import type { OnnxLimits } from "./limits.ts";
import type { ImportGraph, ImportModel, ImportNode, OnnxValueInfo } from "./model.ts";
import { needed, traceGraph } from "./trace.ts";

/** Which stored float arrays are to be trained: all that are weights, none, or those whose name is accepted. */
export type Trainable = "all" | "none" | ((name: string) => boolean);

/** A stored matrix by which activations are multiplied, as adapters need to know it. */
export interface OnnxLinearWeight {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Whether it is stored as [outputs, inputs]. */
  readonly transposed: boolean;
}

export interface OnnxApplyOptions {
  /** Computes products with stored matrices in another way, as adapters do. */
  readonly linear?: LinearHook;
}

/** An imported model: a pure function of its weights and its inputs, like any other layer. */
export interface OnnxLayer {
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Weights that are to be trained, by the names of the model's initializers. */
  readonly params: Readonly<Record<string, NDArray>>;
  /** The other weights. `apply` takes them for constants unless they are given among its parameters. */
  readonly frozen: Readonly<Record<string, NDArray>>;
  readonly linears: readonly OnnxLinearWeight[];
  readonly opset: number;
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * The outputs for these inputs, at their shapes.
   *
   * @param params  any of `params` and `frozen` by name; what is missing is a constant of its imported value
   * @param feeds   all inputs by name; integers of another width are converted
   * @throws OnnxImportError that names the node, when something cannot be computed at these shapes
   */
  apply(
    params: Readonly<Record<string, TensorLike>>,
    feeds: Readonly<Record<string, TensorLike>>,
    options?: OnnxApplyOptions,
  ): Record<string, Tensor>;
}

/** Inputs of nodes whose values settle shapes and modes; what is stored there is no weight. */
const settings: Readonly<Record<string, readonly number[]>> = {
  Clip: [1, 2],
  DequantizeLinear: [1, 2],
  Dropout: [1],
  NonZero: [0],
  OneHot: [1, 2],
  Pad: [2],
  Pow: [1],
  Range: [0, 1, 2],
  ReduceProd: [0],
  Resize: [1, 2, 3],
};
/** Inputs that hold statistics, which training does not change unless asked to. */
const statistics: Readonly<Record<string, readonly number[]>> = { BatchNormalization: [3, 4] };

function usedAt(
  nodes: readonly ImportNode[],
  slots: Readonly<Record<string, readonly number[]>>,
): Set<string> {
  return new Set(
    nodes.flatMap(({ op, inputs }) => (slots[op] ?? []).flatMap((i) => (inputs[i] ? [inputs[i]] : []))),
  );
}

function feedValue(info: OnnxValueInfo, given: TensorLike, sizes: Map<string, number>): Tensor {
  const x = asTensor(given, info.dtype);
  const where = `importOnnx: input '${info.name}'`;
  const convertible = !isFloat(info.dtype) && !isFloat(x.dtype);
  if (x.dtype !== info.dtype && !convertible)
    throw new OnnxImportError(`${where} is ${info.dtype}, got ${x.dtype}; convert with cast()`);
  const { shape } = info;
  const fits =
    !shape ||
    (shape.length === x.rank &&
      shape.every((n, axis) => {
        const size = x.shape[axis] as number;
        if (typeof n === "number") return n === size;
        if (n === null) return true;
        const known = sizes.get(n) ?? size;
        sizes.set(n, known);
        return known === size;
      }));
  if (!fits)
    throw new OnnxImportError(
      `${where} has axes [${shape?.map((n) => n ?? "?").join(", ")}]${sizes.size > 0 ? ` with ${[...sizes].map(([name, n]) => `${name} = ${n}`).join(", ")}` : ""}, got shape ${formatShape(x.shape)}`,
    );
  return cast(x, info.dtype);
}

/** Matrices that are second factors of products, seen through transposes and identities. */
function findLinears(
  nodes: readonly ImportNode[],
  weights: ReadonlyMap<string, NDArray>,
): OnnxLinearWeight[] {
  const origins = new Map<string, { readonly name: string; readonly transposed: boolean }>();
  for (const [name, { shape }] of weights)
    if (shape.length === 2) origins.set(name, { name, transposed: false });
  const found = new Map<string, OnnxLinearWeight>();
  for (const { op, inputs, outputs, attributes } of nodes) {
    const first = origins.get(inputs[0] ?? "");
    const same = op === "Identity" || (op === "Cast" && attributes.get("to")?.i === 1n);
    if (first && (op === "Transpose" || same)) {
      const swaps = op === "Transpose" && attributes.get("perm")?.ints.join() !== "0,1";
      origins.set(outputs[0] ?? "", { name: first.name, transposed: first.transposed !== swaps });
    }
    const second = origins.get(inputs[1] ?? "");
    if (!second || !["MatMul", "Gemm", "FusedMatMul", "Attention"].includes(op)) continue;
    const turned = (attributes.get("transB")?.i ?? 0n) !== 0n;
    const transposed = second.transposed !== turned;
    const [rows, columns] = (weights.get(second.name) as NDArray).shape as [number, number];
    const [inputsOf, outputsOf] = transposed ? [columns, rows] : [rows, columns];
    found.set(second.name, { name: second.name, inputs: inputsOf, outputs: outputsOf, transposed });
  }
  return [...found.values()];
}

export interface LayerOptions {
  readonly trainable: Trainable;
  readonly outputs: readonly string[] | undefined;
  readonly limits: OnnxLimits;
}

function outputNames(
  model: ImportModel,
  graph: ImportGraph,
  wanted: readonly string[] | undefined,
): string[] {
  if (!wanted) return [...graph.outputs];
  const made = new Set([...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.initializers.keys()]);
  for (const name of wanted)
    if (!made.has(name))
      throw new OnnxImportError(
        `importOnnx: the model makes no '${name}'; its outputs are ${[...model.outputInfo.keys()].map((n) => `'${n}'`).join(", ")}`,
      );
  return [...wanted];
}

/** Makes a checked model a layer. */
export function makeLayer(model: ImportModel, { trainable, outputs, limits }: LayerOptions): OnnxLayer {
  const names = outputNames(model, model.graph, outputs);
  const graph = fuse(model.graph, names);
  const nodes = needed(graph, names);
  const read = new Set([...nodes.flatMap(({ inputs, captured }) => [...inputs, ...captured]), ...names]);
  const [fixed, running] = [usedAt(nodes, settings), usedAt(nodes, statistics)];
  const weights = new Map(
    [...graph.initializers].filter(
      ([name, { dtype, shape }]) =>
        read.has(name) &&
        isFloat(dtype) &&
        !fixed.has(name) &&
        (shape.length > 0 || typeof trainable === "function"),
    ),
  );
  const isTrainable = (name: string): boolean =>
    typeof trainable === "function" ? trainable(name) : trainable === "all" && !running.has(name);
  const params: Record<string, NDArray> = {};
  const frozen: Record<string, NDArray> = {};
  // One constant a weight for all calls, so that two applications in one graph store it once.
  const constants = new Map<string, Tensor>();
  for (const [name, array] of weights) {
    if (isTrainable(name)) params[name] = array;
    else frozen[name] = array;
    constants.set(name, constant(array));
  }
  const inputs = graph.inputs.filter(({ name }) => read.has(name));
  return {
    inputs,
    outputs: names.map((name) => model.outputInfo.get(name) ?? { name, dtype: "float32" }),
    params,
    frozen,
    linears: findLinears(nodes, weights),
    opset: model.opset,
    producer: model.producer,
    metadata: model.metadata,
    apply(given, feeds, options = {}) {
      const values = new Map<string, Value>(graph.initializers);
      const used = new Map(constants);
      for (const [name, value] of Object.entries(given)) {
        const array = weights.get(name);
        if (!array) throw new OnnxImportError(`importOnnx: the model has no weight '${name}'`);
        const weight = asTensor(value, array.dtype);
        if (weight.dtype !== array.dtype || formatShape(weight.shape) !== formatShape(array.shape))
          throw new OnnxImportError(
            `importOnnx: weight '${name}' is ${array.dtype} ${formatShape(array.shape)}, got ${weight.dtype} ${formatShape(weight.shape)}`,
          );
        used.set(name, weight);
      }
      for (const [name, weight] of used) values.set(name, weight);
      const sizes = new Map<string, number>();
      for (const info of inputs) {
        const feed = Object.hasOwn(feeds, info.name) ? feeds[info.name] : undefined;
        if (!(feed instanceof Tensor || isNDArray(feed) || typeof feed === "number"))
          throw new OnnxImportError(
            `importOnnx: input '${info.name}' is missing; inputs are ${inputs.map(({ name }) => `'${name}'`).join(", ")}`,
          );
        values.set(info.name, feedValue(info, feed, sizes));
      }
      const results = traceGraph(graph, names, values, { limits, linear: options.linear, weights: used });
      return Object.fromEntries(names.map((name, i) => [name, asTensor(results[i] as Value)]));
    },
  };
}
