import { cutBox, foregroundBox, resizeVolume, scaleToWindow, type VolumePreparation } from "@concord/data";
import type { NDArray } from "@concord/tensor";

export type PreparationOptions = Pick<VolumePreparation, "window" | "foreground"> & {
  /** Size afterwards. */
  readonly side: number;
  readonly depth: number;
};

/** Label values of a file as whole numbers. */
function wholeLabels({ shape, data }: NDArray<"float32">): NDArray<"int32"> {
  const odd = data.find((value) => !Number.isInteger(value) || value < 0 || value > 65_535);
  if (odd !== undefined) throw new RangeError(`labels are whole numbers from 0 to 65535, got ${odd}`);
  return { dtype: "int32", shape, data: Int32Array.from(data) };
}

/** @throws RangeError for a single slice, and for a scan in which nothing is to be seen */
function checkScan(
  raw: NDArray<"float32">,
  scaled: NDArray<"float32">,
  window: PreparationOptions["window"],
): void {
  if (raw.shape.some((size) => size < 2))
    throw new RangeError(`at least 2 voxels along every axis are needed, got [${raw.shape.join(", ")}]`);
  const first = scaled.data[0];
  if (scaled.data.some((value) => value !== first)) return;
  const known = raw.data.find(Number.isFinite);
  if (known === undefined) throw new RangeError("no voxel has a finite value");
  const constant = raw.data.every((value) => value === known || Number.isNaN(value));
  throw new RangeError(
    constant
      ? `all voxels are ${known}`
      : `all voxels lie on one side of the window [${window?.join(", ")}]; another window is needed, or auto`,
  );
}

/**
 * A scan and its labels as training takes them: scaled, cut to the foreground, resized.
 *
 * @param labels  of the same shape as the volume
 * @throws RangeError when shapes differ, labels are no whole numbers, the scan is a single slice, or all of its voxels are
 *   equal once scaled
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
  checkScan(raw, scaled, window);
  const box = foregroundBox(scaled, foreground);
  const size = [side, side, depth] as const;
  return {
    volume: resizeVolume(cutBox(scaled, box), size),
    labels: rawLabels && resizeVolume(cutBox(wholeLabels(rawLabels), box), size, { mode: "nearest" }),
  };
}
