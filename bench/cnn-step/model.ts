import type { WorkloadModel } from "../workload.ts";

/** A small ResNet of basic blocks, as for CIFAR. */
export interface CnnModel {
  readonly batch: number;
  readonly imageSize: number;
  readonly channels: number;
  /** Width of each stage. */
  readonly widths: readonly number[];
  /** Basic blocks of each stage. */
  readonly blocks: readonly number[];
  readonly classes: number;
  readonly learningRate: number;
  readonly momentum: number;
}

const full: CnnModel = {
  batch: 64,
  imageSize: 32,
  channels: 3,
  widths: [32, 64, 128],
  blocks: [1, 1, 1],
  classes: 10,
  learningRate: 0.05,
  momentum: 0.9,
};

/** Operations of the forward pass over one image, up to the pooled features. */
export function resnetFlops(
  { channels, widths, blocks }: Pick<CnnModel, "channels" | "widths" | "blocks">,
  imageSize: number,
): number {
  const first = widths[0] as number;
  let side = imageSize;
  let total = 2 * side * side * 9 * channels * first;
  let before = first;
  widths.forEach((width, stage) => {
    for (let i = 0; i < (blocks[stage] as number); i++) {
      if (stage > 0 && i === 0) side = Math.ceil(side / 2);
      total += 2 * side * side * 9 * (before + width) * width;
      if (before !== width) total += 2 * side * side * before * width;
      before = width;
    }
  });
  return total;
}

export const workload: WorkloadModel<CnnModel> = {
  title: "ResNet-style CNN",
  sizes: { full, tiny: { ...full, batch: 4, imageSize: 8, widths: [4, 6], blocks: [1, 1], classes: 3 } },
  describe: ({ batch, imageSize, widths, blocks, classes }) =>
    `ResNet of 3×3 convolutions and batch norm, stages of ${blocks.join(", ")} basic blocks and widths ` +
    `${widths.join(", ")}, ${imageSize} × ${imageSize} pixels, batch ${batch}, cross-entropy over ${classes} classes, SGD with momentum`,
  flops: (model) => {
    const features = model.widths.at(-1) as number;
    return 3 * model.batch * (resnetFlops(model, model.imageSize) + 2 * features * model.classes);
  },
};
