import { bodyVolumes } from "@concord/data";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import type { UnitContext } from "../../harness/contract.ts";
import type { CropGeometry } from "./crops.ts";

/** A volume ready to be cut: [X, Y, Z] with X = Y. */
export interface PreparedVolume {
  readonly name: string;
  readonly volume: NDArray<"float32">;
  /** 0 for background, then the classes; null where there is no segmentation. */
  readonly labels: NDArray<"int32"> | null;
}

/** Everything that training and evaluation need to know of the data. */
export interface Task {
  readonly unlabelled: readonly PreparedVolume[];
  /** The few with a segmentation that fine-tuning sees. */
  readonly labelled: readonly PreparedVolume[];
  readonly test: readonly PreparedVolume[];
  /** Names of the classes after the background. */
  readonly classes: readonly string[];
  /** How many classes, from the first, cannot be told apart by brightness; 0 when that is not known. */
  readonly alike: number;
}

const streams = { unlabelled: 0, labelled: 1, test: 2 } as const;

/** Patients of the generated world, in three sets that share none. */
export async function generatedTask(
  context: Pick<UnitContext<unknown>, "progress" | "signal">,
  key: Key,
  counts: { readonly unlabelled: number; readonly labelled: number; readonly test: number },
  { side, depth }: CropGeometry,
  alike: number,
): Promise<Task> {
  const world = bodyVolumes({ shape: [side, side, depth] });
  const steps = counts.unlabelled + counts.labelled + counts.test;
  let step = 0;
  const set = (name: keyof typeof streams): PreparedVolume[] =>
    Array.from({ length: counts[name] }, (_, i) => {
      context.signal.throwIfAborted();
      const patient = world.item(foldIn(foldIn(key, streams[name]), i));
      context.progress({ phase: "volumes", step: ++step, steps });
      return { name: `${name} ${i + 1}`, ...patient };
    });
  return {
    unlabelled: set("unlabelled"),
    labelled: set("labelled"),
    test: set("test"),
    classes: world.organs.map(({ name }) => name),
    alike,
  };
}
