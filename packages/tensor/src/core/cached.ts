import type { Optimiser } from "../optim/optimiser.ts";
import { keyArray } from "../random/graph.ts";
import { foldIn, type Key, randomKey } from "../random/host.ts";
import { Descent, type MinimiseState, type SummingGraph } from "./descent.ts";
import { formatShape, ShapeError } from "./errors.ts";
import type { CompiledGraph, Feeds } from "./graph.ts";
import { compileGraph, GraphCache } from "./graph.ts";
import { nonFiniteError, nonFiniteLeaves } from "./guard.ts";
import { allocateLike, concreteLeaves, placeholders, prefixed } from "./leaves.ts";
import { type NDArray, ndarray } from "./ndarray.ts";
import { chunksOf, rowCount, rowsOfArray, rowsOfTree } from "./rows.ts";
import { constant, placeholder, type Tensor } from "./tensor.ts";
import type { StepMetrics, StepOptions, Trainer, TrainerOptions } from "./trainer.ts";
import { checkMetrics, metricArrays, Turns } from "./trainer.ts";
import type { Feed, Traced } from "./tree.ts";
import { treeSignature } from "./tree.ts";

/**
 * An encoder: inputs of a chunk of rows to embeddings [rows, ...]. It must treat rows apart from each other (no batch
 * statistics). `key` is int32 [2], another one for each chunk and step, the same in both passes.
 */
export type Tower<P> = (params: Traced<P>, inputs: never, key: Tensor) => Tensor;

/** What the towers are fed: for each a tree of arrays with the rows of the batch as first axis. */
export type TowerInputs<T> = {
  readonly [K in keyof T]: T[K] extends (params: never, inputs: infer I, key: never) => Tensor
    ? Feed<I>
    : never;
};

export interface CachedDefinition<P, T, M, E> {
  readonly params: P;
  readonly optimiser: Optimiser;
  readonly towers: T;
  /**
   * Metrics from the embeddings of the whole batch; `loss` among them is minimised. It may use parameters of its own,
   * e.g. a learned temperature. `extra` is what the step was given beside the inputs of the towers.
   */
  readonly loss: (embeddings: { readonly [K in keyof T]: Tensor }, params: Traced<P>, extra: E) => M;
  /** Rows that go through a tower at a time. */
  readonly chunkRows: number;
  /** Source of the keys of the towers. Default: seed 0. */
  readonly key?: Key;
  readonly options?: TrainerOptions;
}

export interface CachedTrainer<P, T, M, E>
  extends Omit<Trainer<MinimiseState<P>, TowerInputs<T>, M>, "step"> {
  /** One update. A signal is looked at before each graph that runs. */
  step(batch: TowerInputs<T>, options?: StepOptions & { readonly extra?: Feed<E> }): Promise<StepMetrics<M>>;
}

/**
 * A trainer for losses that compare all rows of a large batch (contrastive ones), in the memory of one chunk of rows:
 *
 * 1. each tower encodes the batch chunk by chunk, and only the embeddings are kept;
 * 2. the loss gives the gradient with respect to the embeddings;
 * 3. each tower goes through its chunks again, now with the gradients of the embeddings as cotangents, and the
 *    gradients of the parameters add up;
 * 4. the optimiser makes one step.
 *
 * The gradient is that of the whole batch, but for rounding, also with dropout: both passes of a chunk get the same
 * key, foldIn(foldIn(foldIn(key, t), tower), chunk) for step t of the optimiser, from 0. Costs one forward pass more.
 *
 *   const trainer = createCachedTrainer({
 *     params, optimiser, chunkRows: 128,
 *     towers: { image: (p, x: Tensor) => …, text: (p, ids: Tensor, key) => … },
 *     loss: ({ image, text }, p) => ({ loss: infoNCE(image, text, { logitScale: exp(p.logScale) }) }),
 *   });
 *   const { loss } = await trainer.step({ image: pixels, text: ids });
 *
 * `step` throws ShapeError when the towers have different numbers of rows or an embedding has not one row for each.
 *
 * @source Gao, Zhang, Han, Callan 2021 (GradCache), section 3
 */
export function createCachedTrainer<
  P,
  T extends Readonly<Record<string, Tower<P>>>,
  M extends { readonly loss: Tensor },
  E = undefined,
>(definition: CachedDefinition<P, T, M, E>): CachedTrainer<P, T, M, E> {
  const { chunkRows, key = randomKey(0) } = definition;
  if (!Number.isInteger(chunkRows) || chunkRows < 1)
    throw new RangeError(`createCachedTrainer: chunkRows must be an integer >= 1, got ${chunkRows}`);
  const options = { name: "cached step", ...definition.options };
  const { name, guard = "loss" } = options;
  const towers = Object.entries(definition.towers);
  const descent = new Descent(definition.params, definition.optimiser, options);
  // A whole chunk and a smaller last one for each tower, for two sizes of batch.
  const graphs = options.graphs ?? Math.max(16, 4 * towers.length);
  const encoders = new GraphCache(graphs);
  const backward = new GraphCache<SummingGraph>(graphs);
  const losses = new GraphCache<SummingGraph>(graphs);
  const turns = new Turns(name);

  /** A tower on a chunk, traced. */
  const trace = (tower: string, inputs: unknown) => {
    const params = descent.traceParams();
    const data = placeholders(inputs, "in");
    const keyInput = placeholder("key", { shape: [2], dtype: "int32" });
    const encode = definition.towers[tower] as unknown as (p: Traced<P>, x: unknown, key: Tensor) => Tensor;
    const embeddings = encode(params.tree, data.tree, keyInput);
    const rows = rowCount(inputs, `${name}: tower '${tower}'`);
    if (embeddings.shape[0] !== rows)
      throw new ShapeError(
        `${name}: tower '${tower}' made ${formatShape(embeddings.shape)} of ${rows} rows; expected [${rows}, ...]`,
      );
    const given = new Map([...params.inputs, ...data.inputs, ["key", keyInput] as const]);
    return { params: params.tree, embeddings, inputs: given };
  };
  const counted = <G extends CompiledGraph>(graph: G): G => {
    descent.nodeCount += graph.nodeCount;
    return graph;
  };
  const named = (part: string) => ({ ...options, name: `${name} (${part})` });

  const compileEncoder = async (tower: string, inputs: unknown): Promise<CompiledGraph> => {
    const traced = trace(tower, inputs);
    return counted(
      await compileGraph(traced.inputs, { embeddings: traced.embeddings }, named(`tower '${tower}'`)),
    );
  };

  const compileBackward = async (tower: string, inputs: unknown): Promise<SummingGraph> => {
    const traced = trace(tower, inputs);
    const cotangent = placeholder("cotangent", traced.embeddings);
    const {
      paths,
      inputs: sumInputs,
      sums,
    } = descent.traceSums(traced.params, [[traced.embeddings, cotangent]]);
    const given = new Map([...traced.inputs, ...sumInputs, ["cotangent", cotangent] as const]);
    const graph = await compileGraph(given, descent.sumResults(sums), named(`gradient of tower '${tower}'`));
    return { ...counted(graph), paths };
  };

  const compileLoss = async (
    embeddings: Readonly<Record<string, NDArray>>,
    extra: unknown,
  ): Promise<SummingGraph> => {
    const params = descent.traceParams();
    const data = placeholders({ embeddings, extra }, "in");
    const traced = data.tree as {
      readonly embeddings: { readonly [K in keyof T]: Tensor };
      readonly extra: E;
    };
    const metrics = definition.loss(traced.embeddings, params.tree, traced.extra);
    checkMetrics(name, metrics);
    const one = constant(ndarray([1], { shape: [], dtype: metrics.loss.dtype }));
    const leaves = towers.map(([tower]) => traced.embeddings[tower] as Tensor);
    const { paths, inputs, sums, others } = descent.traceSums(params.tree, [[metrics.loss, one]], leaves);
    const given = new Map([...params.inputs, ...data.inputs, ...inputs]);
    const graph = await compileGraph(
      given,
      { metrics, cotangents: others, ...descent.sumResults(sums) },
      named("loss"),
    );
    return { ...counted(graph), paths };
  };

  /** Calls `visit` for each chunk of a tower, one after another. */
  const eachChunk = async (
    tower: string,
    inputs: unknown,
    rows: number,
    signal: AbortSignal | undefined,
    visit: (chunk: {
      readonly inputs: unknown;
      readonly feeds: Feeds;
      readonly start: number;
      readonly end: number;
    }) => Promise<void>,
  ): Promise<void> => {
    const towerKey = foldIn(
      foldIn(key, descent.optimiserSteps),
      towers.findIndex(([other]) => other === tower),
    );
    for (const [i, [start, end]] of chunksOf(rows, chunkRows).entries()) {
      signal?.throwIfAborted();
      const part = rowsOfTree(inputs, start, end);
      const leaves = prefixed(concreteLeaves(part, `${name}: tower '${tower}'`), "in");
      await visit({ inputs: part, feeds: [...leaves, ["key", keyArray(foldIn(towerKey, i))]], start, end });
    }
  };

  const encodeAll = async (
    tower: string,
    inputs: unknown,
    rows: number,
    signal?: AbortSignal,
  ): Promise<NDArray> => {
    let all: NDArray | undefined;
    await eachChunk(tower, inputs, rows, signal, (chunk) =>
      encoders.use(
        `${tower} ${treeSignature(chunk.inputs)}`,
        () => compileEncoder(tower, chunk.inputs),
        async (graph) => {
          const { shape, dtype } = (graph.result as { readonly embeddings: Tensor }).embeddings;
          all ??= allocateLike({ shape: [rows, ...shape.slice(1)], dtype });
          const part = rowsOfArray(all, chunk.start, chunk.end);
          const feeds = [...descent.feeds(), ...chunk.feeds];
          await graph.run(feeds, { "out/embeddings": part });
          if (guard === "all" && nonFiniteLeaves([["embeddings", part]]).length > 0)
            throw await nonFiniteError(graph, feeds, descent.step, ["embeddings"]);
        },
      ),
    );
    return all as NDArray;
  };

  const runLoss = async (embeddings: Readonly<Record<string, NDArray>>, extra: unknown) =>
    losses.use(
      treeSignature([embeddings, extra]),
      () => compileLoss(embeddings, extra),
      async (graph) => {
        const { arrays, numbers } = metricArrays((graph.result as { readonly metrics: M }).metrics);
        const cotangents = towers.map(([tower]) => allocateLike(embeddings[tower] as NDArray));
        const feeds = prefixed(concreteLeaves({ embeddings, extra }, name), "in");
        const old = descent.feeds();
        await descent.addTo(graph, feeds, {
          ...Object.fromEntries(prefixed(arrays, "out/metrics")),
          ...Object.fromEntries(cotangents.map((array, i) => [`out/cotangents/${i}`, array])),
        });
        const bad = guard === false ? [] : nonFiniteLeaves(prefixed(arrays, "metrics"));
        if (bad.length > 0) throw await nonFiniteError(graph, [...old, ...feeds], descent.step, bad);
        return { cotangents, metrics: numbers() as StepMetrics<M> };
      },
    );

  return {
    get nodeCount() {
      return descent.nodeCount;
    },
    step: (batch, { signal, extra, ...stepOptions } = {}) =>
      turns.take({ ...stepOptions, ...(signal && { signal }) }, async () => {
        const inputs = batch as Readonly<Record<string, unknown>>;
        const rows = rowCount(batch, `${name}: the batch`);
        descent.clearSums();
        const embeddings: Record<string, NDArray> = {};
        for (const [tower] of towers) embeddings[tower] = await encodeAll(tower, inputs[tower], rows, signal);
        signal?.throwIfAborted();
        const { cotangents, metrics } = await runLoss(embeddings, extra);
        for (const [i, [tower]] of towers.entries()) {
          const cotangent = cotangents[i] as NDArray;
          await eachChunk(tower, inputs[tower], rows, signal, (chunk) =>
            backward.use(
              `${tower} ${treeSignature(chunk.inputs)}`,
              () => compileBackward(tower, chunk.inputs),
              (graph) =>
                descent.addTo(
                  graph,
                  [...chunk.feeds, ["cotangent", rowsOfArray(cotangent, chunk.start, chunk.end)]],
                  {},
                ),
            ),
          );
        }
        await descent.update();
        return metrics;
      }),
    state: () => descent.state(),
    restore: (state) => descent.restore(state),
    async close() {
      for (const cache of [encoders, backward, losses]) await cache.close();
      await descent.close();
    },
  };
}
