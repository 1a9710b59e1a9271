import { resnetFlops } from "../cnn-step/model.ts";
import type { WorkloadModel } from "../workload.ts";

/** SwAV with multi-crop: a small ResNet, a projector, prototypes, and codes by Sinkhorn that other crops predict. */
export interface SwavModel {
  /** Images, each of which gives all crops. */
  readonly batch: number;
  /** Crops that codes are made of, and their side in pixels. */
  readonly large: { readonly crops: number; readonly size: number };
  /** Crops that only predict. */
  readonly small: { readonly crops: number; readonly size: number };
  readonly channels: number;
  readonly widths: readonly number[];
  readonly blocks: readonly number[];
  readonly hidden: number;
  readonly outputs: number;
  readonly prototypes: number;
  readonly temperature: number;
  /** Of the codes. */
  readonly epsilon: number;
  readonly iterations: number;
  readonly learningRate: number;
  readonly momentum: number;
}

const full: SwavModel = {
  batch: 32,
  large: { crops: 2, size: 32 },
  small: { crops: 4, size: 16 },
  channels: 3,
  widths: [32, 64, 128],
  blocks: [1, 1, 1],
  hidden: 128,
  outputs: 64,
  prototypes: 100,
  temperature: 0.1,
  epsilon: 0.05,
  iterations: 3,
  learningRate: 0.05,
  momentum: 0.9,
};

export const workload: WorkloadModel<SwavModel> = {
  title: "SwAV multi-crop",
  sizes: {
    full,
    tiny: {
      ...full,
      batch: 4,
      large: { crops: 2, size: 8 },
      small: { crops: 2, size: 4 },
      widths: [4, 6],
      blocks: [1, 1],
      hidden: 8,
      outputs: 5,
      prototypes: 6,
    },
  },
  describe: ({ batch, large, small, widths, hidden, outputs, prototypes, iterations }) =>
    `${large.crops} crops of ${large.size} × ${large.size} and ${small.crops} of ${small.size} × ${small.size} pixels of each of ${batch} images, ` +
    `a ResNet of widths ${widths.join(", ")} and one basic block a stage, projector ${hidden}, ${outputs}, ${prototypes} prototypes, ` +
    `${iterations} Sinkhorn iterations, swapped prediction, SGD with momentum`,
  flops: (model) => {
    const { batch, large, small, widths, hidden, outputs, prototypes } = model;
    const features = widths.at(-1) as number;
    const trunk = large.crops * resnetFlops(model, large.size) + small.crops * resnetFlops(model, small.size);
    const head = 2 * (features * hidden + hidden * outputs + outputs * prototypes);
    return 3 * batch * (trunk + (large.crops + small.crops) * head);
  },
};
