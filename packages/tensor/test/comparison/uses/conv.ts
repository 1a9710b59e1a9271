import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

/** Images [B, C, ...space], every side at least `smallest`. */
export function images(draft: Draft, dimensions: number, smallest = 1): string {
  return draft.tensor(
    (shape) => shape.length === dimensions + 2 && shape.slice(2).every((n) => n >= smallest),
    () => [
      draft.integer(1, 2),
      draft.integer(1, 3),
      ...Array.from({ length: dimensions }, () => draft.integer(smallest, dimensions === 3 ? 3 : 5)),
    ],
  );
}

function pool(op: string, dimensions: number): Use {
  return (draft) => {
    const size = draft.integer(1, 2 + Number(dimensions < 3));
    const stride = draft.once(3) ? {} : { stride: draft.integer(1, 2) };
    const x = images(draft, dimensions, size);
    draft.step(op, [x], { size, ...stride, padding: draft.integer(0, size >> 1) });
  };
}

export const uses: Uses = {
  conv2d: (draft) => {
    const x = images(draft, 2);
    const [, channels, height, width] = draft.shape(x) as [number, number, number, number];
    const filters = draft.integer(1, 3);
    const padding = [draft.integer(0, 1), draft.integer(0, 1)];
    const kernel = [height, width].map((n, i) =>
      draft.integer(1, Math.min(3, n + 2 * (padding[i] as number))),
    );
    const weights = draft.input([filters, channels, ...kernel]);
    const bias = draft.once(2) ? [draft.shaped([filters])] : [];
    draft.step("conv2d", [x, weights, ...bias], {
      stride: [draft.integer(1, 3), draft.integer(1, 2)],
      padding,
    });
  },
  maxPool2d: pool("maxPool2d", 2),
  averagePool2d: pool("averagePool2d", 2),
  globalAveragePool: (draft) => draft.step("globalAveragePool", [draft.ranked(2)]),
};
