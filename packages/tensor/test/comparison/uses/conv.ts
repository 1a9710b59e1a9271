import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

const LETTERS = { 1: 6, 2: 5, 3: 3 } as const;
type Dimensions = keyof typeof LETTERS;

/** Images [B, C, ...space], every side at least `smallest`. */
export function images(draft: Draft, dimensions: Dimensions, smallest = 1): string {
  return draft.tensor(
    (shape) => shape.length === dimensions + 2 && shape.slice(2).every((n) => n >= smallest),
    () => [
      draft.integer(1, 2),
      draft.integer(1, 4),
      ...Array.from({ length: dimensions }, () => draft.integer(smallest, LETTERS[dimensions])),
    ],
  );
}

/** Numbers of groups into which the channels part. */
function groupsOf(draft: Draft, channels: number): number {
  return draft.once(3) ? draft.pick([1, 2, 3, 4].filter((n) => channels % n === 0)) : 1;
}

function convolution(dimensions: Dimensions): Use {
  return (draft) => {
    const x = images(draft, dimensions);
    const [channels, ...space] = draft.shape(x).slice(1) as [number, ...number[]];
    const groups = groupsOf(draft, channels);
    const filters = groups * draft.integer(1, 2);
    const stride = space.map(() => draft.integer(1, 3));
    const dilation = space.map(() => (draft.once(3) ? 2 : 1));
    const borders = space.map(() =>
      draft.once(4) ? [draft.integer(0, 2), draft.integer(0, 1)] : draft.integer(0, 2),
    );
    const kernel = space.map((n, axis) => {
      const border = borders[axis] as number | readonly [number, number];
      const padded = n + (typeof border === "number" ? 2 * border : border[0] + border[1]);
      return draft.integer(1, Math.min(3, 1 + Math.floor((padded - 1) / (dilation[axis] as number))));
    });
    const padding = draft.once(5) ? "same" : borders;
    const bias = draft.once(2) ? [draft.shaped([filters])] : [];
    const weights = draft.input([filters, channels / groups, ...kernel], [-1, 1]);
    draft.step(`conv${dimensions}d`, [x, weights, ...bias], { stride, dilation, padding, groups });
  };
}

function transposed(dimensions: Dimensions): Use {
  return (draft) => {
    const x = images(draft, dimensions);
    const [channels, ...space] = draft.shape(x).slice(1) as [number, ...number[]];
    const groups = groupsOf(draft, channels);
    const part = draft.integer(1, 2);
    const stride = space.map(() => draft.integer(1, 2));
    const dilation = space.map(() => (draft.once(3) ? 2 : 1));
    const kernel = space.map(() => draft.integer(1, 3));
    const padding = space.map((n, axis) => {
      const whole =
        (n - 1) * (stride[axis] as number) + (dilation[axis] as number) * ((kernel[axis] as number) - 1) + 1;
      return draft.integer(0, Math.min(1, (whole - 1) >> 1));
    });
    const outputPadding = stride.map((n) => draft.integer(0, n - 1));
    const bias = draft.once(2) ? [draft.shaped([part * groups])] : [];
    const weights = draft.input([channels, part, ...kernel], [-1, 1]);
    const options = { stride, dilation, padding, outputPadding, groups };
    draft.step(`convTranspose${dimensions}d`, [x, weights, ...bias], options);
  };
}

function pool(op: string, dimensions: Dimensions, average: boolean): Use {
  return (draft) => {
    const size = Array.from({ length: dimensions }, () => draft.integer(1, dimensions === 3 ? 2 : 3));
    const stride = draft.once(3) ? {} : { stride: size.map(() => draft.integer(1, 2)) };
    const padding = size.map((n) => draft.integer(0, n >> 1));
    const counting = average && draft.once(2) ? { countPadding: false } : {};
    const x = images(draft, dimensions, Math.max(...size));
    draft.step(op, [x], { size, ...stride, padding, ...counting });
  };
}

export const uses: Uses = {
  conv1d: convolution(1),
  conv2d: convolution(2),
  conv3d: convolution(3),
  convTranspose1d: transposed(1),
  convTranspose2d: transposed(2),
  convTranspose3d: transposed(3),
  maxPool1d: pool("maxPool1d", 1, false),
  maxPool2d: pool("maxPool2d", 2, false),
  maxPool3d: pool("maxPool3d", 3, false),
  averagePool1d: pool("averagePool1d", 1, true),
  averagePool2d: pool("averagePool2d", 2, true),
  averagePool3d: pool("averagePool3d", 3, true),
  globalAveragePool: (draft) => draft.step("globalAveragePool", [draft.ranked(2)]),
  globalMaxPool: (draft) => draft.step("globalMaxPool", [draft.ranked(3)]),
};
