/** What an ONNX file may ask for. A file is input from strangers; these bounds keep it from using up the machine. */
export interface OnnxLimits {
  /** Bytes of the model file; protobuf itself ends at 2 GiB. Default 2 GiB - 1. */
  readonly fileBytes: number;
  /** Messages (nodes, attributes, tensors, dimensions, …) in the file. Default 2 million. */
  readonly messages: number;
  /** Numbers that the file stores one by one instead of as raw bytes. Default 2^26. */
  readonly numbers: number;
  /** Levels of subgraphs within subgraphs. Default 8. */
  readonly depth: number;
  /** Nodes translated in one trace, bodies of loops counted for each turn. Default 200,000. */
  readonly nodes: number;
  /** Elements of any one tensor, stored or computed. Default 2^31. */
  readonly elements: number;
  /** Elements that integer and shape arithmetic computes on the host in one trace. Default 2^24. */
  readonly folded: number;
}

export const defaultOnnxLimits: OnnxLimits = {
  fileBytes: 2 ** 31 - 1,
  messages: 2_000_000,
  numbers: 2 ** 26,
  depth: 8,
  nodes: 200_000,
  elements: 2 ** 31,
  folded: 2 ** 24,
};
