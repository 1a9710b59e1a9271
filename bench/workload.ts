import type { NDArray, Tree } from "@concord/tensor";

/** "full" is what is measured; "tiny" is for tests of the benchmark itself. */
export type SizeName = "full" | "tiny";

/** What the folder of a workload says about it in model.ts. */
export interface WorkloadModel<M extends object = object> {
  /** A few words for the table. */
  readonly title: string;
  readonly sizes: Readonly<Record<SizeName, M>>;
  /** One sentence for the caption. */
  readonly describe: (model: M) => string;
  /** Floating-point operations of one step: products only, the backward pass counted as twice the forward. */
  readonly flops: (model: M) => number;
}

export const workloadIds = ["clip", "cnn", "unet3d", "gru", "swav"] as const;
export type WorkloadId = (typeof workloadIds)[number];

export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  readonly size: SizeName;
  readonly description: string;
  readonly flops: number;
  /** Numbers of the model, for engines that are not written in TypeScript. */
  readonly model: object;
  /** Parameters, running statistics and the fixed batch that every engine starts from. */
  readonly initialState: () => Tree<NDArray>;
}

/** Folder of a workload below this one. */
export function workloadFolder(id: WorkloadId): string {
  return `${id}-step`;
}

/** Loads a workload. Its initial state needs Concord, so that only the driver of the benchmark does so. */
export async function loadWorkload(id: WorkloadId, size: SizeName): Promise<Workload> {
  const folder = workloadFolder(id);
  const { workload } = (await import(`./${folder}/model.ts`)) as { readonly workload: WorkloadModel };
  const { initialState } = (await import(`./${folder}/initial.ts`)) as {
    readonly initialState: (model: object) => Tree<NDArray>;
  };
  const model = workload.sizes[size];
  return {
    id,
    title: workload.title,
    size,
    description: workload.describe(model),
    flops: workload.flops(model),
    model,
    initialState: () => initialState(model),
  };
}
