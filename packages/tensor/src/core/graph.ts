import { lowerGraph } from "../onnx/lower.ts";
import { defaultRuntime } from "../runtime/default.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { engineError } from "./failure.ts";
import { allocateLike } from "./leaves.ts";
import type { NDArray } from "./ndarray.ts";
import type { GraphNode, TensorLike } from "./tensor.ts";
import { asTensor, type Tensor } from "./tensor.ts";
import type { Concrete } from "./tree.ts";
import { treeEntries, treeMap } from "./tree.ts";

export interface CompileOptions {
  /** Shown in errors and in the ONNX graph. */
  readonly name?: string;
  readonly runtime?: Runtime;
  readonly threads?: number;
  /** Path prefix for ONNX Runtime's profile of every kernel. */
  readonly profile?: string;
  /**
   * How many graphs are kept, one for each structure and shapes of the arguments; the one not used for longest is
   * released first. Default 16.
   */
  readonly graphs?: number;
}

export type Feeds = readonly (readonly [name: string, array: NDArray])[];
export type Fetches = Readonly<Record<string, NDArray>>;

/** A graph that a runtime has loaded. */
export interface CompiledGraph {
  readonly name: string;
  readonly options: CompileOptions;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** The traced result: its structure and the shapes of its leaves. */
  readonly result: unknown;
  /** What the graph was made of, inputs before their users. */
  readonly nodes: readonly GraphNode[];
  readonly nodeCount: number;
  /**
   * Runs the graph; results are written into `fetches`. Feeds that the graph does not need are left out.
   *
   * @throws EngineError that names the operation in the caller's code
   */
  run(feeds: Feeds, fetches: Fetches): Promise<void>;
  release(): Promise<void>;
}

/** The leaves of a traced result by the names under which they are fetched. */
function outputsOf(result: unknown): Map<string, Tensor> {
  return new Map(treeEntries(result).map(([path, leaf]) => [`out/${path}`, asTensor(leaf as TensorLike)]));
}

/** What a result without a single tensor compiles to: there is nothing to run. */
function emptyGraph(
  name: string,
  inputs: ReadonlyMap<string, Tensor>,
  result: unknown,
  options: CompileOptions,
): CompiledGraph {
  const nothing = async (): Promise<void> => {};
  return { name, options, inputs, result, nodes: [], nodeCount: 0, run: nothing, release: nothing };
}

/**
 * Compiles the graph of a traced result.
 *
 * @throws EngineError when the runtime does not take the graph
 */
export async function compileGraph(
  inputs: ReadonlyMap<string, Tensor>,
  result: unknown,
  options: CompileOptions,
  runsOnce = false,
): Promise<CompiledGraph> {
  const name = options.name ?? "concord";
  const outputs = outputsOf(result);
  if (outputs.size === 0) return emptyGraph(name, inputs, result, options);
  const engine = options.runtime ?? (await defaultRuntime());
  const { model, usedInputs, nodeCount, usesFloat64, nodes } = lowerGraph(
    name,
    inputs,
    outputs,
    engine.target,
  );
  const failed = (phase: "compiled" | "run", error: unknown): never => {
    throw engineError(name, phase, error, nodes);
  };
  const session = await engine
    .load(model, {
      optimisation: runsOnce ? "none" : usesFloat64 ? "basic" : "all",
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.profile === undefined ? {} : { profile: options.profile }),
    })
    .catch((error) => failed("compiled", error));
  return {
    name,
    options,
    inputs,
    result,
    nodes,
    nodeCount,
    run: (feeds, fetches) =>
      session
        .run(Object.fromEntries(feeds.filter(([input]) => usedInputs.has(input))), fetches)
        .catch((error) => failed("run", error)),
    release: () => session.release(),
  };
}

/** Runs a graph once and returns its traced result with arrays in place of tensors. */
export async function runGraph<R>(graph: CompiledGraph, feeds: Feeds): Promise<Concrete<R>> {
  const fetches: Record<string, NDArray> = {};
  const concrete = treeMap(graph.result, (leaf, path) => {
    const array = allocateLike(asTensor(leaf as TensorLike));
    fetches[`out/${path}`] = array;
    return array;
  });
  await graph.run(feeds, fetches);
  return concrete as Concrete<R>;
}

interface Entry<G extends CompiledGraph> {
  readonly graph: Promise<G>;
  users: number;
  discarded: boolean;
}

/** Compiled graphs by signature. At most `limit` are kept; those not used for longest go first, never in use. */
export class GraphCache<G extends CompiledGraph = CompiledGraph> {
  readonly #entries = new Map<string, Entry<G>>();
  readonly #limit: number;

  constructor(limit = 16) {
    if (!Number.isInteger(limit) || limit < 1)
      throw new RangeError(`graphs: the number of graphs kept must be an integer >= 1, got ${limit}`);
    this.#limit = limit;
  }

  /** Calls `use` with the graph of a signature, which is compiled when it is not there. */
  async use<R>(signature: string, compile: () => Promise<G>, use: (graph: G) => Promise<R>): Promise<R> {
    const entry = this.#entries.get(signature) ?? { graph: compile(), users: 0, discarded: false };
    this.#entries.delete(signature);
    this.#entries.set(signature, entry);
    entry.users++;
    try {
      const graph = await entry.graph.catch((error) => {
        if (this.#entries.get(signature) === entry) this.#entries.delete(signature);
        throw error;
      });
      await this.#shrink(this.#limit);
      return await use(graph);
    } finally {
      entry.users--;
      if (entry.discarded) await release(entry);
    }
  }

  /** Releases all graphs, those in use after their runs. */
  async close(): Promise<void> {
    await this.#shrink(0);
  }

  async #shrink(limit: number): Promise<void> {
    for (const [signature, entry] of [...this.#entries].slice(0, Math.max(0, this.#entries.size - limit))) {
      this.#entries.delete(signature);
      entry.discarded = true;
      await release(entry);
    }
  }
}

/** Frees a discarded graph, unless a run still uses it: then that run does. */
async function release(entry: Entry<CompiledGraph>): Promise<void> {
  if (entry.users > 0) return;
  const graph = await entry.graph.catch(() => undefined);
  await graph?.release();
}
