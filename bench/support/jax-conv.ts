import type { numpy } from "@jax-js/jax";
import { type Arrays, jax } from "./jax.ts";

const { nn, numpy: np } = jax;

/** All positions of a kernel, e.g. [0, 0], [0, 1], [1, 0], [1, 1]. */
function offsets(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (all, size) => all.flatMap((start) => Array.from({ length: size }, (_, i) => [...start, i])),
    [[]],
  );
}

/**
 * Convolution of [B, ...space, C] with a kernel [O, C, ...k] and zeros around, as one matrix product of windows. The
 * library's own convolution runs at a twentieth of the speed, gradients included.
 */
export function conv(x: numpy.Array, kernel: numpy.Array, stride: number, padding: number): numpy.Array {
  const [batch, ...rest] = x.shape as [number, ...number[]];
  const channels = rest.pop() as number;
  const [filters, , ...sizes] = kernel.shape as [number, number, ...number[]];
  const space = rest.map((size, i) => Math.floor((size + 2 * padding - (sizes[i] as number)) / stride) + 1);
  // To a multiple of the stride, so that a step is an axis of its own.
  const whole = rest.map((size) => Math.ceil((size + 2 * padding) / stride) * stride);
  const borders = rest.map((size, i): [number, number] => [padding, (whole[i] as number) - size - padding]);
  const padded = borders.some(([a, b]) => a + b > 0) ? np.pad(x, [[0, 0], ...borders, [0, 0]]) : x;
  const split = padded.reshape([batch, ...whole.flatMap((size) => [size / stride, stride]), channels]);
  const windows = offsets(sizes).map((offset) => {
    const index = offset.flatMap((at, i): ([number, number] | number)[] => {
      const start = Math.floor(at / stride);
      return [[start, start + (space[i] as number)], at % stride];
    });
    return split.ref.slice([], ...index, []);
  });
  split.dispose();
  const columns = sizes.reduce((product, size) => product * size, channels);
  const positions = space.reduce((product, size) => product * size, batch);
  const matrix =
    windows.length === 1 ? (windows[0] as numpy.Array) : np.concatenate(windows, windows[0]!.ndim - 1);
  const order = [...sizes.map((_, i) => i + 2), 1, 0];
  const weights = kernel.transpose(order).reshape([columns, filters]);
  return np.matmul(matrix.reshape([positions, columns]), weights).reshape([batch, ...space, filters]);
}

const EPSILON = 1e-5;
const MOMENTUM = 0.1;

/** Batch normalisation of [..., C]; the statistics after it go to `next`. */
export function batchNorm(
  p: Arrays,
  name: string,
  x: numpy.Array,
  statistics: Arrays,
  next: Arrays,
  layer: string,
): numpy.Array {
  const channels = x.shape.at(-1) as number;
  const rows = x.size / channels;
  const flat = x.ref.reshape([rows, channels]);
  const mean = flat.ref.mean(0);
  const centred = flat.sub(mean.ref);
  const variance = np.square(centred.ref).mean(0);
  const blend = (old: numpy.Array, batch: numpy.Array): numpy.Array =>
    old.mul(1 - MOMENTUM).add(batch.mul(MOMENTUM));
  const [meanPath, variancePath] = [`${layer}/mean`, `${layer}/variance`];
  next[meanPath] = blend(statistics[meanPath]!, mean);
  next[variancePath] = blend(statistics[variancePath]!, variance.ref.mul(rows / Math.max(rows - 1, 1)));
  const factor = p[`${name}/gain`]!.div(np.sqrt(variance.add(EPSILON)));
  const shape = x.shape;
  x.dispose();
  return centred.mul(factor).add(p[`${name}/bias`]!).reshape(shape);
}

/** The trunk of the CNN and the SwAV step: [B, H, W, C] to pooled features, and the statistics after it. */
export function resnet(
  p: Arrays,
  statistics: Arrays,
  images: numpy.Array,
  blocks: readonly number[],
  prefix: string,
): { readonly features: numpy.Array; readonly statistics: Arrays } {
  const next: Arrays = {};
  const normedConv = (layer: string, x: numpy.Array, stride: number): numpy.Array => {
    const kernel = p[`${prefix}${layer}/conv/weight`]!;
    const filtered = conv(x, kernel, stride, ((kernel.shape[2] as number) - 1) / 2);
    return batchNorm(p, `${prefix}${layer}/norm`, filtered, statistics, next, layer);
  };
  let x = nn.relu(normedConv("stem", images, 1));
  blocks.forEach((count, stage) => {
    for (let i = 0; i < count; i++) {
      const block = `stages/${stage}/${i}`;
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const hidden = nn.relu(normedConv(`${block}/layers/0`, x.ref, stride));
      const y = normedConv(`${block}/layers/1`, hidden, 1);
      const changes = `${prefix}${block}/shortcut/conv/weight` in p;
      x = nn.relu(y.add(changes ? normedConv(`${block}/shortcut`, x, stride) : x));
    }
  });
  return { features: x.mean([1, 2]), statistics: next };
}
