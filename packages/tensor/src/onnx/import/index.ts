import { memoryReader, openModel } from "./files.ts";
import { inlineFunctions } from "./functions.ts";
import type { OnnxLayer, Trainable } from "./layer.ts";
import { makeLayer } from "./layer.ts";
import type { OnnxLimits } from "./limits.ts";
import { defaultOnnxLimits } from "./limits.ts";
import { parseModel, readModel } from "./model.ts";
import { checkSupported } from "./supported.ts";

export type { LinearHook, OnnxLinear } from "./call.ts";
export { OnnxImportError } from "./errors.ts";
export type { OnnxApplyOptions, OnnxLayer, OnnxLinearWeight, Trainable } from "./layer.ts";
export type { OnnxLimits } from "./limits.ts";
export type { OnnxValueInfo } from "./model.ts";
export type { SupportedOnnxOp } from "./registry.ts";
export { supportedOnnxOps } from "./registry.ts";

export interface ImportOnnxOptions {
  /**
   * Which weights are to be trained: "all" (default) are the stored float arrays of at least one axis but statistics
   * of batch norms and numbers that settle modes; a function is asked for each stored float array by name.
   */
  readonly trainable?: Trainable;
  /** Values to return, by name: outputs of the model, or any value within it. Default: the model's outputs. */
  readonly outputs?: readonly string[];
  /** Contents of external data files by location, for a model that is given as bytes. */
  readonly externalData?: Readonly<Record<string, Uint8Array>>;
  readonly limits?: Partial<OnnxLimits>;
}

/**
 * An ONNX model as a layer: traced at the shapes of its inputs, differentiated, trained and exported like any other.
 *
 *   const encoder = await importOnnx("model.onnx", { trainable: (name) => name.startsWith("head.") });
 *   const { embedding } = encoder.apply(params, { image });
 *
 * The file counts as input from strangers: sizes are limited, nothing outside its folder is read.
 *
 * @param source  the model's bytes, or the path of its file (in Node), beside which external data is looked for
 * @throws OnnxImportError for what is no ONNX model, is beyond the limits, or has operators that are not supported:
 *   one error that lists them all
 */
export async function importOnnx(
  source: Uint8Array | string,
  options: ImportOnnxOptions = {},
): Promise<OnnxLayer> {
  const limits = { ...defaultOnnxLimits, ...options.limits };
  const { bytes, external } =
    typeof source === "string"
      ? await openModel(source, limits)
      : { bytes: source, external: memoryReader(options.externalData ?? {}) };
  const proto = parseModel(bytes, limits);
  inlineFunctions(proto, limits);
  const model = await readModel(proto, limits, external);
  checkSupported(model.graph, options.outputs ?? model.graph.outputs);
  return makeLayer(model, { trainable: options.trainable ?? "all", outputs: options.outputs, limits });
}
