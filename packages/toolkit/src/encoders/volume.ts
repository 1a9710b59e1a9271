import { availableParallelism } from "node:os";
import { siblingModule, WorkerPool } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import type { EncoderItem, ItemProblem } from "./encoder.ts";
import { feedType } from "./feeds.ts";
import type { ModelFolder } from "./model-folder.ts";
import type { Preparer } from "./preparer.ts";
import type { ModelInput } from "./signature.ts";
import { checkVolumeSize, readVolumeSettings, type VolumeSize } from "./volume-settings.ts";
import { modelVoxels, type VoxelsReply, type VoxelsRequest } from "./volume-voxels.ts";

const BATCH = 4;
/** Voxels of one run of the model: two scans of 256 × 256 × 128. */
const VOXELS_PER_BATCH = 2 ** 24;
/** Arrays of fewer voxels are prepared where they are: a thread would cost more. */
const SMALL = 2 ** 18;
/** A scan of a whole body takes half a gigabyte while it is read. */
const MAX_WORKERS = 2;

interface Voxels {
  readonly values: Float32Array;
  readonly size: VolumeSize;
}

/** A scan in memory is what it says: as many voxels as its axes. */
function sourceOf(item: EncoderItem): VoxelsRequest["source"] | null {
  if ("path" in item) return item.path;
  if ("bytes" in item) return item.bytes;
  if (!("volume" in item)) return null;
  const { shape, data } = item.volume;
  const fits = shape.length === 3 && shape.reduce((product, side) => product * side, 1) === data.length;
  return fits && data.length > 0 ? item : null;
}

/** Values that a trial run can be scaled by: not all voxels are equal. */
function ramp(size: number): NDArray<"float32"> {
  const data = Float32Array.from({ length: size ** 3 }, (_, i) => i);
  return { dtype: "float32", shape: [size, size, size], data };
}

/** Scans to voxels, in threads of their own: [rows, 1, X, Y, Z], axes to the right, to the front and up. */
export async function volumePreparer(
  folder: ModelFolder,
  inputs: readonly ModelInput[],
  options: { readonly workers?: number | undefined },
): Promise<Preparer<Voxels>> {
  const input = inputs[0] as ModelInput;
  const settings = readVolumeSettings(await folder.config("preprocessor_config.json"), input, folder.name);
  const workers = options.workers ?? Math.min(MAX_WORKERS, availableParallelism());
  const pool = new WorkerPool<VoxelsRequest, VoxelsReply>(siblingModule(import.meta.url, "./volume-worker"), {
    size: workers,
  });
  const inPlace = (source: VoxelsRequest["source"], size: VolumeSize): boolean =>
    typeof source === "object" &&
    "volume" in source &&
    source.volume.data.length <= SMALL &&
    size.reduce((product, side) => product * side, 1) <= SMALL;
  const voxels = settings.size.reduce((product, side) => product * side, 1);
  return {
    settings,
    sample: { volume: ramp(4) },
    batch: BATCH,
    budget: Math.max(1, Math.floor(VOXELS_PER_BATCH / voxels)),
    window: 2 * BATCH,
    async prepare(items, signal, wanted) {
      const size = wanted ? checkVolumeSize(wanted, "the size of scans") : settings.size;
      const replies = await Promise.all(
        items.map((item): Promise<VoxelsReply> => {
          signal?.throwIfAborted();
          const source = sourceOf(item);
          if (source === null)
            return Promise.resolve({
              ok: false,
              reason: "expected a scan: a file's path, its bytes or an array [X, Y, Z]",
            });
          const request = { source, settings: { ...settings, size } };
          return inPlace(source, size) ? modelVoxels(request) : pool.run(request);
        }),
      );
      const ready: (readonly [number, Voxels])[] = [];
      const problems: ItemProblem[] = [];
      for (const [index, reply] of replies.entries()) {
        if (reply.ok) ready.push([index, { values: reply.values, size }]);
        else problems.push({ index, reason: reply.reason });
      }
      return { ready, problems };
    },
    sizeOf: () => 1,
    together: () => true,
    collate(rows) {
      const { values: first, size } = rows[0] as Voxels;
      const shape = [rows.length, 1, ...size];
      const dtype = feedType(input);
      const data = new (dtype === "float64" ? Float64Array : Float32Array)(rows.length * first.length);
      for (const [row, { values }] of rows.entries()) data.set(values, row * first.length);
      return { feeds: { [input.name]: { dtype, shape, data } as NDArray } };
    },
    close: () => pool.close(),
  };
}
