import type { WorkloadModel } from "../workload.ts";

/** A 3-D U-Net that segments volumes. */
export interface UnetModel {
  readonly batch: number;
  /** Voxels along each side of the cube. */
  readonly size: number;
  readonly channels: number;
  readonly widths: readonly number[];
  readonly classes: number;
  readonly learningRate: number;
}

const full: UnetModel = {
  batch: 2,
  size: 32,
  channels: 1,
  widths: [16, 32, 64],
  classes: 4,
  learningRate: 1e-3,
};

export const workload: WorkloadModel<UnetModel> = {
  title: "3D U-Net",
  sizes: { full, tiny: { ...full, size: 4, widths: [4, 6], classes: 3 } },
  describe: ({ batch, size, widths, classes }) =>
    `${widths.length} levels of two 3 × 3 × 3 convolutions of widths ${widths.join(", ")}, instance norm, transposed convolutions, ` +
    `${size}³ voxels, batch ${batch}, cross-entropy over ${classes} classes a voxel, Adam`,
  flops: ({ batch, size, channels, widths, classes }) => {
    const conv = (level: number, inputs: number, outputs: number, kernel: number): number =>
      2 * (size / 2 ** level) ** 3 * kernel ** 3 * inputs * outputs;
    const forward = widths.map((width, level) => {
      const down = conv(level, widths[level - 1] ?? channels, width, 3) + conv(level, width, width, 3);
      const below = widths[level + 1];
      if (below === undefined) return down;
      // A transposed kernel of 2³ with stride 2 meets every voxel of the larger map once.
      const up = conv(level, below, width, 1);
      return down + up + conv(level, 2 * width, width, 3) + conv(level, width, width, 3);
    });
    const head = conv(0, widths[0] as number, classes, 1);
    return 3 * batch * forward.reduce((total, level) => total + level, head);
  },
};
