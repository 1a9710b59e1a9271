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

interface Windows {
  /** One row a position of the output, [N, k · C]. */
  readonly matrix: numpy.Array;
  readonly space: number[];
}

/** The windows of [B, ...space, C] under a kernel with the given sizes, with zeros around. */
function windowsOf(x: numpy.Array, sizes: readonly number[], stride: number, padding: number): Windows {
  const [batch, ...rest] = x.shape as [number, ...number[]];
  const channels = rest.pop() as number;
  const space = rest.map((size, i) => Math.floor((size + 2 * padding - (sizes[i] as number)) / stride) + 1);
  // To a multiple of the stride, so that a step is an axis of its own.
  const whole = rest.map((size) => Math.ceil((size + 2 * padding) / stride) * stride);
  const borders = rest.map((size, i): [number, number] => [padding, (whole[i] as number) - size - padding]);
  const padded = borders.some(([before, after]) => before + after > 0)
    ? np.pad(x, [[0, 0], ...borders, [0, 0]])
    : x;
  const split = padded.reshape([batch, ...whole.flatMap((size) => [size / stride, stride]), channels]);
  const windows = offsets(sizes).map((offset) => {
    const index = offset.flatMap((at, i): ([number, number] | number)[] => {
      const start = Math.floor(at / stride);
      return [[start, start + (space[i] as number)], at % stride];
    });
    return split.ref.slice([], ...index, []);
  });
  split.dispose();
  const [first] = windows as [numpy.Array];
  const joined = windows.length === 1 ? first : np.concatenate(windows, first.ndim - 1);
  const positions = space.reduce((product, size) => product * size, batch);
  return { matrix: joined.reshape([positions, channels * windows.length]), space };
}

/**
 * Convolution of [B, ...space, C] with a kernel [O, C, ...k] and zeros around, by matrix products of windows. The
 * library's own convolution runs at a twentieth of the speed, gradients included.
 *
 * A compiled step keeps all its intermediate results at once, within the 4 GiB of WebAssembly. So with a stride of 1
 * windows span all axes of space but the first, and products with the parts of the kernel along that one are shifted
 * and added.
 */
export function conv(x: numpy.Array, kernel: numpy.Array, stride: number, padding: number): numpy.Array {
  const [batch, height, ...rest] = x.shape as [number, number, ...number[]];
  const [filters, , rows, ...sizes] = kernel.shape as [number, number, number, ...number[]];
  // [...k, C, O]
  const weights = kernel.transpose([...[rows, ...sizes].map((_, i) => i + 2), 1, 0]);
  if (stride > 1 || rows === 1) {
    const { matrix, space } = windowsOf(x, [rows, ...sizes], stride, padding);
    const product = np.matmul(matrix, weights.reshape([-1, filters]));
    return product.reshape([batch, ...space, filters]);
  }
  const { matrix, space } = windowsOf(x.reshape([batch * height, ...rest]), sizes, 1, padding);
  const parts = np.split(weights.reshape([-1, filters]), rows, 0);
  const slab = space.reduce((product, size) => product * size, filters);
  const count = height + 2 * padding - rows + 1;
  const shifted = parts.map((part, i) => {
    const product = np.matmul(matrix.ref, part).reshape([batch, height, slab]);
    // Row r of the result takes row r + i - padding.
    const [first, last] = [Math.max(0, i - padding), Math.min(height, count + i - padding)];
    const inside = product.slice([], [first, last], []);
    const before = first - (i - padding);
    return np.pad(inside, [
      [0, 0],
      [before, count - before - (last - first)],
      [0, 0],
    ]);
  });
  matrix.dispose();
  return shifted.reduce((total, part) => total.add(part)).reshape([batch, count, ...space, filters]);
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

/** Instance normalisation of [B, ...space, C]. */
export function instanceNorm(p: Arrays, name: string, x: numpy.Array): numpy.Array {
  const { shape } = x;
  const [batch, channels] = [shape[0] as number, shape.at(-1) as number];
  const flat = x.reshape([batch, -1, channels]);
  const centred = flat.ref.sub(flat.mean(1, { keepdims: true }));
  const variance = np.square(centred.ref).mean(1, { keepdims: true });
  const factor = p[`${name}/gain`]!.div(np.sqrt(variance.add(EPSILON)));
  return centred.mul(factor).add(p[`${name}/bias`]!).reshape(shape);
}

/**
 * Transposed convolution with a kernel of 2³ and stride 2, [C, O, 2, 2, 2]: every voxel of [B, D, H, W, C] becomes a
 * cube of eight, one matrix product.
 */
export function doubled(x: numpy.Array, kernel: numpy.Array): numpy.Array {
  const [batch, depth, height, width, channels] = x.shape as [number, number, number, number, number];
  const filters = kernel.shape[1] as number;
  const weights = kernel.transpose([0, 2, 3, 4, 1]).reshape([channels, 8 * filters]);
  const cubes = np.matmul(x.reshape([batch * depth * height * width, channels]), weights);
  return cubes
    .reshape([batch, depth, height, width, 2, 2, 2, filters])
    .transpose([0, 1, 4, 2, 5, 3, 6, 7])
    .reshape([batch, 2 * depth, 2 * height, 2 * width, filters]);
}
