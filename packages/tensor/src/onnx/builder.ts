import { create, toBinary } from "@bufbuild/protobuf";
import { sameShape } from "../core/axes.ts";
import type { DType, NDArray } from "../core/ndarray.ts";
import { ndarray } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from "./onnx_pb.ts";
import {
  AttributeProtoSchema,
  GraphProtoSchema,
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
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  /** The body of a Scan, Loop or If, from `GraphBuilder.body`. */
  | { readonly body: GraphBuilder };
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** ONNX Runtime's blocked convolution kernels, see nchwc.ts. */
export interface BlockedKernels {
  /** Channels side by side. */
  readonly block: number;
  /** Operations from which on a convolution uses them. Default: where they were measured to be faster. */
  readonly leastWork?: number;
}

/** Which kernels the runtime that will execute the graph has beyond the ONNX standard. */
export interface GraphTarget {
  /** Operators of the com.microsoft domain (FusedMatMul and others). */
  readonly contribOps: boolean;
  /** The blocked convolution kernels of the processor; absent where there are none or the graph must do without. */
  readonly blockedConv?: BlockedKernels | undefined;
}

function encodeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: 3, s: new TextEncoder().encode(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: 1, f: value.float });
  if ("body" in value) return create(AttributeProtoSchema, { name, type: 5, g: value.body.graph(name) });
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
  readonly #domains: Set<string>;
  /** Begins all names, so that those of a body differ from those of the graphs around it. */
  readonly prefix: string;
  /** What `reshape` made of which value of which shape. */
  readonly #reshaped = new Map<string, readonly [value: string, shape: readonly number[] | undefined]>();
  /** Names of values that nodes make, and the graph outputs that some of them are. */
  readonly #made = new Set<string>();
  readonly #renamed = new Map<string, string>();
  /** Ends the names of nodes that are added now, so that messages of the runtime tell where they come from. */
  tag = "";
  #count = 0;

  constructor(target: GraphTarget, around?: { readonly domains: Set<string>; readonly prefix: string }) {
    this.target = target;
    this.#domains = around?.domains ?? new Set();
    this.prefix = around?.prefix ?? "";
  }

  /**
   * A graph inside this one, for the attribute of a Scan, Loop or If. Its nodes may read values of this graph, which
   * need not be declared as inputs. Finish it before it is used as an attribute.
   */
  body(): GraphBuilder {
    const prefix = `${this.prefix}b${this.#count++}.`;
    const inner = new GraphBuilder(this.target, { domains: this.#domains, prefix });
    inner.tag = this.tag;
    return inner;
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
    const name = `${this.prefix}c${this.#initializers.length}`;
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
    const hasBody = Object.values(attributes).some((value) => typeof value === "object" && "body" in value);
    const key = hasBody
      ? `${opType} ${this.#count}`
      : `${domain}.${opType}(${inputs.join(",")})${outputs}${JSON.stringify(attributes)}`;
    const known = this.#known.get(key);
    if (known) return known;
    const id = this.#count++;
    const names = Array.from({ length: outputs }, (_, i) =>
      i === 0 ? `${this.prefix}t${id}` : `${this.prefix}t${id}_${i}`,
    );
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

  /**
   * The value in another shape. Of several changes in a row only the last one is made, or none where the shape that the
   * value has, if it is given, is wanted.
   */
  reshape(value: string, to: readonly number[], from?: readonly number[]): string {
    const [origin, shape] = this.#reshaped.get(value) ?? [value, from];
    if (shape && sameShape(shape, to)) return origin;
    const result = this.node("Reshape", [origin, this.int64s(to)]);
    this.#reshaped.set(result, [origin, shape]);
    return result;
  }

  /** Conversion between element types; uint32 exists inside graphs only (bit operations of random numbers). */
  cast(value: string, dtype: DType | "uint32"): string {
    return this.node("Cast", [value], { to: onnxType[dtype] });
  }

  /** The graph as a message of the file format. */
  graph(name: string): GraphProto {
    this.#rename(this.#nodes);
    return create(GraphProtoSchema, {
      name,
      node: this.#nodes,
      initializer: this.#initializers,
      input: this.#inputs,
      output: this.#outputs,
    });
  }

  /** Gives values that are outputs the outputs' names, in bodies too. */
  #rename(nodes: readonly NodeProto[]): void {
    if (this.#renamed.size === 0) return;
    for (const node of nodes) {
      node.input = node.input.map((value) => this.#renamed.get(value) ?? value);
      node.output = node.output.map((value) => this.#renamed.get(value) ?? value);
      for (const { g } of node.attribute) if (g) this.#rename(g.node);
    }
  }

  /** The model as a message of the file format. */
  model(name: string): ModelProto {
    return create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: "concord",
      opsetImport: [
        { domain: "", version: BigInt(OPSET) },
        ...[...this.#domains].map((domain) => ({ domain, version: 1n })),
      ],
      graph: this.graph(name),
    });
  }

  /** The serialised model. */
  build(name: string): Uint8Array {
    return toBinary(ModelProtoSchema, this.model(name));
  }
}
