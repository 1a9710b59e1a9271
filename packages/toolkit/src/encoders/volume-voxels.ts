import { type NiftiVolume, prepareVolume, readNifti } from "@concord/data";
import type { VolumeSettings } from "./volume-settings.ts";

export interface VoxelsRequest {
  /** A file's path, its bytes, or the scan itself. */
  readonly source:
    | string
    | Uint8Array
    | (Pick<NiftiVolume, "volume"> & Partial<Pick<NiftiVolume, "spacing">>);
  readonly settings: VolumeSettings;
}

export type VoxelsReply =
  /** [X, Y, Z] */
  { readonly ok: true; readonly values: Float32Array } | { readonly ok: false; readonly reason: string };

/** One scan as a model takes it, or why not. */
export async function modelVoxels({ source, settings }: VoxelsRequest): Promise<VoxelsReply> {
  try {
    const isFile = typeof source === "string" || source instanceof Uint8Array;
    const values = prepareVolume(isFile ? await readNifti(source) : source, settings).data;
    const { mean, std } = settings;
    if (mean !== 0 || std !== 1)
      for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) - mean) / std;
    return { ok: true, values };
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split("\n", 1);
    return { ok: false, reason: line as string };
  }
}
