import { create, toBinary } from "@bufbuild/protobuf";
import type { DType, NDArray } from "../core/ndarray.ts";
import { ndarray } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import type { AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from "./onnx_pb.ts";
import {
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "./onnx_pb.ts";

/** Version of the default operator set in which graphs are written, and of the file format. */
export const OPSET = 21;
const IR_VERSION = 10n;

/** ONNX codes of element types. */
export const onnxType: { readonly [D in DType | "uint32"]: number } = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
  uint32: 12,
};

/** A number is an INT, a list INTS; floats are marked because JavaScript does not tell 1 from 1.0. */
export type AttributeValue = number | string | readonly number[] | { readonly float: number };
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Which kernels the runtime that will execute the graph has beyond the ONNX standard. */
export interface GraphTarget {
  /** Operators of the com.microsoft domain (FusedMatMul and others). */
  readonly contribOps: boolean;
}

function encodeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: 1, f: value.float });
  return create(AttributeProtoSchema, { name, type: 7, ints: value.map(BigInt) });
}

function encodeTensor(name: string, value: NDArray): TensorProto {
  const { buffer, byteOffset, byteLength } = value.data;
  return create(TensorProtoSchema, {
    name,
    dims: value.shape.map(BigInt),
    dataType: onnxType[value.dtype],
    rawData: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
  });
}

function encodeValueInfo(name: string, spec: Spec): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      tensorType: {
        elemType: onnxType[spec.dtype],
        shape: { dim: spec.shape.map((n) => ({ value: { case: "dimValue" as const, value: BigInt(n) } })) },
      },
    },
  });
}

/** Constants up to this many elements are merged when equal. */
const MERGE_LIMIT = 64;

/** Collects nodes and constants of one ONNX graph. Equal nodes are emitted once (common-subexpression elimination). */
export class GraphBuilder {
  readonly target: GraphTarget;
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #known = new Map<string, readonly string[]>();
  readonly #domains = new Set<string>();
  /** Names of values that nodes make, and the graph outputs that some of them are. */
  readonly #made = new Set<string>();
  readonly #renamed = new Map<string, string>();
  /** Ends the names of nodes that are added now, so that messages of the runtime tell where they come from. */
  tag = "";
  #count = 0;

  constructor(target: GraphTarget) {
    this.target = target;
  }

  get nodeCount(): number {
    return this.#nodes.length;
  }

  input(name: string, spec: Spec): string {
    this.#inputs.push(encodeValueInfo(name, spec));
    return name;
  }

  /**
   * Declares an output under its own name; `value` is the name of what it shows. The node that makes the value gets
   * the output's name, so that nothing is copied; only inputs, constants and values shown twice need a copy.
   */
  output(name: string, value: string, spec: Spec): void {
    if (this.#made.has(value) && !this.#renamed.has(value)) this.#renamed.set(value, name);
    else
      this.#nodes.push(
        create(NodeProtoSchema, {
          opType: "Identity",
          input: [value],
          output: [name],
          name: `output_${name}`,
        }),
      );
    this.#outputs.push(encodeValueInfo(name, spec));
  }

  constant(value: NDArray): string {
    const small = value.data.length <= MERGE_LIMIT;
    const key = small
      ? `constant ${value.dtype} [${value.shape.join(",")}] ${Array.from(value.data as ArrayLike<number | bigint>, (v) => (Object.is(v, -0) ? "-0" : String(v))).join(",")}`
      : "";
    const known = small ? this.#known.get(key) : undefined;
    if (known) return known[0] as string;
    const name = `c${this.#initializers.length}`;
    this.#initializers.push(encodeTensor(name, value));
    if (small) this.#known.set(key, [name]);
    return name;
  }

  scalar(value: number, dtype: DType): string {
    return this.constant(ndarray([value], { shape: [], dtype }));
  }

  /** A constant list of integers, as shapes and axes are given. */
  int64s(values: readonly number[]): string {
    return this.constant(ndarray(values, { shape: [values.length], dtype: "int64" }));
  }

  /** Adds a node with one output. Inputs may be "" for optional inputs that are left out. */
  node(opType: string, inputs: readonly string[], attributes: Attributes = {}, domain = ""): string {
    return this.nodeWithOutputs(opType, inputs, 1, attributes, domain)[0] as string;
  }

  nodeWithOutputs(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Attributes = {},
    domain = "",
  ): readonly string[] {
    const key = `${domain}.${opType}(${inputs.join(",")})${outputs}${JSON.stringify(attributes)}`;
    const known = this.#known.get(key);
    if (known) return known;
    const id = this.#count++;
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? `t${id}` : `t${id}_${i}`));
    this.#nodes.push(
      create(NodeProtoSchema, {
        opType,
        domain,
        input: [...inputs],
        output: names,
        name: `${opType}_${id}${this.tag}`,
        attribute: Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value)),
      }),
    );
    for (const name of names) this.#made.add(name);
    if (domain !== "") this.#domains.add(domain);
    this.#known.set(key, names);
    return names;
  }

  /** Conversion between element types; uint32 exists inside graphs only (bit operations of random numbers). */
  cast(value: string, dtype: DType | "uint32"): string {
    return this.node("Cast", [value], { to: onnxType[dtype] });
  }

  /** The model as a message of the file format. */
  model(name: string): ModelProto {
    for (const node of this.#nodes) {
      node.input = node.input.map((value) => this.#renamed.get(value) ?? value);
      node.output = node.output.map((value) => this.#renamed.get(value) ?? value);
    }
    return create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "concord",
      opsetImport: [
        { domain: "", version: BigInt(OPSET) },
        ...[...this.#domains].map((domain) => ({ domain, version: 1n })),
      ],
      graph: {
        name,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
  }

  /** The serialised model. */
  build(name: string): Uint8Array {
    return toBinary(ModelProtoSchema, this.model(name));
  }
}
