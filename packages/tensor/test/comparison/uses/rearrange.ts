import type { Use, Uses } from "../../support/random-graph-draft.ts";

function triangle(op: string): Use {
  return (draft) => draft.step(op, [draft.ranked(2)], { offset: draft.integer(-2, 2) });
}

/** Equations with one size for each letter; letters of one operand may come twice. */
const EQUATIONS = [
  "ij,jk->ik",
  "ji,kj",
  "bqd,bkd->bqk",
  "bqhd,bkhd->bhqk",
  "bhqk,bkhd->bqhd",
  "i,j->ij",
  "bi,bi->b",
  "bi,bi->ib",
  "i,i->",
  "ii->",
  "ii->i",
  "iji->j",
  "ijk->j",
  "ij,k->j",
  "ii,ij->j",
  "i,ij,jk,k->",
  "bij,bj,ik->bk",
  ",i->i",
];

export const uses: Uses = {
  flip: (draft) => {
    const x = draft.ranked(1);
    draft.step("flip", [x], { axes: [draft.axis(x)] });
  },
  roll: (draft) => {
    const x = draft.ranked(1);
    draft.step("roll", [x], { shift: draft.integer(-3, 5), axis: draft.axis(x) });
  },
  tile: (draft) => {
    const x = draft.ranked(1);
    draft.step("tile", [x], { repeats: draft.shape(x).map(() => draft.integer(1, 2)) });
  },
  repeat: (draft) => {
    const x = draft.ranked(1);
    draft.step("repeat", [x], { times: draft.integer(1, 3), axis: draft.axis(x) });
  },
  tril: triangle("tril"),
  triu: triangle("triu"),
  diagonal: (draft) => {
    const x = draft.ranked(2);
    const [rows, columns] = draft.shape(x).slice(-2) as [number, number];
    draft.step("diagonal", [x], { offset: draft.integer(1 - rows, columns - 1) });
  },
  diagonalMatrix: (draft) => draft.step("diagonalMatrix", [draft.ranked(1)]),
  trace: (draft) => draft.step("trace", [draft.ranked(2)]),
  meshgrid: (draft) => {
    const vectors = Array.from({ length: draft.integer(1, 3) }, () =>
      draft.tensor(
        ({ length, 0: size = 0 }) => length === 1 && size < 5,
        () => [draft.integer(1, 4)],
      ),
    );
    draft.steps("meshgrid", vectors);
  },
  einsum: (draft) => {
    const equation = draft.pick(EQUATIONS);
    const sizes = new Map([...equation].map((letter) => [letter, draft.integer(1, 3)]));
    const terms = (equation.split("->")[0] as string).split(",");
    const operands = terms.map((term) =>
      draft.shaped([...term].map((letter) => sizes.get(letter) as number)),
    );
    draft.step("einsum", operands, { equation });
  },
  pairLogSumExp: (draft) => {
    const a = draft.ranked(2, 2);
    draft.steps("pairLogSumExp", [a, draft.shaped(draft.shape(a))], { blockRows: draft.integer(1, 4) });
  },
};
