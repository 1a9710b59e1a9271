import type { Draft, Uses } from "../../support/random-graph-draft.ts";
import { images } from "./conv.ts";

function space(draft: Draft, value: string): readonly number[] {
  return draft.shape(value).slice(2);
}

function sampling(draft: Draft) {
  return {
    mode: draft.pick(["linear", "linear", "nearest"]),
    padding: draft.pick(["zeros", "border", "reflection"]),
  };
}

export const uses: Uses = {
  resize: (draft) => {
    const dimensions = draft.pick([1, 2, 3] as const);
    const x = images(draft, dimensions, 2);
    const mode = draft.pick(dimensions === 2 ? ["nearest", "linear", "cubic"] : ["nearest", "linear"]);
    // Where the size doubles, PyTorch's nearest takes every input twice, even for a scale of 2.4.
    const scaled = draft.once(2);
    const shape = scaled
      ? {
          scale: space(draft, x).map(() =>
            draft.pick(mode === "nearest" ? [0.7, 1.5, 2] : [0.7, 1.5, 2, 2.4]),
          ),
        }
      : { size: space(draft, x).map(() => draft.integer(1, 6)) };
    const antialias = dimensions === 2 && mode !== "nearest" && draft.once(3);
    const corners = mode === "nearest" || antialias ? {} : { alignCorners: draft.once(2) };
    draft.step("resize", [x], { mode, ...shape, ...corners, ...(antialias && { antialias }) });
  },
  boxFilter: (draft) => {
    const x = images(draft, draft.pick([1, 2, 3] as const));
    // PyTorch's pools refuse windows that are wider than the image without its border.
    const size = space(draft, x).map((n) => draft.pick([1, 3, 5].filter((width) => width <= n)));
    draft.step("boxFilter", [x], { size, border: draft.pick(["zeros", "inside"]) });
  },
  gridSample: (draft) => {
    const dimensions = draft.pick([2, 3] as const);
    const x = images(draft, dimensions);
    const places = Array.from({ length: dimensions }, () => draft.integer(1, 3));
    const grid = draft.input([draft.along(x, 0), ...places, dimensions], [-1.4, 1.4]);
    draft.step("gridSample", [x, grid], { ...sampling(draft), alignCorners: draft.once(2) });
  },
  warp: (draft) => {
    const x = images(draft, draft.pick([2, 3] as const));
    const field = draft.input([draft.along(x, 0), draft.rank(x) - 2, ...space(draft, x)]);
    draft.step("warp", [x, field], sampling(draft));
  },
  affineGrid: (draft) => {
    const dimensions = draft.integer(2, 3);
    const size = Array.from({ length: dimensions }, () => draft.integer(1, 3));
    const matrices = draft.shaped([draft.integer(1, 2), dimensions, dimensions + 1]);
    draft.step("affineGrid", [matrices], { size, alignCorners: draft.once(2) });
  },
};
