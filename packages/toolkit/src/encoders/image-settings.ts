import { EncoderError } from "./encoder.ts";
import type { Config } from "./model-folder.ts";
import { FILTERS, type Filter } from "./resample.ts";
import { flagOf, integerOf, numberOf, section, shown } from "./settings.ts";
import type { ModelInput } from "./signature.ts";

/** How a picture becomes the numbers that a model takes. */
export interface ImageSettings {
  /** The shorter side becomes this long, or the picture becomes exactly so large; null leaves it as it is. */
  readonly resize: { readonly shortest: number } | { readonly width: number; readonly height: number } | null;
  readonly filter: Filter;
  /** What is cut out of the middle; a smaller picture is filled up with zeros. */
  readonly crop: { readonly width: number; readonly height: number } | null;
  /** By which bytes are multiplied. */
  readonly scale: number;
  /** Subtracted from and divided by, channel by channel, after scaling. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly channels: 1 | 3;
}

const FILE = "preprocessor_config.json";
const MAX_SIDE = 4096;
/** Below this, ConvNeXt's preprocessing enlarges and crops; from it on, it squashes. */
const CONVNEXT_SQUASH = 384;

type Size = { readonly width: number; readonly height: number } | { readonly shortest: number };

/** @throws EncoderError when a size is there but not understood */
function sizeOf(config: Config, name: string, squareNumber: boolean): Size | undefined {
  const value = config[name];
  if (value === undefined || value === null) return undefined;
  const bounds = { least: 1, most: MAX_SIDE };
  if (typeof value === "number") {
    const side = integerOf(config, name, FILE, bounds) as number;
    return squareNumber ? { width: side, height: side } : { shortest: side };
  }
  const sizes = section(config, name);
  const where = `${FILE}: ${name}`;
  const [width, height] = [
    integerOf(sizes, "width", where, bounds),
    integerOf(sizes, "height", where, bounds),
  ];
  if (width !== undefined && height !== undefined) return { width, height };
  const shortest = integerOf(sizes, "shortest_edge", where, bounds);
  if (shortest !== undefined && sizes.longest_edge === undefined) return { shortest };
  throw new EncoderError(
    `${FILE}: '${name}' is ${shown(value)}; expected a number, { height, width } or { shortest_edge }`,
  );
}

function filterOf(config: Config): Filter {
  const number = integerOf(config, "resample", FILE, { least: 0, most: FILTERS.length - 1 });
  return number === undefined ? "bilinear" : (FILTERS[number] as Filter);
}

function channelValues(config: Config, name: string, channels: number, fallback: number): number[] {
  const value = config[name];
  if (value === undefined || value === null) return Array<number>(channels).fill(fallback);
  const list = Array.isArray(value) ? value : [value];
  const filled = list.length === 1 ? Array<unknown>(channels).fill(list[0]) : list;
  if (filled.length !== channels || !filled.every((v) => typeof v === "number" && Number.isFinite(v)))
    throw new EncoderError(`${FILE}: '${name}' must be ${channels} numbers, got ${shown(value)}`);
  return filled as number[];
}

function fixedSize(input: ModelInput): { readonly width: number; readonly height: number } | null {
  const [, , height, width] = input.shape;
  return typeof height === "number" && typeof width === "number" ? { width, height } : null;
}

/**
 * The preprocessing that a folder's preprocessor_config.json asks for, with the defaults that Hugging Face's image
 * processors have where it leaves something out.
 *
 * @param config  null when there is no such file: pictures are scaled to [0, 1] and cut to the model's own size
 * @throws EncoderError when the file asks for what is not understood, or leads to another size than the model takes
 */
export function readImageSettings(config: Config | null, input: ModelInput, name: string): ImageSettings {
  const axis = input.shape[1];
  if (typeof axis === "number" && axis !== 1 && axis !== 3)
    throw new EncoderError(
      `${name}: '${input.name}' takes pictures of ${axis} channels; 1 and 3 are supported`,
    );
  const channels = axis === 1 ? 1 : 3;
  const fixed = fixedSize(input);
  if (config === null) {
    if (fixed === null)
      throw new EncoderError(
        `${name}: there is no ${FILE}, and '${input.name}' does not say how large pictures are`,
      );
    return {
      resize: fixed.width === fixed.height ? { shortest: fixed.width } : fixed,
      filter: "bicubic",
      crop: fixed,
      scale: 1 / 255,
      mean: Array(channels).fill(0),
      std: Array(channels).fill(1),
      channels,
    };
  }
  const cropped = flagOf(config, "do_center_crop") ?? false;
  const size = sizeOf(config, "size", !cropped);
  const ratio = numberOf(config, "crop_pct", FILE);
  let resize: ImageSettings["resize"] =
    (flagOf(config, "do_resize") ?? true) && size !== undefined ? size : null;
  let crop = cropped ? (sizeOf(config, "crop_size", true) ?? size ?? null) : null;
  if (crop !== null && "shortest" in crop) crop = { width: crop.shortest, height: crop.shortest };
  if (ratio !== undefined && ratio > 0 && ratio <= 1 && size !== undefined) {
    const side = "shortest" in size ? size.shortest : size.width;
    const square = { width: side, height: side };
    resize = side < CONVNEXT_SQUASH ? { shortest: Math.trunc(side / ratio) } : square;
    crop = square;
  }
  const reached = crop ?? (resize !== null && "width" in resize ? resize : null);
  if (reached === null && fixed === null)
    throw new EncoderError(
      `${name}: ${FILE} does not lead to one size for all pictures, and the model has none either`,
    );
  if (
    reached !== null &&
    fixed !== null &&
    (reached.width !== fixed.width || reached.height !== fixed.height)
  )
    throw new EncoderError(
      `${name}: ${FILE} leads to pictures of ${reached.width} × ${reached.height}, but '${input.name}' takes ${fixed.width} × ${fixed.height}`,
    );
  const scaled = flagOf(config, "do_rescale") ?? true;
  const normal = flagOf(config, "do_normalize") ?? config.image_mean !== undefined;
  const std = normal ? channelValues(config, "image_std", channels, 1) : Array<number>(channels).fill(1);
  if (std.includes(0)) throw new EncoderError(`${FILE}: 'image_std' must not contain 0`);
  return {
    resize,
    filter: filterOf(config),
    crop: crop ?? (reached === null ? fixed : null),
    scale: scaled ? (numberOf(config, "rescale_factor", FILE) ?? 1 / 255) : 1,
    mean: normal ? channelValues(config, "image_mean", channels, 0) : Array<number>(channels).fill(0),
    std,
    channels,
  };
}

/**
 * The same preprocessing for pictures of another size: what is resized and cut out grows in proportion.
 *
 * @param size  [height, width]
 * @throws EncoderError unless it is two sides within bounds
 */
export function imageSettingsAt(settings: ImageSettings, size: readonly number[]): ImageSettings {
  const [height = 0, width = 0] = size;
  if (size.length !== 2 || !size.every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE))
    throw new EncoderError(
      `the size of pictures must be two whole numbers from 1 to ${MAX_SIDE}, [height, width], got ${shown(size)}`,
    );
  const { resize, crop } = settings;
  if (resize === null || "width" in resize) return { ...settings, resize: { width, height }, crop: null };
  const own = crop ?? { width: resize.shortest, height: resize.shortest };
  const factor = Math.max(width / own.width, height / own.height);
  return {
    ...settings,
    resize: { shortest: Math.max(1, Math.round(factor * resize.shortest)) },
    crop: { width, height },
  };
}
