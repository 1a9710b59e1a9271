import type { VolumePreparation } from "@concord/data";
import { EncoderError } from "./encoder.ts";
import type { Config } from "./model-folder.ts";
import { numberOf, section, shown } from "./settings.ts";
import type { ModelInput } from "./signature.ts";

/** How a scan becomes the numbers that a model takes: prepared, then (value - mean) / std. */
export interface VolumeSettings extends VolumePreparation {
  readonly mean: number;
  readonly std: number;
}

const FILE = "preprocessor_config.json";
const MAX_SIDE = 1024;
const MAX_VOXELS = 2 ** 27;

export type VolumeSize = readonly [x: number, y: number, z: number];

/** The size of whole scans as an option of `preprocess`. @throws EncoderError unless it is three sides within bounds */
export function checkVolumeSize(size: readonly number[], where: string): VolumeSize {
  const [x = 0, y = 0, z = 0] = size;
  const whole = size.every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE);
  if (size.length !== 3 || !whole || x * y * z > MAX_VOXELS)
    throw new EncoderError(
      `${where} must be three whole numbers from 1 to ${MAX_SIDE} with at most ${MAX_VOXELS} voxels together, got ${shown(size)}`,
    );
  return [x, y, z];
}

function threeNumbers(config: Config, name: string): VolumeSize | undefined {
  const value = config[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length !== 3 || !value.every((one) => typeof one === "number"))
    throw new EncoderError(`${FILE}: '${name}' must be a list of three numbers, got ${shown(value)}`);
  return value as unknown as VolumeSize;
}

/** `[x, y, z]`, or the names that pictures have. */
function sizeOf(config: Config): VolumeSize | undefined {
  const { width, height, depth } = section(config, "size");
  const named = width === undefined ? undefined : [width, height, depth];
  const size = named ? threeNumbers({ size: named }, "size") : threeNumbers(config, "size");
  return size && checkVolumeSize(size, `${FILE}: 'size'`);
}

function windowOf(config: Config): readonly [number, number] | null {
  const { window } = config;
  if (window === undefined || window === null || window === "auto") return null;
  const [low, high, ...rest] = Array.isArray(window) ? (window as unknown[]) : [];
  if (typeof low !== "number" || typeof high !== "number" || rest.length > 0 || !(high > low))
    throw new EncoderError(
      `${FILE}: 'window' must be [low, high] with low below high, or "auto", got ${shown(window)}`,
    );
  return [low, high];
}

/**
 * The preprocessing of scans that a folder's preprocessor_config.json asks for.
 *
 *   window      [low, high]: values that become 0 and 1; "auto" (default) for the 0.5 and 99.5 percentiles of each scan
 *   foreground  the box around voxels above this is kept; 0 (default) keeps everything
 *   spacing     [x, y, z] millimetres between voxels; absent: the whole scan is stretched to the size
 *   size        [x, y, z] voxels; default: what the model takes
 *   image_mean, image_std  subtracted from and divided by, after the window
 *
 * @param config  null when there is no such file
 * @throws EncoderError when the file asks for what is not understood, or leads to another size than the model takes
 */
export function readVolumeSettings(config: Config | null, input: ModelInput, name: string): VolumeSettings {
  const [, channels, ...axes] = input.shape;
  if (typeof channels === "number" && channels !== 1)
    throw new EncoderError(`${name}: '${input.name}' takes scans of ${channels} channels; one is supported`);
  const given = config ?? {};
  const wanted = sizeOf(given);
  const fixed = axes.map((axis, i) => (typeof axis === "number" ? axis : wanted?.[i]));
  if (fixed.length !== 3 || fixed.includes(undefined))
    throw new EncoderError(
      `${name}: '${input.name}' does not say how large scans are, and ${FILE} has no 'size' ([x, y, z])`,
    );
  const size = checkVolumeSize(fixed as number[], `${name}: the size of '${input.name}'`);
  if (wanted && wanted.join() !== size.join())
    throw new EncoderError(
      `${name}: ${FILE} leads to scans of ${wanted.join(" × ")}, but '${input.name}' takes ${size.join(" × ")}`,
    );
  const foreground = numberOf(given, "foreground", FILE) ?? 0;
  if (!(foreground >= 0 && foreground < 1))
    throw new EncoderError(`${FILE}: 'foreground' must be a number from 0 to below 1, got ${foreground}`);
  const spacing = threeNumbers(given, "spacing") ?? null;
  if (spacing?.some((step) => !(step >= 0.01 && step <= 100)))
    throw new EncoderError(`${FILE}: 'spacing' must be millimetres from 0.01 to 100, got ${shown(spacing)}`);
  const std = numberOf(given, "image_std", FILE) ?? 1;
  if (std === 0) throw new EncoderError(`${FILE}: 'image_std' must not be 0`);
  const mean = numberOf(given, "image_mean", FILE) ?? 0;
  return { window: windowOf(given), foreground, spacing, size, mean, std };
}
