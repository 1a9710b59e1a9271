import type { CompileOptions, Trainer } from "../core/compile.ts";
import { createTrainer } from "../core/compile.ts";
import { valueAndGrad } from "../core/grad.ts";
import type { Tensor } from "../core/tensor.ts";
import type { Traced } from "../core/tree.ts";
import type { Optimiser, OptimiserState } from "./optimiser.ts";

/** State of a trainer made by `minimise`. */
export interface MinimiseState<P> {
  readonly params: P;
  readonly optimiser: OptimiserState<P>;
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
  readonly options?: CompileOptions;
}): Trainer<MinimiseState<P>, B, { readonly loss: Tensor }> {
  const { params, optimiser, loss, options } = definition;
  const initial: MinimiseState<P> = { params, optimiser: optimiser.init(params) };
  return createTrainer({
    state: initial,
    step: (state: Traced<MinimiseState<P>>, batch: B) => {
      const current = state as unknown as {
        params: Traced<P>;
        optimiser: { step: Tensor; slots: Record<string, unknown> };
      };
      const { value, gradients } = valueAndGrad((p: Traced<P>) => loss(p, batch))(current.params);
      const next = optimiser.update(current.params, gradients, current.optimiser);
      return {
        state: { params: next.params, optimiser: next.state } as unknown as Traced<MinimiseState<P>>,
        metrics: { loss: value },
      };
    },
    ...(options && { options }),
  });
}
