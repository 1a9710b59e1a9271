import { foldIn, type Key, type NDArray, normalArray, RandomStream, uniformArray } from "@concord/tensor";
import { resizeVolume } from "../../volumes/resize.ts";

export type VolumeShape = readonly [x: number, y: number, z: number];

export interface BodyVolumesOptions {
  /** Voxels along each axis, depth last. Default [64, 64, 16]. */
  readonly shape?: VolumeShape;
}

/** An organ of the standard body: an ellipsoid in coordinates from -1 to 1 of the body's ellipse and of the depth. */
export interface Organ {
  readonly name: string;
  readonly centre: readonly [number, number, number];
  readonly radius: readonly [number, number, number];
  readonly grey: number;
}

const SHARED_GREY = 0.62;
const SIZE = [0.27, 0.29, 0.8] as const;

/** Label i + 1 is organ i. The first four look alike: only their places tell them apart. */
export const bodyOrgans: readonly Organ[] = [
  { name: "left front", centre: [-0.5, -0.45, 0], radius: SIZE, grey: SHARED_GREY },
  { name: "right front", centre: [0.5, -0.4, 0.1], radius: SIZE, grey: SHARED_GREY },
  { name: "left back", centre: [-0.45, 0.45, 0.1], radius: SIZE, grey: SHARED_GREY },
  { name: "right back", centre: [0.5, 0.5, -0.1], radius: SIZE, grey: SHARED_GREY },
  { name: "spine", centre: [0, 0.65, 0], radius: [0.17, 0.19, 1.2], grey: 0.9 },
  { name: "airway", centre: [0.02, -0.1, 0], radius: [0.18, 0.24, 0.9], grey: 0.15 },
];
/** How many organs, counted from the first, share one grey value. */
export const ALIKE_ORGANS = 4;

const TISSUE = 0.38;
const AIR = 0.05;
/** Half axes of the body, as shares of the plane. */
const BODY = [0.43, 0.38] as const;

export interface BodyVolume {
  /** [X, Y, Z], mostly within [0, 1] */
  readonly volume: NDArray<"float32">;
  /** [X, Y, Z]: 0 for none, i + 1 for organ i of `bodyOrgans` */
  readonly labels: NDArray<"int32">;
}

export interface BodyVolumesWorld {
  readonly shape: VolumeShape;
  readonly organs: readonly Organ[];
  /** The patient of a key. */
  item(key: Key): BodyVolume;
}

/** A smooth random field over the volume, mostly within ±1 (root mean square 1/2), from normal numbers on a coarse grid. */
function smoothField(key: Key, shape: VolumeShape, cells: VolumeShape): Float32Array {
  const { data } = resizeVolume(normalArray(key, cells), shape);
  let squares = 0;
  for (const value of data) squares += value * value;
  const scale = 0.5 * Math.sqrt(data.length / squares);
  return data.map((value) => value * scale);
}

/** Places and sizes of a patient's organs. */
function anatomy(key: Key) {
  const random = new RandomStream(key);
  const shift = [random.uniform(-2, 2), random.uniform(-2, 2)] as const;
  const body = [random.uniform(0.95, 1.05), random.uniform(0.95, 1.05)] as const;
  const organs = bodyOrgans.map(({ centre, radius, grey }) => {
    const size = random.uniform(0.85, 1.15);
    return { centre, radius: radius.map((r) => r * size) as [number, number, number], grey };
  });
  return { shift, body, organs, gain: random.uniform(0.8, 1.2), offset: random.uniform(-0.1, 0.1) };
}

/**
 * Generated scans of a trunk: an ellipse with six organs that keep their relative places from patient to patient. Four
 * organs have one grey value, so that what a voxel is cannot be told from its brightness.
 *
 * From patient to patient differ: shift (±2 voxels), width and height (±5 %), size of each organ (±15 %), a smooth warp
 * (4 % of the plane), gain (0.8 to 1.2), offset (±0.1) and a smooth bias field (15 %). Texture that hangs together (0.06)
 * and noise (0.05) are independent of the anatomy.
 *
 * @throws RangeError for a shape that is not three integers >= 8
 */
export function bodyVolumes({ shape = [64, 64, 16] }: BodyVolumesOptions = {}): BodyVolumesWorld {
  if (shape.length !== 3 || shape.some((size) => !Number.isInteger(size) || size < 8 || size > 1024))
    throw new RangeError(`bodyVolumes: a shape is three integers from 8 to 1024, got [${shape.join(", ")}]`);
  const [X, Y, Z] = shape;
  const voxels = X * Y * Z;
  return { shape, organs: bodyOrgans, item };

  function item(key: Key): BodyVolume {
    const { shift, body, organs, gain, offset } = anatomy(foldIn(key, 0));
    const field = (stream: number, cells: VolumeShape): Float32Array =>
      smoothField(foldIn(key, stream), shape, cells);
    const warps = [field(1, [4, 4, 2]), field(2, [4, 4, 2])] as const;
    const bias = field(3, [3, 3, 2]);
    const texture = field(4, [Math.ceil(X / 3), Math.ceil(Y / 3), Math.ceil(Z / 3)]);
    // Sums of three uniform numbers are close enough to normal here, and several times faster.
    const noise = uniformArray(foldIn(key, 5), [3 * voxels], -1, 1).data;
    const data = new Float32Array(voxels);
    const labels = new Int32Array(voxels);
    let i = 0;
    for (let x = 0; x < X; x++)
      for (let y = 0; y < Y; y++)
        for (let z = 0; z < Z; z++, i++) {
          const u =
            (x + 0.5 - X / 2 - shift[0] + 0.04 * X * (warps[0][i] as number)) / (BODY[0] * body[0] * X);
          const v =
            (y + 0.5 - Y / 2 - shift[1] + 0.04 * Y * (warps[1][i] as number)) / (BODY[1] * body[1] * Y);
          const w = (2 * (z + 0.5)) / Z - 1;
          let grey = AIR;
          if (u * u + v * v < 1) {
            grey = TISSUE;
            for (const [o, { centre, radius, grey: own }] of organs.entries()) {
              const a = (u - centre[0]) / radius[0];
              const b = (v - centre[1]) / radius[1];
              const c = (w - centre[2]) / radius[2];
              if (a * a + b * b + c * c < 1) {
                grey = own;
                labels[i] = o + 1;
                break;
              }
            }
          }
          const grain =
            (noise[3 * i] as number) + (noise[3 * i + 1] as number) + (noise[3 * i + 2] as number);
          const clean = grey * (1 + 0.15 * (bias[i] as number)) + 0.06 * (texture[i] as number);
          data[i] = gain * clean + offset + 0.05 * grain;
        }
    return {
      volume: { dtype: "float32", shape: [...shape], data },
      labels: { dtype: "int32", shape: [...shape], data: labels },
    };
  }
}
