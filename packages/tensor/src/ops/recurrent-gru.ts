import type { Spec } from "../core/tensor.ts";
import { defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { sigmoid, tanh } from "./math.ts";
import { matmul } from "./matmul.ts";
import type { DirectionAttributes } from "./recurrent-steps.ts";
import {
  affine,
  joinBiases,
  keepWithin,
  reorderGates,
  statesBefore,
  stepsOf,
  unrollNodes,
  visitingOrder,
  withinLengths,
} from "./recurrent-steps.ts";
import { concat, narrow, split } from "./shape.ts";
import { reshape, sum, transpose } from "./structure.ts";

/** Gates stand in the order reset, update, candidate; the kernel wants update, reset, candidate. */
const KERNEL_ORDER = [1, 0, 2];

/**
 * One direction of a GRU: x [T, B, I], weights [3H, I] and [3H, H], biases [3H] twice, initial state [B, H] and maybe
 * lengths [B] to all hidden states [T, B, H].
 *
 * The gradient computes the gates of all steps anew in a few large products, since every state is known; what remains
 * of the recursion is dh, with one small product a step.
 */
export const gruDirection = defineUnitOp<DirectionAttributes>({
  name: "gru",
  infer: ([x, , recurrent]) => {
    const { shape, dtype } = x as Spec;
    return [
      { shape: [shape[0] as number, shape[1] as number, (recurrent as Spec).shape[1] as number], dtype },
    ];
  },
  lower: (graph, inputs, { reverse }, { inputs: specs, outputs }) => {
    const [x, w, r, inputBias, recurrentBias, initial, lengths] = inputs as [
      ...[string, string, string, string, string, string],
      string | undefined,
    ];
    const { shape, dtype } = outputs[0];
    const [steps, batch, hidden] = shape as [number, number, number];
    if (dtype === "float32") {
      const states = graph.nodeWithOutputs(
        "GRU",
        [
          x,
          reorderGates(graph, w, specs[1] as Spec, KERNEL_ORDER, hidden),
          reorderGates(graph, r, specs[2] as Spec, KERNEL_ORDER, hidden),
          joinBiases(graph, [inputBias, recurrentBias], KERNEL_ORDER, hidden),
          lengths ?? "",
          graph.reshape(initial, [1, batch, hidden]),
        ],
        1,
        { hidden_size: hidden, linear_before_reset: 1, direction: reverse ? "reverse" : "forward" },
      )[0] as string;
      return [graph.reshape(states, shape)];
    }
    const parts = (gates: string): readonly string[] =>
      graph.nodeWithOutputs("Split", [gates], 3, { axis: -1, num_outputs: 3 });
    const { outputs: states } = unrollNodes(
      graph,
      steps,
      reverse,
      dtype,
      lengths,
      affine(graph, x, w, inputBias),
      [initial],
      (gates, [state]) => {
        const [xr, xz, xn] = parts(gates) as [string, string, string];
        const [hr, hz, hn] = parts(affine(graph, state as string, r, recurrentBias)) as [
          string,
          string,
          string,
        ];
        const reset = graph.node("Sigmoid", [graph.node("Add", [xr, hr])]);
        const update = graph.node("Sigmoid", [graph.node("Add", [xz, hz])]);
        const candidate = graph.node("Tanh", [graph.node("Add", [xn, graph.node("Mul", [reset, hn])])]);
        const change = graph.node("Sub", [state as string, candidate]);
        return [graph.node("Add", [candidate, graph.node("Mul", [update, change])])];
      },
    );
    return [states];
  },
  vjp: ({ inputs, outputs: [states], cotangents: [dy], attributes: { reverse } }) => {
    const [x, w, r, inputBias, recurrentBias, initial, lengths] = inputs as [
      ...[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
      Tensor | undefined,
    ];
    const [steps, batch, hidden] = states.shape as [number, number, number];
    const mask = lengths && withinLengths(lengths, steps);
    const before = statesBefore(states, initial, reverse, lengths);
    const rows = (value: Tensor): Tensor => reshape(value, [steps * batch, -1]);
    const [flatX, flatBefore] = [rows(x), rows(before)];

    // Reset and update gates together, the candidate apart, so that nothing needs to be cut out of large results.
    const gatesOf = (value: Tensor, weights: Tensor, bias: Tensor, from: number, count: number): Tensor =>
      add(
        matmul(value, transpose(narrow(weights, 0, from * hidden, count * hidden))),
        narrow(bias, 0, from * hidden, count * hidden),
      );
    const gates = sigmoid(
      add(gatesOf(flatX, w, inputBias, 0, 2), gatesOf(flatBefore, r, recurrentBias, 0, 2)),
    );
    const [reset, update] = split(gates, 2, 1) as [Tensor, Tensor];
    const [resetSlope, updateSlope] = split(sub(gates, mul(gates, gates)), 2, 1) as [Tensor, Tensor];
    const remembered = gatesOf(flatBefore, r, recurrentBias, 2, 1);
    const candidate = tanh(add(gatesOf(flatX, w, inputBias, 2, 1), mul(reset, remembered)));

    // Derivatives of the state with respect to the gates' arguments, as factors of dh.
    const dCandidate = mul(sub(1, update), sub(1, mul(candidate, candidate)));
    const dUpdate = mul(sub(flatBefore, candidate), updateSlope);
    const dReset = mul(mul(dCandidate, remembered), resetSlope);
    const factors = (last: Tensor): Tensor =>
      keepWithin(mask, reshape(concat([dReset, dUpdate, last], 1), [steps, batch, 3, hidden]), 0);
    const ofRecurrent = factors(mul(dCandidate, reset));
    // A state is held beyond the end of its sequence.
    const kept = keepWithin(mask, reshape(update, [steps, batch, 1, hidden]), 1);

    const given = stepsOf(keepWithin(mask, reshape(dy, [steps, batch, 1, hidden]), 0));
    const [keptSteps, factorSteps] = [stepsOf(kept), stepsOf(ofRecurrent)];
    const dStates = new Array<Tensor>(steps);
    let carried: Tensor | undefined;
    for (const t of visitingOrder(steps, !reverse)) {
      const dState: Tensor = carried ? add(given[t] as Tensor, carried) : (given[t] as Tensor);
      const throughGates = matmul(reshape(mul(dState, factorSteps[t] as Tensor), [batch, 3 * hidden]), r);
      carried = add(mul(dState, keptSteps[t] as Tensor), reshape(throughGates, [1, batch, 1, hidden]));
      dStates[t] = dState;
    }
    const dState = concat(dStates, 0);
    const dRecurrentGates = rows(mul(dState, ofRecurrent));
    const dInputGates = rows(mul(dState, factors(dCandidate)));
    return [
      reshape(matmul(dInputGates, w), x.shape),
      matmul(dInputGates, flatX, { transposeA: true }),
      matmul(dRecurrentGates, flatBefore, { transposeA: true }),
      sum(dInputGates, { axes: 0 }),
      sum(dRecurrentGates, { axes: 0 }),
      reshape(carried as Tensor, initial.shape),
      null,
    ];
  },
});
