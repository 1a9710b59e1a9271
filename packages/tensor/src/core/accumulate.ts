import { cast } from "../ops/arithmetic.ts";
import type { Optimiser } from "../optim/optimiser.ts";
import { Descent, type MinimiseState, type SummingGraph } from "./descent.ts";
import { compileGraph, GraphCache } from "./graph.ts";
import { nonFiniteError } from "./guard.ts";
import { allocateLike, concreteLeaves, placeholders, prefixed } from "./leaves.ts";
import { ndarray } from "./ndarray.ts";
import { chunksOf, rowCount, rowsOfTree } from "./rows.ts";
import { placeholder, type Tensor } from "./tensor.ts";
import type { StepOptions, Trainer, TrainerOptions } from "./trainer.ts";
import { checkMetrics, Turns } from "./trainer.ts";
import type { Feed, Traced } from "./tree.ts";
import { treeSignature } from "./tree.ts";

/** What is minimised over several micro-batches a step. */
export interface AccumulatedDefinition<P, B> {
  readonly params: P;
  readonly optimiser: Optimiser;
  /** Mean loss of a micro-batch, a scalar. */
  readonly loss: (params: Traced<P>, batch: B) => Tensor;
  readonly options?: TrainerOptions;
}

export interface AccumulatedStepOptions extends StepOptions {
  /**
   * Weight of each micro-batch's loss, e.g. its number of tokens where the loss is a mean over tokens. Default: its
   * number of rows, the common first axis of its arrays.
   */
  readonly weights?: readonly number[];
}

export interface AccumulatedTrainer<P, B>
  extends Omit<Trainer<MinimiseState<P>, B, { readonly loss: Tensor }>, "step"> {
  /**
   * One update from the weighted mean of the losses of all micro-batches, Σ w_k L_k / Σ w_k. The state is only that
   * between updates: there is nothing in the middle to save. A signal is looked at before each micro-batch.
   */
  step(
    microBatches: readonly Feed<B>[],
    options?: AccumulatedStepOptions,
  ): Promise<{ readonly loss: number }>;
}

/** Weights that add up to 1. */
function shares(name: string, count: number, weights: readonly number[]): number[] {
  const total = weights.reduce((sum, w) => sum + w, 0);
  if (weights.length !== count || !weights.every((w) => w >= 0) || !(total > 0) || !Number.isFinite(total))
    throw new RangeError(
      `${name}: expected ${count} weights >= 0 that are not all 0, one a micro-batch, got [${weights.join(", ")}]`,
    );
  return weights.map((w) => w / total);
}

/**
 * A trainer whose step goes through several micro-batches and updates once: memory for the activations of one of them,
 * gradients of all. For a loss that is a mean over rows this equals one step on all rows at once, but for rounding;
 * losses that compare rows (contrastive ones) see only the rows of their micro-batch: use `createCachedTrainer`.
 *
 *   const trainer = createAccumulatedTrainer({ params, optimiser, loss: (p, batch: { x: Tensor }) => … });
 *   const { loss } = await trainer.step([{ x: first }, { x: second }]);
 */
export function createAccumulatedTrainer<P, B>(
  definition: AccumulatedDefinition<P, B>,
): AccumulatedTrainer<P, B> {
  const options = { name: "accumulated step", ...definition.options };
  const { name, guard = "loss" } = options;
  const descent = new Descent(definition.params, definition.optimiser, options);
  const cache = new GraphCache<SummingGraph>(options.graphs);
  const turns = new Turns(name);

  const compileMicroBatch = async (batch: Feed<B>): Promise<SummingGraph> => {
    const params = descent.traceParams();
    const data = placeholders(batch, "batch");
    const weight = placeholder("weight", { shape: [], dtype: "float32" });
    const loss = definition.loss(params.tree, data.tree as unknown as B);
    checkMetrics(name, { loss });
    const { paths, inputs, sums } = descent.traceSums(params.tree, [[loss, cast(weight, loss.dtype)]]);
    const given = new Map([...params.inputs, ...data.inputs, ...inputs, ["weight", weight] as const]);
    const graph = await compileGraph(given, { loss, ...descent.sumResults(sums) }, options);
    descent.nodeCount += graph.nodeCount;
    return { ...graph, paths };
  };

  const runMicroBatch = async (batch: Feed<B>, what: string, share: number): Promise<number> =>
    cache.use(
      treeSignature(batch),
      () => compileMicroBatch(batch),
      async (graph) => {
        const loss = allocateLike((graph.result as { readonly loss: Tensor }).loss);
        const feeds = [
          ...prefixed(concreteLeaves(batch, what), "batch"),
          ["weight", ndarray([share], { shape: [] })] as const,
        ];
        await descent.addTo(graph, feeds, { "out/loss": loss });
        const value = Number(loss.data[0]);
        if (guard !== false && !Number.isFinite(value))
          throw await nonFiniteError(graph, [...descent.feeds(), ...feeds], descent.step, ["loss"]);
        return value;
      },
    );

  return {
    get nodeCount() {
      return descent.nodeCount;
    },
    step: (microBatches, stepOptions = {}) =>
      turns.take(stepOptions, async () => {
        const what = (i: number): string => `${name}: micro-batch ${i}`;
        if (microBatches.length === 0) throw new RangeError(`${name}: needs at least one micro-batch`);
        const weights = stepOptions.weights ?? microBatches.map((batch, i) => rowCount(batch, what(i)));
        const parts = shares(name, microBatches.length, weights);
        descent.clearSums();
        let total = 0;
        for (const [i, batch] of microBatches.entries()) {
          stepOptions.signal?.throwIfAborted();
          total += (parts[i] as number) * (await runMicroBatch(batch, what(i), parts[i] as number));
        }
        await descent.update();
        return { loss: total };
      }),
    state: () => descent.state(),
    restore: (state) => descent.restore(state),
    async close() {
      await cache.close();
      await descent.close();
    },
  };
}

/** As `createAccumulatedTrainer`, for whole batches, whose rows are parted into `count` micro-batches. */
export function accumulateOverRows<P, B>(
  definition: AccumulatedDefinition<P, B>,
  count: number,
): Trainer<MinimiseState<P>, B, { readonly loss: Tensor }> {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`accumulate: the number of micro-batches must be an integer >= 1, got ${count}`);
  const trainer = createAccumulatedTrainer(definition);
  return {
    ...trainer,
    get nodeCount() {
      return trainer.nodeCount;
    },
    async step(batch, stepOptions) {
      const rows = rowCount(batch, `${definition.options?.name ?? "accumulated step"}: the batch`);
      const size = Math.max(1, Math.ceil(rows / count));
      return trainer.step(
        chunksOf(rows, size).map(([start, end]) => rowsOfTree(batch, start, end)),
        stepOptions,
      );
    },
  };
}
