import { formatShape, ShapeError } from "./errors.ts";
import type { CompiledGraph, CompileOptions } from "./graph.ts";
import { compileGraph, GraphCache } from "./graph.ts";
import type { Guard } from "./guard.ts";
import { finiteFlag, finiteResult, nonFiniteError, nonFiniteLeaves } from "./guard.ts";
import {
  allocateLike,
  checkStructure,
  concreteLeaves,
  copyLeaves,
  DoubleBuffer,
  placeholders,
  prefixed,
} from "./leaves.ts";
import type { NDArray } from "./ndarray.ts";
import { asTensor, type Tensor, type TensorLike } from "./tensor.ts";
import type { Feed, Traced } from "./tree.ts";
import { treeEntries, treeMap, treeSignature } from "./tree.ts";

/** Metrics of a step: scalars, as numbers. */
export type StepMetrics<M> = { readonly [K in keyof M]: number };

export interface StepOptions {
  /** Aborted before the step begins: it rejects with the signal's reason and the state stays as it is. */
  readonly signal?: AbortSignal;
}

/** State that a compiled step carries from one call to the next. */
export interface Trainer<S, B, M> {
  /**
   * Runs one step on a batch and returns its metrics. Steps must be awaited one after another. After a step that
   * failed or was aborted the state is that of before the step, and the trainer goes on.
   *
   * @throws Error when the step before is still running, NonFiniteError when a NaN turns up (see `guard`),
   *   EngineError when the runtime fails
   */
  step(batch: Feed<B>, options?: StepOptions): Promise<StepMetrics<M>>;
  /** A copy of the state, numbers as scalar arrays. */
  state(): S;
  /** Replaces the state, e.g. by that of a checkpoint. Structure and shapes must be those of the initial state. */
  restore(state: S): void;
  /** Nodes of the graph, before ONNX Runtime's own optimisation; known after the first step. */
  readonly nodeCount: number;
  /** Releases the graphs. The state stays; a later step compiles anew. */
  close(): Promise<void>;
}

export interface TrainerOptions extends CompileOptions {
  /**
   * What must be finite: the metrics ("loss", default; costs nothing), metrics and the whole new state ("all"; one
   * more pass over the state), or nothing (false). A step that breaks it throws NonFiniteError and changes nothing.
   */
  readonly guard?: Guard;
}

/** Throws unless steps come one after another. */
export class Turns {
  readonly #name: string;
  #running = false;

  constructor(name: string) {
    this.#name = name;
  }

  async take<R>(options: StepOptions, run: () => Promise<R>): Promise<R> {
    if (this.#running) throw new Error(`${this.#name}: the step before is still running; await it first`);
    options.signal?.throwIfAborted();
    this.#running = true;
    try {
      return await run();
    } finally {
      this.#running = false;
    }
  }
}

/** Throws unless every metric is a scalar. */
export function checkMetrics(name: string, metrics: unknown): void {
  for (const [path, metric] of treeEntries(metrics)) {
    const { shape } = asTensor(metric as TensorLike);
    if (shape.length > 0)
      throw new ShapeError(`${name}: metric '${path}' must be a scalar, got ${formatShape(shape)}`);
  }
}

/** Traced leaves as tensors by their paths. */
export function tracedLeaves(tree: unknown): Map<string, Tensor> {
  return new Map(treeEntries(tree).map(([path, leaf]) => [path, asTensor(leaf as TensorLike)]));
}

/** Arrays for the metrics of a graph to be written into, and the numbers in them. */
export function metricArrays(metrics: unknown): {
  readonly arrays: ReadonlyMap<string, NDArray>;
  readonly numbers: () => Record<string, number>;
} {
  const arrays = new Map([...tracedLeaves(metrics)].map(([path, leaf]) => [path, allocateLike(leaf)]));
  return {
    arrays,
    numbers: () => Object.fromEntries([...arrays].map(([path, { data }]) => [path, Number(data[0])])),
  };
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
 *
 * @typeParam T  the state as `step` sees it, where TypeScript cannot work out Traced<S>
 */
export function createTrainer<S, B, M extends Readonly<Record<string, Tensor>>, T = Traced<S>>(definition: {
  readonly state: S;
  readonly step: (state: T, batch: B) => { readonly state: NoInfer<T>; readonly metrics: M };
  readonly options?: TrainerOptions;
}): Trainer<S, B, M> {
  const options = { name: "training step", ...definition.options };
  const { name, guard = "loss" } = options;
  const structure = definition.state;
  const state = new DoubleBuffer(concreteLeaves(structure, `${name}: the initial state`));
  const cache = new GraphCache(options.graphs);
  const turns = new Turns(name);
  let nodeCount = 0;
  let steps = 0;

  const compileStep = async (batch: Feed<B>): Promise<CompiledGraph> => {
    const old = placeholders(structure, "state");
    const data = placeholders(batch, "batch");
    const result = definition.step(old.tree as unknown as T, data.tree as unknown as B);
    checkStructure(`${name}: the new state`, tracedLeaves(result.state), state.current);
    checkMetrics(name, result.metrics);
    const graph = await compileGraph(
      new Map([...old.inputs, ...data.inputs]),
      {
        state: result.state,
        metrics: result.metrics,
        ...finiteResult(guard, result.state),
      },
      options,
    );
    nodeCount = graph.nodeCount;
    return graph;
  };

  const runStep = async (
    graph: CompiledGraph,
    batch: ReadonlyMap<string, NDArray>,
  ): Promise<StepMetrics<M>> => {
    const { arrays, numbers } = metricArrays((graph.result as { readonly metrics: M }).metrics);
    const feeds = [...prefixed(state.current, "state"), ...prefixed(batch, "batch")];
    const finite = finiteFlag(guard);
    await graph.run(feeds, {
      ...Object.fromEntries([...prefixed(state.next, "out/state"), ...prefixed(arrays, "out/metrics")]),
      ...finite.fetches,
    });
    if (guard !== false) {
      const bad = [
        ...nonFiniteLeaves(prefixed(arrays, "metrics")),
        ...finite.bad(() => prefixed(state.next, "state")),
      ];
      if (bad.length > 0) throw await nonFiniteError(graph, feeds, steps + 1, bad);
    }
    state.swap();
    steps++;
    return numbers() as StepMetrics<M>;
  };

  return {
    get nodeCount() {
      return nodeCount;
    },
    step: (batch, stepOptions = {}) =>
      turns.take(stepOptions, () => {
        const leaves = concreteLeaves(batch, `${name}: the batch`);
        return cache.use(
          treeSignature(batch),
          () => compileStep(batch),
          (graph) => runStep(graph, leaves),
        );
      }),
    state() {
      const leaves = copyLeaves(state.current);
      return treeMap(structure, (_, path) => leaves.get(path)) as S;
    },
    restore(given) {
      const leaves = concreteLeaves(given, `${name}: the restored state`);
      checkStructure(`${name}: the restored state`, leaves, state.current);
      state.replace(leaves);
      steps = 0;
    },
    close: () => cache.close(),
  };
}
