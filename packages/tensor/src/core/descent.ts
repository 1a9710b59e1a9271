import { reachable } from "../onnx/lower.ts";
import { add } from "../ops/arithmetic.ts";
import type { Optimiser, OptimiserState, TracedOptimiserState } from "../optim/optimiser.ts";
import { pullback } from "./grad.ts";
import type { CompiledGraph, Feeds, Fetches } from "./graph.ts";
import { compileGraph, GraphCache } from "./graph.ts";
import { finiteFlag, finiteResult, nonFiniteError } from "./guard.ts";
import type { Leaves } from "./leaves.ts";
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
import type { Tensor } from "./tensor.ts";
import { placeholder } from "./tensor.ts";
import type { TrainerOptions } from "./trainer.ts";
import { tracedLeaves } from "./trainer.ts";
import type { Traced } from "./tree.ts";
import { treeMap } from "./tree.ts";

/** State of the trainers that minimise a loss. */
export interface MinimiseState<P> {
  readonly params: P;
  readonly optimiser: OptimiserState<P>;
}

/** The state as a traced step sees it. */
export interface TracedMinimiseState<P> {
  readonly params: Traced<P>;
  readonly optimiser: TracedOptimiserState;
}

/** A graph among whose results are new sums of the gradients of some parameters. */
export interface SummingGraph extends CompiledGraph {
  /** The parameters, in the order of the results `sums`. */
  readonly paths: readonly string[];
}

/** The leaves of the parameters within a state, by their own paths. */
function paramsOf(state: Leaves): Map<string, NDArray> {
  const own = [...state].filter(([path]) => path === "params" || path.startsWith("params/"));
  return new Map(own.map(([path, array]) => [path.slice("params/".length), array]));
}

/**
 * Parameters, optimiser state and sums of gradients of steps that consist of several graphs: any number of graphs add
 * to the sums, then one updates the parameters. Until that one has succeeded nothing but the sums changes.
 */
export class Descent<P> {
  readonly name: string;
  readonly options: TrainerOptions;
  /** Nodes of all graphs that were compiled. */
  nodeCount = 0;
  readonly #structure: MinimiseState<P>;
  readonly #optimiser: Optimiser;
  readonly #state: DoubleBuffer;
  readonly #sums: DoubleBuffer;
  readonly #updates = new GraphCache(1);
  #steps = 0;

  constructor(params: P, optimiser: Optimiser, options: TrainerOptions & { readonly name: string }) {
    this.name = options.name;
    this.options = options;
    this.#optimiser = optimiser;
    this.#structure = { params, optimiser: optimiser.init(params) };
    this.#state = new DoubleBuffer(concreteLeaves(this.#structure, `${this.name}: the initial state`));
    const zeros = [...paramsOf(this.#state.current)].map(
      ([path, array]) => [path, allocateLike(array)] as const,
    );
    this.#sums = new DoubleBuffer(new Map(zeros));
  }

  /** Number of the step that comes next or is running, from 1, since the start or the last restore. */
  get step(): number {
    return this.#steps + 1;
  }

  /** Steps that the optimiser has done, those before a restart too. */
  get optimiserSteps(): number {
    return Number(this.#state.current.get("optimiser/step")?.data[0]);
  }

  /** The parameters as a graph's inputs. */
  traceParams(): { readonly tree: Traced<P>; readonly inputs: Map<string, Tensor> } {
    return placeholders(this.#structure.params, "params");
  }

  /**
   * Inside a graph: gradients of outputs with given cotangents, added to the sums, for the parameters that the outputs
   * depend on, and the gradients with respect to `others`.
   */
  traceSums(
    params: Traced<P>,
    outputs: readonly (readonly [output: Tensor, cotangent: Tensor])[],
    others: readonly Tensor[] = [],
  ): {
    readonly paths: readonly string[];
    readonly inputs: ReadonlyMap<string, Tensor>;
    readonly sums: readonly Tensor[];
    readonly others: readonly Tensor[];
  } {
    const nodes = new Set(reachable(outputs.map(([output]) => output)));
    const used = [...tracedLeaves(params)].filter(([, tensor]) => nodes.has(tensor.node));
    const slopes = pullback(outputs, [...others, ...used.map(([, tensor]) => tensor)]);
    const old = used.map(([path, tensor]) => placeholder(`sums/${path}`, tensor));
    return {
      paths: used.map(([path]) => path),
      inputs: new Map(used.map(([path], i) => [`sums/${path}`, old[i] as Tensor])),
      sums: old.map((sum, i) => add(sum, slopes[others.length + i] as Tensor)),
      others: slopes.slice(0, others.length),
    };
  }

  /** The parameters and the sums of gradients. */
  feeds(): Feeds {
    return [...prefixed(paramsOf(this.#state.current), "params"), ...prefixed(this.#sums.current, "sums")];
  }

  /** Sets the sums of gradients to zero. */
  clearSums(): void {
    for (const { data } of this.#sums.current.values())
      if (data instanceof BigInt64Array) data.fill(0n);
      else data.fill(0);
  }

  /** The results by which a graph adds to the sums. */
  sumResults(sums: readonly Tensor[]): { readonly sums: readonly Tensor[]; readonly finite?: Tensor } {
    return { sums, ...finiteResult(this.options.guard, sums) };
  }

  /** Runs a graph that adds to the sums. */
  async addTo(graph: SummingGraph, feeds: Feeds, fetches: Fetches): Promise<void> {
    const { paths } = graph;
    const sums = paths.map((path, i) => [`sums/${i}`, this.#sums.next.get(path) as NDArray] as const);
    const finite = finiteFlag(this.options.guard);
    const all = [...this.feeds(), ...feeds];
    await graph.run(all, {
      ...Object.fromEntries(sums.map(([name, array]) => [`out/${name}`, array])),
      ...finite.fetches,
      ...fetches,
    });
    const bad = finite.bad(() => sums);
    const labels = bad.map((name) => `gradient of ${paths[Number(name.slice("sums/".length))]}`);
    if (bad.length > 0) throw await nonFiniteError(graph, all, this.step, bad, labels);
    this.#sums.swapOnly(paths);
  }

  /** Lets the optimiser make its step with the sums as gradients. */
  async update(): Promise<void> {
    await this.#updates.use(
      "update",
      () => this.#compileUpdate(),
      async (graph) => {
        const feeds = [...prefixed(this.#state.current, "state"), ...prefixed(this.#sums.current, "sums")];
        const finite = finiteFlag(this.options.guard);
        await graph.run(feeds, {
          ...Object.fromEntries(prefixed(this.#state.next, "out/state")),
          ...finite.fetches,
        });
        const bad = finite.bad(() => prefixed(this.#state.next, "state"));
        if (bad.length > 0) throw await nonFiniteError(graph, feeds, this.step, bad);
        this.#state.swap();
        this.#steps++;
      },
    );
  }

  async #compileUpdate(): Promise<CompiledGraph> {
    const state = placeholders(this.#structure, "state");
    const sums = placeholders(this.#structure.params, "sums");
    const { params, optimiser } = state.tree as unknown as TracedMinimiseState<P>;
    const next = this.#optimiser.update(params, sums.tree, optimiser);
    const result = { params: next.params, optimiser: next.state };
    checkStructure(`${this.name}: the new state`, tracedLeaves(result), this.#state.current);
    const graph = await compileGraph(
      new Map([...state.inputs, ...sums.inputs]),
      { state: result, ...finiteResult(this.options.guard, result) },
      { ...this.options, name: `${this.name} (update)` },
    );
    this.nodeCount += graph.nodeCount;
    return graph;
  }

  state(): MinimiseState<P> {
    const leaves = copyLeaves(this.#state.current);
    return treeMap(this.#structure, (_, path) => leaves.get(path)) as MinimiseState<P>;
  }

  restore(state: MinimiseState<P>): void {
    const leaves = concreteLeaves(state, `${this.name}: the restored state`);
    checkStructure(`${this.name}: the restored state`, leaves, this.#state.current);
    this.#state.replace(leaves);
    this.#steps = 0;
  }

  close(): Promise<void> {
    return this.#updates.close();
  }
}
