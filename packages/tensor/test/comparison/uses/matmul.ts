import type { Uses } from "../../support/random-graph-draft.ts";

function flipped(shape: readonly number[], flip: boolean): number[] {
  return flip ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : [...shape];
}

export const uses: Uses = {
  matmul: (draft) => {
    const a = draft.ranked(2, 4);
    const [transposeA, transposeB] = [draft.once(2), draft.once(2)];
    const inner = flipped(draft.shape(a), transposeA).at(-1) as number;
    const lead = draft.shape(a).slice(0, -2);
    const batch = lead.slice(draft.integer(0, lead.length)).map((n) => (draft.once(4) ? 1 : n));
    const fits = (shape: readonly number[]): boolean =>
      shape.length >= 2 &&
      flipped(shape, transposeB).at(-2) === inner &&
      shape.slice(0, -2).every((_, i) => {
        const [m, n] = [shape.at(-3 - i), lead.at(-1 - i) ?? 1];
        return m === 1 || m === n || n === 1;
      });
    const b = draft.tensor(fits, () => flipped([...batch, inner, draft.integer(1, 4)], transposeB));
    draft.step("matmul", [a, b], { transposeA, transposeB, scale: draft.pick([1, 0.4, -0.5]) });
  },
  dot: (draft) => {
    const a = draft.ranked(1, 1);
    draft.step("dot", [a, draft.shaped(draft.shape(a))]);
  },
  outer: (draft) => draft.step("outer", [draft.ranked(1, 1), draft.ranked(1, 1)]),
};
