import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

/** A value whose entries are all different, also where it comes from a constant. */
export function untied(draft: Draft, value = draft.ranked(1)): string {
  return draft.step("add", [value, draft.input(draft.shape(value))]);
}

/** `count` different numbers from 0 to `end` - 1. */
function choose(draft: Draft, end: number, count: number): number[] {
  const left = Array.from({ length: end }, (_, i) => i);
  return Array.from({ length: count }, () => left.splice(draft.integer(0, left.length - 1), 1)[0] as number);
}

function running(op: string): Use {
  return (draft) => {
    const x = draft.ranked(1);
    draft.step(op, [x], { axis: draft.axis(x), exclusive: draft.once(2), reverse: draft.once(2) });
  };
}

function sorted(op: string): Use {
  return (draft) => {
    const x = untied(draft);
    draft.step(op, [x], { axis: draft.axis(x), descending: draft.once(2) });
  };
}

function ofSegments(op: string, options: (draft: Draft) => object = () => ({})): Use {
  return (draft) => {
    const x = untied(draft);
    const segments = draft.integer(1, 4);
    draft.step(op, [x, draft.indices([draft.along(x, 0)], segments)], { segments, ...options(draft) });
  };
}

export const uses: Uses = {
  cumsum: running("cumsum"),
  cumprod: running("cumprod"),
  topK: (draft) => {
    const x = untied(draft);
    const axis = draft.axis(x);
    draft.steps("topK", [x], { k: draft.integer(1, draft.along(x, axis)), axis, largest: draft.once(2) });
  },
  sort: sorted("sort"),
  argsort: sorted("argsort"),
  argmin: (draft) => {
    const x = untied(draft);
    draft.step("argmin", [x], { axis: draft.axis(x) });
  },
  searchSorted: (draft) => {
    const x = draft.ranked(1);
    const lead = draft.shape(x).slice(0, -1);
    const boundaries = draft.step(
      "sort",
      [draft.input([...(draft.once(2) ? lead : []), draft.integer(1, 5)])],
      {},
    );
    draft.step("searchSorted", [boundaries, x], { right: draft.once(2) });
  },
  segmentMean: ofSegments("segmentMean"),
  segmentMax: ofSegments("segmentMax", (draft) => (draft.once(2) ? { empty: draft.pick([-1, 0.5]) } : {})),
  segmentSoftmax: ofSegments("segmentSoftmax"),
  scatterSet: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const places = choose(draft, draft.along(x, axis), draft.integer(1, draft.along(x, axis)));
    const indices = draft.given({
      shape: [places.length],
      dtype: draft.pick(["int32", "int64"]),
      data: places,
    });
    draft.step("scatterSet", [x, indices, draft.shaped([...draft.shape(x)].with(axis, places.length))], {
      axis,
    });
  },
  scatterSetAlong: (draft) => {
    const x = draft.ranked(1);
    const axis = draft.axis(x);
    const places = choose(draft, draft.along(x, axis), draft.integer(1, draft.along(x, axis)));
    const shape = [...draft.shape(x)].with(axis, places.length);
    const inner = shape
      .slice(axis < 0 ? axis + shape.length + 1 : axis + 1)
      .reduce((product, n) => product * n, 1);
    const size = shape.reduce((product, n) => product * n, 1);
    const data = Array.from(
      { length: size },
      (_, i) => places[Math.floor(i / inner) % places.length] as number,
    );
    draft.step("scatterSetAlong", [x, draft.given({ shape, dtype: "int32", data }), draft.shaped(shape)], {
      axis,
    });
  },
  gatherNd: (draft) => {
    const x = draft.ranked(1);
    const depth = draft.integer(1, draft.rank(x));
    const places = draft.freshShape(0, 2);
    const count = places.reduce((product, n) => product * n, 1);
    const data = Array.from({ length: count }, () =>
      draft
        .shape(x)
        .slice(0, depth)
        .map((n) => draft.integer(0, n - 1)),
    );
    draft.step("gatherNd", [
      x,
      draft.given({ shape: [...places, depth], dtype: "int32", data: data.flat() }),
    ]);
  },
};
