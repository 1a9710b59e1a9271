import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, type NodeProto } from "../onnx/onnx_pb.ts";

/** Storage buffers that one shader may use on every WebGPU device; a kernel needs one per input and output. */
const MAX_BUFFERS = 8;

/**
 * Whether a node must not run on WebGPU although ONNX Runtime 1.30 has a kernel for it: the kernel fails, or computes
 * something else. Found by running the operations' test cases there.
 */
function isMistaken({ opType, domain, output, attribute }: NodeProto): boolean {
  if (domain !== "") return false;
  const attributes = new Map(attribute.map(({ name, i, ints }) => [name, { i, ints }]));
  const grouped = (attributes.get("group")?.i ?? 1n) > 1n;
  const rank = attributes.get("strides")?.ints.length ?? 0;
  switch (opType) {
    case "MaxPool":
      return output.length > 1; // "The Indices output is not supported yet."
    case "Conv":
      return rank > 2 && grouped; // "Conv3D does not support grouped convolution"
    case "ConvTranspose":
      return rank > 2 || grouped; // "Only Conv2d or Conv1d are supported."; wrong results with groups
    case "Split":
      return output.length + 1 > MAX_BUFFERS; // "Too many storage buffers in shader."
    case "Sin":
    case "Cos":
      return true; // WGSL promises an absolute error below 2^-11 only, and seeded noise is made of them.
    default:
      return false;
  }
}

/**
 * ONNX Runtime's WebGPU provider for a model. Operators that it has no kernel for go to the CPU by themselves, those
 * on which it is mistaken by name.
 */
export function webgpuProvider(model: Uint8Array) {
  const { graph } = fromBinary(ModelProtoSchema, model);
  const forceCpuNodeNames = (graph?.node ?? []).filter(isMistaken).map(({ name }) => name);
  // An empty list is refused.
  return { name: "webgpu", ...(forceCpuNodeNames.length === 0 ? {} : { forceCpuNodeNames }) } as const;
}
