import type { Spec } from "../core/tensor.ts";
import { defineOp, type Tensor } from "../core/tensor.ts";
import { add, cast, mul, sub } from "./arithmetic.ts";
import { zeros } from "./create.ts";
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
import { concat, split } from "./shape.ts";
import { reshape, sum, transpose } from "./structure.ts";

/** Gates stand in the order input, forget, cell, output; the kernel wants input, output, forget, cell. */
const KERNEL_ORDER = [0, 3, 1, 2];

/**
 * One direction of an LSTM: x [T, B, I], weights [4H, I] and [4H, H], biases [4H] twice, initial state and cell [B, H]
 * and maybe lengths [B] to all hidden states [T, B, H] and the last cell [B, H].
 *
 * The gradient works as that of `gruDirection`; the cells, which the kernel does not return, follow from the gates.
 */
export const lstmDirection = defineOp<DirectionAttributes>({
  name: "lstm",
  infer: ([x, , recurrent]) => {
    const { shape, dtype } = x as Spec;
    const [steps, batch] = shape as [number, number];
    const hidden = (recurrent as Spec).shape[1] as number;
    return [
      { shape: [steps, batch, hidden], dtype },
      { shape: [batch, hidden], dtype },
    ];
  },
  lower: (graph, inputs, { reverse }, { inputs: specs, outputs }) => {
    const [x, w, r, inputBias, recurrentBias, initial, initialCell, lengths] = inputs as [
      ...[string, string, string, string, string, string, string],
      string | undefined,
    ];
    const [{ shape, dtype }, cellSpec] = outputs as [Spec, Spec];
    const [steps, batch, hidden] = shape as [number, number, number];
    if (dtype === "float32") {
      const [states, , cell] = graph.nodeWithOutputs(
        "LSTM",
        [
          x,
          reorderGates(graph, w, specs[1] as Spec, KERNEL_ORDER, hidden),
          reorderGates(graph, r, specs[2] as Spec, KERNEL_ORDER, hidden),
          joinBiases(graph, [inputBias, recurrentBias], KERNEL_ORDER, hidden),
          lengths ?? "",
          graph.reshape(initial, [1, batch, hidden]),
          graph.reshape(initialCell, [1, batch, hidden]),
        ],
        3,
        { hidden_size: hidden, direction: reverse ? "reverse" : "forward" },
      ) as [string, string, string];
      return [graph.reshape(states, shape), graph.reshape(cell, cellSpec.shape)];
    }
    const { outputs: states, last } = unrollNodes(
      graph,
      steps,
      reverse,
      dtype,
      lengths,
      affine(graph, x, w, inputBias),
      [initial, initialCell],
      (gates, [state, cell]) => {
        const sums = graph.node("Add", [gates, affine(graph, state as string, r, recurrentBias)]);
        const parts = graph.nodeWithOutputs("Split", [sums], 4, { axis: -1, num_outputs: 4 });
        const [input, forget, content, output] = parts.map((part, gate) =>
          graph.node(gate === 2 ? "Tanh" : "Sigmoid", [part]),
        ) as [string, string, string, string];
        const next = graph.node("Add", [
          graph.node("Mul", [forget, cell as string]),
          graph.node("Mul", [input, content]),
        ]);
        return [graph.node("Mul", [output, graph.node("Tanh", [next])]), next];
      },
    );
    return [states, graph.reshape(last[1] as string, cellSpec.shape)];
  },
  vjp: ({ inputs, outputs: [states], cotangents: [dy, dLastCell], attributes: { reverse } }) => {
    const [x, w, r, inputBias, recurrentBias, initial, initialCell, lengths] = inputs as [
      ...[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
      Tensor | undefined,
    ];
    const [steps, batch, hidden] = (states as Tensor).shape as [number, number, number];
    const perStep = [steps, batch, 1, hidden];
    const mask = lengths && withinLengths(lengths, steps);
    const before = statesBefore(states as Tensor, initial, reverse, lengths);
    const rows = (value: Tensor): Tensor => reshape(value, [steps * batch, -1]);
    const [flatX, flatBefore] = [rows(x), rows(before)];
    const sums = add(
      add(matmul(flatX, transpose(w)), add(inputBias, recurrentBias)),
      matmul(flatBefore, transpose(r)),
    );
    const [input, forget, content, output] = split(sums, 4, 1).map((part, gate) =>
      reshape(gate === 2 ? tanh(part) : sigmoid(part), perStep),
    ) as [Tensor, Tensor, Tensor, Tensor];

    // Cells, in the order of visits; beyond the end of its sequence a cell is held.
    const kept = keepWithin(mask, forget, 1);
    const keptSteps = stepsOf(kept);
    const newSteps = stepsOf(keepWithin(mask, mul(input, content), 0));
    const cellsBefore = new Array<Tensor>(steps);
    const cells = new Array<Tensor>(steps);
    let cell = reshape(initialCell, [1, batch, 1, hidden]);
    for (const t of visitingOrder(steps, reverse)) {
      cellsBefore[t] = cell;
      cell = add(mul(cell, keptSteps[t] as Tensor), newSteps[t] as Tensor);
      cells[t] = cell;
    }
    const squashed = tanh(concat(cells, 0));

    const slope = (gate: Tensor): Tensor => sub(gate, mul(gate, gate));
    const ofCell = concat(
      [
        mul(content, slope(input)),
        mul(concat(cellsBefore, 0), slope(forget)),
        mul(input, sub(1, mul(content, content))),
      ],
      2,
    );
    const ofCellSteps = stepsOf(keepWithin(mask, ofCell, 0));
    const ofOutputSteps = stepsOf(keepWithin(mask, mul(squashed, slope(output)), 0));
    const throughSteps = stepsOf(keepWithin(mask, mul(output, sub(1, mul(squashed, squashed))), 0));
    const heldSteps = mask && stepsOf(sub(1, cast(reshape(mask, [steps, batch, 1, 1]), x.dtype)));

    const given = stepsOf(
      keepWithin(mask, reshape(dy ?? zeros((states as Tensor).shape, x.dtype), perStep), 0),
    );
    const dGates = new Array<Tensor>(steps);
    let dCell: Tensor | undefined = (dLastCell && reshape(dLastCell, [1, batch, 1, hidden])) || undefined;
    let carried: Tensor | undefined;
    for (const t of visitingOrder(steps, !reverse)) {
      const dState: Tensor = carried ? add(given[t] as Tensor, carried) : (given[t] as Tensor);
      const fromState = mul(dState, throughSteps[t] as Tensor);
      dCell = dCell ? add(fromState, dCell) : fromState;
      const ofGates = concat(
        [mul(dCell, ofCellSteps[t] as Tensor), mul(dState, ofOutputSteps[t] as Tensor)],
        2,
      );
      dGates[t] = ofGates;
      carried = reshape(matmul(reshape(ofGates, [batch, 4 * hidden]), r), [1, batch, 1, hidden]);
      if (heldSteps) carried = add(carried, mul(dState, heldSteps[t] as Tensor));
      dCell = mul(dCell, keptSteps[t] as Tensor);
    }
    const dSums = rows(concat(dGates, 0));
    const dBias = sum(dSums, { axes: 0 });
    return [
      reshape(matmul(dSums, w), x.shape),
      matmul(dSums, flatX, { transposeA: true }),
      matmul(dSums, flatBefore, { transposeA: true }),
      dBias,
      dBias,
      reshape(carried as Tensor, initial.shape),
      reshape(dCell as Tensor, initialCell.shape),
      null,
    ];
  },
});
