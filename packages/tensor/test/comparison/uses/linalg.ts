import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

/**
 * A matrix [..., M, N] of moderate numbers plus a diagonal, which keeps it away from singular ones. Different entries
 * of the diagonal keep values apart, for where they coincide PyTorch has no gradient of its decompositions.
 */
function aroundDiagonal(draft: Draft, square: boolean, diagonal: (i: number) => number): string {
  const x = draft.tensor(
    (shape) => shape.length >= 2 && shape.length <= 3 && (!square || shape.at(-1) === shape.at(-2)),
    () => {
      const rows = draft.integer(1, 4);
      return [...draft.freshShape(0, 1), rows, square ? rows : draft.integer(1, 4)];
    },
  );
  const [rows, columns] = draft.shape(x).slice(-2) as [number, number];
  const data = Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return row === column ? diagonal(row) : 0;
  });
  return draft.step("add", [draft.bounded(x, 0.5), draft.given({ shape: [rows, columns], data })]);
}

/** A symmetric matrix with eigenvalues of at least 1/2. */
function positive(draft: Draft): string {
  const x = aroundDiagonal(draft, true, (i) => 1 + i / 2);
  const size = draft.along(x, -1);
  const data = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 0.5 : 0));
  const square = draft.step("matmul", [x, x], { transposeB: true, transposeA: false, scale: 1 });
  return draft.step("add", [square, draft.given({ shape: [size, size], data })]);
}

function ofPositive(op: string, attributes: object = {}): Use {
  return (draft) => draft.steps(op, [positive(draft)], { ...attributes });
}

export const uses: Uses = {
  cholesky: ofPositive("cholesky"),
  logDeterminant: ofPositive("logDeterminant"),
  inverseSquareRoot: ofPositive("inverseSquareRoot", { iterations: 25 }),
  solvePositive: (draft) => {
    const a = positive(draft);
    draft.step("solvePositive", [a, draft.input([...draft.shape(a).slice(0, -1), draft.integer(1, 3)])]);
  },
  inverse: (draft) => draft.step("inverse", [aroundDiagonal(draft, true, () => 3)]),
  triangularSolve: (draft) => {
    const a = aroundDiagonal(draft, true, () => 2);
    const b = draft.shaped([...draft.shape(a).slice(0, -1), draft.integer(1, 3)]);
    draft.step("triangularSolve", [a, b], { upper: draft.once(2), transpose: draft.once(2) });
  },
  orthogonalize: (draft) =>
    draft.step("orthogonalize", [aroundDiagonal(draft, false, (i) => 2 + i)], { iterations: 40 }),
  symmetricEigen: (draft) => draft.steps("symmetricEigen", [aroundDiagonal(draft, true, (i) => 4 * i)]),
  svd: (draft) => draft.steps("svd", [aroundDiagonal(draft, false, (i) => 3 + 4 * i)]),
};
