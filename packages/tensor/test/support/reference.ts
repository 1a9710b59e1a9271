import type { NDArray } from "../../src/index.ts";
import { sizeOf } from "../../src/index.ts";

/** Slow and obvious implementations, one index at a time, that the engine is compared with. */
export interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type Index = readonly number[];

export function plain({ shape, data }: NDArray): Plain {
  return { shape, data: Array.from(data as ArrayLike<number | bigint>, Number) };
}

/** The array of this shape whose entry at each index is `value(index)`. */
export function generate(shape: readonly number[], value: (index: Index) => number): Plain {
  const data = Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const index = new Array<number>(shape.length);
    for (let axis = shape.length - 1, rest = flat; axis >= 0; axis--) {
      const n = shape[axis] as number;
      index[axis] = rest % n;
      rest = Math.floor(rest / n);
    }
    return value(index);
  });
  return { shape, data };
}

/** Entry at an index; axes of size 1 and missing leading axes repeat (NumPy broadcasting). */
export function at({ shape, data }: Plain, index: Index): number {
  const own = index.slice(index.length - shape.length);
  return data[shape.reduce((flat, n, axis) => flat * n + (n === 1 ? 0 : (own[axis] as number)), 0)] as number;
}

function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.map((shape) => shape[i - rank + shape.length] ?? 1);
    return sizes.find((n) => n !== 1) ?? 1;
  });
}

/** An elementwise function of broadcast operands. */
export function elementwise(operands: readonly Plain[], fn: (...values: number[]) => number): Plain {
  return generate(broadcastShape(operands.map(({ shape }) => shape)), (index) =>
    fn(...operands.map((operand) => at(operand, index))),
  );
}

/** Reduction over axes that are kept with size 1; `fn` gets all entries that fall together, in order. */
export function reduced(x: Plain, axes: readonly number[], fn: (values: number[]) => number): Plain {
  const groups = new Map<string, number[]>();
  const shape = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const keyOf = (index: Index): string => index.map((i, axis) => (axes.includes(axis) ? 0 : i)).join();
  generate(x.shape, (index) => {
    const key = keyOf(index);
    groups.set(key, [...(groups.get(key) ?? []), at(x, index)]);
    return 0;
  });
  return generate(shape, (index) => fn(groups.get(index.join()) as number[]));
}

/** [..., M, K] · [..., K, N] with broadcast leading axes. */
export function matrixProduct(a: Plain, b: Plain): Plain {
  const [rows, inner, columns] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-1)] as [number, number, number];
  const lead = broadcastShape([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  return generate([...lead, rows, columns], (index) => {
    const [batch, i, j] = [index.slice(0, -2), index.at(-2) as number, index.at(-1) as number];
    let total = 0;
    for (let k = 0; k < inner; k++) total += at(a, [...batch, i, k]) * at(b, [...batch, k, j]);
    return total;
  });
}

export interface Window {
  readonly size: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
}

/** Rows and columns of the image that each entry of a window covers; null in the border. */
function covered({ stride, padding, size }: Window, [height, width]: Index, [r, s]: Index): (Index | null)[] {
  const cells: (Index | null)[] = [];
  for (let i = 0; i < size[0]; i++) {
    for (let j = 0; j < size[1]; j++) {
      const y = (r as number) * stride[0] + i - padding[0];
      const x = (s as number) * stride[1] + j - padding[1];
      const inside = y >= 0 && x >= 0 && y < (height as number) && x < (width as number);
      cells.push(inside ? [y, x] : null);
    }
  }
  return cells;
}

function outputSize(window: Window, image: Index): number[] {
  return [0, 1].map(
    (i) =>
      Math.floor(((image[i] as number) + 2 * window.padding[i]! - window.size[i]!) / window.stride[i]!) + 1,
  );
}

/** Cross-correlation: [B, C, H, W] with [O, C, kh, kw]. */
export function convolution(x: Plain, weights: Plain, window: Window): Plain {
  const [batch, channels, ...image] = x.shape as [number, number, number, number];
  return generate([batch, weights.shape[0] as number, ...outputSize(window, image)], (index) => {
    const [b, o, ...position] = index as [number, number, number, number];
    const cells = covered(window, image, position);
    let total = 0;
    for (let c = 0; c < channels; c++) {
      cells.forEach((cell, k) => {
        const [i, j] = [Math.floor(k / window.size[1]), k % window.size[1]];
        if (cell)
          total +=
            at(x, [b, c, ...cell]) *
            (weights.data[((o * channels + c) * window.size[0] + i) * window.size[1] + j] as number);
      });
    }
    return total;
  });
}

/** Pooling: `fn` gets the entries of each window, null for those in the border. */
export function pooled(x: Plain, window: Window, fn: (values: (number | null)[]) => number): Plain {
  const [batch, channels, ...image] = x.shape as [number, number, number, number];
  return generate([batch, channels, ...outputSize(window, image)], ([b, c, ...position]) =>
    fn(
      covered(window, image, position).map((cell) =>
        cell ? at(x, [b as number, c as number, ...cell]) : null,
      ),
    ),
  );
}
