import { resizeVolume } from "@concord/data";
import type { NDArray } from "@concord/tensor";

export interface PreparationOptions {
  /** Values that become 0 and 1; null for the 0.5 and 99.5 percentiles of each volume. */
  readonly window: readonly [low: number, high: number] | null;
  /** The box around all voxels above this is kept, after scaling to [0, 1]; 0 keeps everything. */
  readonly foreground: number;
  /** Size afterwards. */
  readonly side: number;
  readonly depth: number;
}

const PERCENTILES = [0.005, 0.995] as const;
/** Voxels that percentiles are taken of, at most. */
const SAMPLE = 200_000;

function percentiles(data: Float32Array): [number, number] {
  const step = Math.max(1, Math.floor(data.length / SAMPLE));
  const values: number[] = [];
  for (let i = 0; i < data.length; i += step) {
    const value = data[i] as number;
    if (Number.isFinite(value)) values.push(value);
  }
  if (values.length === 0) throw new RangeError("no voxel has a finite value");
  values.sort((a, b) => a - b);
  return PERCENTILES.map((share) => values[Math.floor(share * (values.length - 1))] as number) as [
    number,
    number,
  ];
}

/** Values of a window to [0, 1], cut off beyond it; what is not finite becomes 0. */
export function scaleToWindow(
  volume: NDArray<"float32">,
  window: readonly [number, number] | null,
): NDArray<"float32"> {
  const [low, high] = window ?? percentiles(volume.data);
  if (!(high > low))
    throw new RangeError(`all voxels lie in a window of [${low}, ${high}], which has no width`);
  const data = volume.data.map((value) =>
    Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low))),
  );
  return { dtype: "float32", shape: volume.shape, data };
}

type Box = readonly (readonly [from: number, to: number])[];

/** The smallest box around all voxels above a threshold; the whole volume where there is none. */
export function foregroundBox({ shape, data }: NDArray<"float32">, threshold: number): Box {
  const [X = 0, Y = 0, Z = 0] = shape;
  const whole: Box = [
    [0, X],
    [0, Y],
    [0, Z],
  ];
  if (threshold <= 0) return whole;
  const low = [X, Y, Z];
  const high = [0, 0, 0];
  let i = 0;
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++)
      for (let z = 0; z < Z; z++, i++) {
        if ((data[i] as number) <= threshold) continue;
        [x, y, z].forEach((at, axis) => {
          if (at < (low[axis] as number)) low[axis] = at;
          if (at >= (high[axis] as number)) high[axis] = at + 1;
        });
      }
  return high[0] === 0 ? whole : low.map((from, axis) => [from, high[axis] as number] as const);
}

function cutBox<D extends "float32" | "int32">({ dtype, shape, data }: NDArray<D>, box: Box): NDArray<D> {
  const [[x0, x1], [y0, y1], [z0, z1]] = box as [Box[number], Box[number], Box[number]];
  const [, Y = 0, Z = 0] = shape;
  const size = [x1 - x0, y1 - y0, z1 - z0] as const;
  const cut = data.slice(0, size[0] * size[1] * size[2]);
  let next = 0;
  for (let x = x0; x < x1; x++)
    for (let y = y0; y < y1; y++, next += size[2]) {
      const from = (x * Y + y) * Z;
      cut.set(data.subarray(from + z0, from + z1) as never, next);
    }
  return { dtype, shape: [...size], data: cut } as unknown as NDArray<D>;
}

/** Label values of a file as whole numbers. */
export function wholeLabels({ shape, data }: NDArray<"float32">): NDArray<"int32"> {
  const odd = data.find((value) => !Number.isInteger(value) || value < 0 || value > 65_535);
  if (odd !== undefined) throw new RangeError(`labels are whole numbers from 0 to 65535, got ${odd}`);
  return { dtype: "int32", shape, data: Int32Array.from(data) };
}

/**
 * A scan and its labels as training takes them: scaled, cut to the foreground, resized.
 *
 * @param labels  of the same shape as the volume
 * @throws RangeError when shapes differ, labels are no whole numbers or all voxels are equal
 * @source released code, get_loader
 */
export function prepareVolume(
  raw: NDArray<"float32">,
  rawLabels: NDArray<"float32"> | null,
  { window, foreground, side, depth }: PreparationOptions,
): { readonly volume: NDArray<"float32">; readonly labels: NDArray<"int32"> | null } {
  if (rawLabels && rawLabels.shape.join() !== raw.shape.join())
    throw new RangeError(
      `labels of [${rawLabels.shape.join(", ")}] for a volume of [${raw.shape.join(", ")}]`,
    );
  const scaled = scaleToWindow(raw, window);
  const box = foregroundBox(scaled, foreground);
  const size = [side, side, depth] as const;
  return {
    volume: resizeVolume(cutBox(scaled, box), size),
    labels: rawLabels && resizeVolume(cutBox(wholeLabels(rawLabels), box), size, { mode: "nearest" }),
  };
}
