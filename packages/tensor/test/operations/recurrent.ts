import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Application, OperationFamily } from "../support/family.ts";

/** Takes x, the weights of each direction, and then what the attributes say. */
function recurrent(cell: "gru" | "lstm"): Application {
  return (inputs, { directions, biases, initial, lengths, batchFirst }) => {
    const rest = [...inputs];
    const next = (): Tensor => rest.shift() as Tensor;
    const x = next();
    const all = Array.from({ length: directions as number }, () => ({
      inputWeights: next(),
      recurrentWeights: next(),
      ...(biases ? { inputBias: next(), recurrentBias: next() } : {}),
    }));
    const weights = (all.length === 1 ? all[0] : all) as engine.DirectedWeights;
    const options = {
      batchFirst: batchFirst as boolean,
      ...(initial ? { initial: next() } : {}),
      ...(initial && cell === "lstm" ? { initialCell: next() } : {}),
      ...(lengths ? { lengths: next() } : {}),
    };
    if (cell === "gru") {
      const { states, last } = engine.gru(x, weights, options);
      return [states, last];
    }
    const { states, last, lastCell } = engine.lstm(x, weights, options);
    return [states, last, lastCell];
  };
}

export const family: OperationFamily = {
  applications: { gru: recurrent("gru"), lstm: recurrent("lstm") },
  testedElsewhere: { unroll: "recurrent.test.ts" },
};
