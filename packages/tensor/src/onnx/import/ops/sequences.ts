import type { Tensor } from "../../../core/tensor.ts";
import { cast } from "../../../ops/arithmetic.ts";
import { gather } from "../../../ops/gather.ts";
import type { DirectedWeights, RecurrentResult, RecurrentWeights } from "../../../ops/recurrent.ts";
import { gru, lstm } from "../../../ops/recurrent.ts";
import { concat, narrow, split } from "../../../ops/shape.ts";
import { reshape, squeeze, transpose } from "../../../ops/structure.ts";
import type { NodeCall, Value } from "../call.ts";
import type { OpEntries } from "./entry.ts";
import { indexTensor } from "./rearrange.ts";

/** Parts of a weight, one for each gate along the first axis, in another order. */
function reordered(x: Tensor, gates: number, order: readonly number[]): Tensor {
  const parts = split(x, gates, 0);
  return concat(
    order.map((i) => parts[i] as Tensor),
    0,
  );
}

interface Cell {
  readonly gates: number;
  /** Where the engine's gates stand among those of ONNX. */
  readonly order: readonly number[];
  readonly activations: readonly string[];
}

const GRU: Cell = { gates: 3, order: [1, 0, 2], activations: ["Sigmoid", "Tanh"] };
const LSTM: Cell = { gates: 4, order: [0, 2, 3, 1], activations: ["Sigmoid", "Tanh", "Tanh"] };

interface Prepared {
  readonly x: Tensor;
  readonly weights: DirectedWeights;
  readonly options: { readonly initial?: Tensor; readonly lengths?: Tensor };
  readonly reverse: boolean;
  readonly directions: number;
}

/** [D, B, H] as the engine's [B, D·H]. */
function sideBySide(state: Tensor): Tensor {
  const [directions, batch, hidden] = state.shape as [number, number, number];
  return reshape(transpose(state, [1, 0, 2]), [batch, directions * hidden]);
}

function turned(call: NodeCall, x: Tensor): Tensor {
  const steps = x.shape[0] as number;
  call.trace.charge(steps);
  return gather(x, indexTensor(Array.from({ length: steps }, (_, t) => steps - 1 - t)), 0);
}

function prepare(call: NodeCall, { gates, order, activations }: Cell): Prepared {
  const direction = call.text("direction", "forward");
  const directions = direction === "bidirectional" ? 2 : 1;
  if (!["forward", "reverse", "bidirectional"].includes(direction)) call.fail(`direction '${direction}'`);
  const given = call.texts("activations");
  const usual = Array.from({ length: directions }, () => activations).flat();
  if (given && given.join().toLowerCase() !== usual.join().toLowerCase())
    call.fail(`activations [${given.join(", ")}] are not supported, only [${usual.join(", ")}]`);
  if (call.node.attributes.has("clip")) call.fail("clip is not supported");
  if (call.flag("layout", false)) call.fail("layout 1 is not supported");
  const [x, w, r] = [call.float(0), call.float(1), call.float(2)];
  const bias = call.optional(3);
  if (w.shape[0] !== directions || r.shape[0] !== directions)
    call.fail(`weights for ${w.shape[0]} directions, expected ${directions}`);
  const of = (d: number): RecurrentWeights => {
    const own = (tensor: Tensor): Tensor => squeeze(narrow(tensor, 0, d, 1), 0);
    const [inputBias, recurrentBias] = bias ? split(own(bias), 2, 0) : [];
    return {
      inputWeights: reordered(own(w), gates, order),
      recurrentWeights: reordered(own(r), gates, order),
      inputBias: inputBias && reordered(inputBias, gates, order),
      recurrentBias: recurrentBias && reordered(recurrentBias, gates, order),
    };
  };
  const [lengths, initial] = [call.optional(4), call.optional(5)];
  const reverse = direction === "reverse";
  if (reverse && lengths) call.fail("direction 'reverse' together with sequence lengths is not supported");
  return {
    x: reverse ? turned(call, x) : x,
    weights: directions === 2 ? [of(0), of(1)] : of(0),
    options: {
      ...(initial && { initial: sideBySide(initial) }),
      ...(lengths && { lengths: cast(lengths, "int32") }),
    },
    reverse,
    directions,
  };
}

/** The engine's results in ONNX's order of axes: [T, D, B, H] and [D, B, H]. */
function results(
  call: NodeCall,
  { states, last }: RecurrentResult,
  { reverse, directions }: Prepared,
): [Tensor, Tensor] {
  const [steps, batch, width] = states.shape as [number, number, number];
  const hidden = width / directions;
  const inOrder = reverse ? turned(call, states) : states;
  return [
    transpose(reshape(inOrder, [steps, batch, directions, hidden]), [0, 2, 1, 3]),
    byDirection(last, directions),
  ];
}

function byDirection(state: Tensor, directions: number): Tensor {
  const [batch, width] = state.shape as [number, number];
  return transpose(reshape(state, [batch, directions, width / directions]), [1, 0, 2]);
}

const COMMON = ["activations", "direction", "hidden_size", "layout"];

export const sequenceOps: OpEntries = {
  GRU: {
    attributes: [...COMMON, "linear_before_reset"],
    note: "linear_before_reset 1, standard activations",
    lazy: (call): Value[] => {
      if (!call.flag("linear_before_reset", false))
        call.fail("linear_before_reset 0 is not supported (PyTorch writes 1)");
      const prepared = prepare(call, GRU);
      return results(call, gru(prepared.x, prepared.weights, prepared.options), prepared);
    },
  },
  LSTM: {
    attributes: [...COMMON, "input_forget"],
    note: "without peepholes and coupled gates, standard activations",
    lazy: (call): Value[] => {
      if (call.flag("input_forget", false)) call.fail("input_forget 1 is not supported");
      if (call.has(7)) call.fail("peepholes are not supported");
      const prepared = prepare(call, LSTM);
      const cell = call.optional(6);
      const result = lstm(prepared.x, prepared.weights, {
        ...prepared.options,
        ...(cell && { initialCell: sideBySide(cell) }),
      });
      return [...results(call, result, prepared), byDirection(result.lastCell, prepared.directions)];
    },
  },
};
