import { valueAndGrad } from "../core/grad.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Trainer, TrainerOptions } from "../core/trainer.ts";
import { createTrainer } from "../core/trainer.ts";
import type { Traced } from "../core/tree.ts";
import type { Optimiser, OptimiserState, TracedOptimiserState } from "./optimiser.ts";

/** State of a trainer made by `minimise`. */
export interface MinimiseState<P> {
  readonly params: P;
  readonly optimiser: OptimiserState<P>;
}

/** The state as the traced step sees it. */
interface TracedMinimiseState<P> {
  readonly params: Traced<P>;
  readonly optimiser: TracedOptimiserState;
}

/**
 * A trainer that minimises one loss over one tree of parameters: the usual case of `createTrainer`.
 *
 *   const trainer = minimise({ params, optimiser: adamw({ learningRate: 1e-3 }), loss: (p, batch) => … });
 *   const { loss } = await trainer.step(batch);
 */
export function minimise<P, B>(definition: {
  readonly params: P;
  readonly optimiser: Optimiser;
  readonly loss: (params: Traced<P>, batch: B) => Tensor;
  readonly options?: TrainerOptions;
}): Trainer<MinimiseState<P>, B, { readonly loss: Tensor }> {
  const { params, optimiser, loss, options } = definition;
  const initial: MinimiseState<P> = { params, optimiser: optimiser.init(params) };
  return createTrainer({
    state: initial,
    step: (state: TracedMinimiseState<P>, batch: B) => {
      const { value, gradients } = valueAndGrad((p: Traced<P>) => loss(p, batch))(state.params);
      const next = optimiser.update(state.params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: { loss: value } };
    },
    ...(options && { options }),
  });
}
