import { lowerGraph } from "../onnx/lower.ts";
import { defaultRuntime } from "../runtime/default.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import { formatShape, ShapeError } from "./errors.ts";
import type { NDArray } from "./ndarray.ts";
import { allocate, isNDArray, ndarray, sizeOf } from "./ndarray.ts";
import type { Spec } from "./tensor.ts";
import { asTensor, placeholder, setEvaluator, Tensor } from "./tensor.ts";
import type { Concrete, Feed, Traced } from "./tree.ts";
import { treeEntries, treeMap, treeSignature } from "./tree.ts";

export interface CompileOptions {
  /** Shown in errors and in the ONNX graph. */
  readonly name?: string;
  readonly runtime?: Runtime;
  readonly threads?: number;
  /** Path prefix for ONNX Runtime's profile of every kernel. */
  readonly profile?: string;
}

/** A tree of concrete arrays (numbers become float32 scalars) by the paths of its leaves. */
function concreteLeaves(tree: unknown, what: string): Map<string, NDArray> {
  return new Map(
    treeEntries(tree).map(([path, leaf]) => {
      if (typeof leaf === "number") return [path, ndarray([leaf], { shape: [] })];
      if (isNDArray(leaf)) return [path, leaf];
      if (leaf instanceof Tensor && leaf.node.source.kind === "constant")
        return [path, leaf.node.source.value];
      throw new TypeError(
        `${what}: '${path}' must be an array or a number, got ${leaf instanceof Tensor ? "an unevaluated tensor" : typeof leaf}`,
      );
    }),
  );
}

/** Replaces every leaf of a tree of arrays by a placeholder. */
function placeholders<T>(
  tree: T,
  prefix: string,
): { readonly tree: Traced<T>; readonly inputs: Map<string, Tensor> } {
  const inputs = new Map<string, Tensor>();
  const traced = treeMap(tree, (leaf, path) => {
    const { shape, dtype } =
      typeof leaf === "number" ? { shape: [], dtype: "float32" as const } : (leaf as NDArray);
    const name = `${prefix}/${path}`;
    const input = placeholder(name, { shape, dtype });
    inputs.set(name, input);
    return input;
  }) as Traced<T>;
  return { tree: traced, inputs };
}

/** Throws unless two trees have the same leaves with the same dtypes and shapes. */
function checkStructure(
  what: string,
  given: ReadonlyMap<string, Spec>,
  wanted: ReadonlyMap<string, Spec>,
): void {
  const describe = (spec: Spec | undefined): string =>
    spec ? `${spec.dtype} ${formatShape(spec.shape)}` : "nothing";
  for (const path of new Set([...wanted.keys(), ...given.keys()])) {
    const [found, expected] = [describe(given.get(path)), describe(wanted.get(path))];
    if (found !== expected)
      throw new ShapeError(`${what} has ${found} at '${path}', the old one ${expected}`);
  }
}

function allocateLike(tensor: Spec): NDArray {
  return { dtype: tensor.dtype, shape: tensor.shape, data: allocate(tensor.dtype, sizeOf(tensor.shape)) };
}

function prefixed(leaves: ReadonlyMap<string, NDArray>, prefix: string): [string, NDArray][] {
  return [...leaves].map(([path, array]) => [`${prefix}/${path}`, array]);
}

function only(feeds: readonly [string, NDArray][], used: ReadonlySet<string>): Record<string, NDArray> {
  return Object.fromEntries(feeds.filter(([name]) => used.has(name)));
}

interface CompiledGraph {
  readonly session: Session;
  readonly usedInputs: ReadonlySet<string>;
  /** The traced result: its structure and the shapes of its leaves. */
  readonly result: unknown;
  readonly nodeCount: number;
}

async function compileGraph(
  inputs: Map<string, Tensor>,
  result: unknown,
  options: CompileOptions,
  runsOnce = false,
): Promise<CompiledGraph> {
  const engine = options.runtime ?? (await defaultRuntime());
  const outputs = new Map(
    treeEntries(result).map(([path, leaf]) => [`out/${path}`, asTensor(leaf as Tensor)]),
  );
  const { model, usedInputs, nodeCount, usesFloat64 } = lowerGraph(
    options.name ?? "concord",
    inputs,
    outputs,
    engine.target,
  );
  const session = await engine.load(model, {
    optimisation: runsOnce ? "none" : usesFloat64 ? "basic" : "all",
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
  });
  return { session, usedInputs, result, nodeCount };
}

/**
 * Turns a function of tensors into a function of concrete arrays. `fn` is traced once per structure and shapes of
 * its arguments and compiled to one ONNX graph.
 *
 *   const distance = compile((a: Tensor, b: Tensor) => sum(square(sub(a, b))));
 *   const d = await distance(ndarray([1, 2]), ndarray([3, 4]));
 */
export function compile<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): (...args: { [K in keyof A]: Feed<A[K]> }) => Promise<Concrete<R>> {
  const cache = new Map<string, Promise<CompiledGraph>>();
  return async (...args) => {
    const leaves = concreteLeaves(args, options.name ?? "compiled function");
    const signature = treeSignature(args);
    let compiled = cache.get(signature);
    if (!compiled) {
      const { tree, inputs } = placeholders(args, "in");
      compiled = compileGraph(inputs, fn(...(tree as unknown as A)), options);
      cache.set(signature, compiled);
    }
    return runGraph(await compiled, prefixed(leaves, "in"));
  };
}

/** Runs a graph once and returns its traced result with arrays in place of tensors. */
async function runGraph<R>(
  { session, usedInputs, result }: CompiledGraph,
  feeds: readonly [string, NDArray][],
): Promise<Concrete<R>> {
  const fetches: Record<string, NDArray> = {};
  const concrete = treeMap(result, (leaf, path) => {
    const array = allocateLike(asTensor(leaf as Tensor));
    fetches[`out/${path}`] = array;
    return array;
  });
  await session.run(only(feeds, usedInputs), fetches);
  return concrete as Concrete<R>;
}

/** Values of any number of tensors that depend on constants only, computed in one graph. */
export async function evaluate<T>(tree: T): Promise<Concrete<T>> {
  const compiled = await compileGraph(new Map(), tree, { name: "evaluate" }, true);
  try {
    return await runGraph(compiled, []);
  } finally {
    await compiled.session.release();
  }
}

setEvaluator(async (tensor) => (await evaluate({ tensor })).tensor);

/** Metrics of a step: scalars, as numbers. */
export type StepMetrics<M> = { readonly [K in keyof M]: number };

/** State that a compiled step carries from one call to the next. */
export interface Trainer<S, B, M> {
  /**
   * Runs one step on a batch and returns its metrics. Steps must be awaited one after another.
   *
   * @throws Error when the step before is still running
   */
  step(batch: Feed<B>): Promise<StepMetrics<M>>;
  /** A copy of the state, numbers as scalar arrays. */
  state(): S;
  /** Replaces the state, e.g. by that of a checkpoint. Structure and shapes must be those of the initial state. */
  restore(state: S): void;
  /** Nodes of the graph, before ONNX Runtime's own optimisation; known after the first step. */
  readonly nodeCount: number;
  close(): Promise<void>;
}

/**
 * Compiles a whole training step (forward, gradients, optimiser update) to one graph whose state goes in and comes
 * out. Two sets of arrays take turns, so a step allocates nothing.
 *
 *   const trainer = createTrainer({ state: { params, optimiser: adam.init(params) }, step: (state, batch) => {
 *     const { value: loss, gradients } = valueAndGrad((p) => lossOf(p, batch))(state.params);
 *     const { params, state: optimiser } = adam.update(state.params, gradients, state.optimiser);
 *     return { state: { params, optimiser }, metrics: { loss } };
 *   }});
 *
 * The first `step` of each batch shape throws ShapeError when the new state differs from the old one in structure,
 * dtypes or shapes, or when a metric is not a scalar.
 */
export function createTrainer<S, B, M extends Readonly<Record<string, Tensor>>>(definition: {
  readonly state: S;
  readonly step: (state: Traced<S>, batch: B) => { readonly state: Traced<S>; readonly metrics: M };
  readonly options?: CompileOptions;
}): Trainer<S, B, M> {
  const options = { name: "training step", ...definition.options };
  const structure = definition.state;
  const copy = (leaves: ReadonlyMap<string, NDArray>): Map<string, NDArray> =>
    new Map(
      [...leaves].map(([path, { dtype, shape, data }]) => [
        path,
        { dtype, shape, data: data.slice() } as NDArray,
      ]),
    );
  let current = copy(concreteLeaves(structure, "initial state"));
  let next = new Map([...current].map(([path, array]) => [path, allocateLike(array)]));
  const cache = new Map<string, Promise<CompiledGraph>>();
  let nodeCount = 0;
  let running = false;

  const compileStep = async (batch: Feed<B>): Promise<CompiledGraph> => {
    const state = placeholders(structure, "state");
    const data = placeholders(batch, "batch");
    const result = definition.step(state.tree, data.tree as unknown as B);
    const returned = treeEntries(result.state).map(([path, leaf]): [string, Tensor] => [
      path,
      asTensor(leaf as Tensor),
    ]);
    checkStructure(`${options.name}: the new state`, new Map(returned), current);
    for (const [name, metric] of treeEntries(result.metrics)) {
      const { shape } = asTensor(metric as Tensor);
      if (shape.length > 0)
        throw new ShapeError(`${options.name}: metric '${name}' must be a scalar, got ${formatShape(shape)}`);
    }
    const compiled = await compileGraph(
      new Map([...state.inputs, ...data.inputs]),
      { state: result.state, metrics: result.metrics },
      options,
    );
    nodeCount = compiled.nodeCount;
    return compiled;
  };

  const runStep = async (batch: Feed<B>): Promise<StepMetrics<M>> => {
    const batchLeaves = concreteLeaves(batch, `${options.name}: the batch`);
    const signature = treeSignature(batch);
    let compiled = cache.get(signature);
    if (!compiled) {
      compiled = compileStep(batch);
      cache.set(signature, compiled);
    }
    const { session, usedInputs, result } = await compiled;
    const feeds = [...prefixed(current, "state"), ...prefixed(batchLeaves, "batch")];
    const fetches = Object.fromEntries(prefixed(next, "out/state"));
    const metrics = treeEntries((result as { metrics: M }).metrics).map(([path, leaf]): [string, NDArray] => [
      path,
      allocateLike(leaf as Tensor),
    ]);
    for (const [path, array] of metrics) fetches[`out/metrics/${path}`] = array;
    await session.run(only(feeds, usedInputs), fetches);
    [current, next] = [next, current];
    return Object.fromEntries(
      metrics.map(([path, array]) => [path, Number(array.data[0])]),
    ) as StepMetrics<M>;
  };

  return {
    get nodeCount() {
      return nodeCount;
    },
    async step(batch) {
      if (running) throw new Error(`${options.name}: the step before is still running; await it first`);
      running = true;
      try {
        return await runStep(batch);
      } finally {
        running = false;
      }
    },
    state() {
      const leaves = copy(current);
      return treeMap(structure, (_, path) => leaves.get(path)) as S;
    },
    restore(state) {
      const leaves = concreteLeaves(state, "restored state");
      checkStructure(`${options.name}: the restored state`, leaves, current);
      current = copy(leaves);
    },
    async close() {
      const sessions = await Promise.allSettled(cache.values());
      cache.clear();
      for (const compiled of sessions)
        if (compiled.status === "fulfilled") await compiled.value.session.release();
    },
  };
}
