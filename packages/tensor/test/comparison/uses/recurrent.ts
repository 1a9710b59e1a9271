import type { Use, Uses } from "../../support/random-graph-draft.ts";

function recurrent(op: "gru" | "lstm"): Use {
  return (draft) => {
    const batchFirst = draft.once(2);
    const x = draft.ranked(3, 3);
    const [steps, batch] = batchFirst ? [draft.along(x, 1), draft.along(x, 0)] : draft.shape(x);
    const width = draft.integer(1, 3);
    const rows = width * (op === "gru" ? 3 : 4);
    const directions = draft.integer(1, 2);
    const [biases, initial, lengths] = [draft.once(2), draft.once(2), draft.once(3)];
    const weights = Array.from({ length: directions }, () => [
      draft.input([rows, draft.along(x, 2)], [-1, 1]),
      draft.input([rows, width], [-1, 1]),
      ...(biases ? [draft.shaped([rows]), draft.shaped([rows])] : []),
    ]);
    const states = Array.from({ length: !initial ? 0 : op === "gru" ? 1 : 2 }, () =>
      draft.shaped([batch as number, directions * width]),
    );
    const data = Array.from({ length: batch as number }, () => draft.integer(1, steps as number));
    const given = lengths ? [draft.given({ shape: [batch as number], dtype: "int32", data })] : [];
    draft.steps(op, [x, ...weights.flat(), ...states, ...given], {
      directions,
      biases,
      initial,
      lengths,
      batchFirst,
    });
  };
}

export const uses: Uses = { gru: recurrent("gru"), lstm: recurrent("lstm") };
