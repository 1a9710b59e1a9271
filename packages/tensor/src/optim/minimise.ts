import { accumulateOverRows } from "../core/accumulate.ts";
import type { MinimiseState, TracedMinimiseState } from "../core/descent.ts";
import { valueAndGrad } from "../core/grad.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Trainer, TrainerOptions } from "../core/trainer.ts";
import { createTrainer } from "../core/trainer.ts";
import type { Traced } from "../core/tree.ts";
import type { Optimiser } from "./optimiser.ts";

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
  /**
   * Parts the rows of each batch (the common first axis of its arrays) into this many micro-batches whose gradients
   * add up, which takes the memory of one of them. Equal to the whole batch where the loss is a mean over rows.
   */
  readonly accumulate?: number;
  readonly options?: TrainerOptions;
}): Trainer<MinimiseState<P>, B, { readonly loss: Tensor }> {
  const { params, optimiser, loss, accumulate = 1, options } = definition;
  if (accumulate !== 1) return accumulateOverRows(definition, accumulate);
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
