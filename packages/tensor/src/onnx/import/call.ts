import { formatShape } from "../../core/errors.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { isFloat, sizeOf, toNumbers } from "../../core/ndarray.ts";
import { asTensor, Tensor } from "../../core/tensor.ts";
import type { TensorProto } from "../onnx_pb.ts";
import { OnnxImportError } from "./errors.ts";
import type { OnnxLimits } from "./limits.ts";
import type { ImportGraph, ImportNode } from "./model.ts";
import { decodeTensor, MAX_RANK } from "./tensors.ts";

/** A value while a graph is traced: an array if it is known already, as shapes are, else a lazy tensor. */
export type Value = NDArray | Tensor;

/** A matrix product with a stored weight, as seen by an adapter. */
export interface OnnxLinear {
  /** Name of the weight. */
  readonly name: string;
  /** [..., inputs] */
  readonly x: Tensor;
  /** The weight as it is stored: [inputs, outputs], or the other way round if `transposed`. */
  readonly weight: Tensor;
  readonly transposed: boolean;
}

/** Computes a product with a stored weight in another way; undefined leaves it as it is. */
export type LinearHook = (linear: OnnxLinear) => Tensor | undefined;

export interface WeightOrigin {
  readonly name: string;
  readonly weight: Tensor;
  /** Whether the tensor is the stored weight with its two axes swapped. */
  readonly transposed: boolean;
}

/** The state of one trace of a model. */
export interface Trace {
  readonly limits: OnnxLimits;
  readonly weights: Map<Tensor, WeightOrigin>;
  readonly linear: LinearHook | undefined;
  /** Results of convolutions, and how each is computed with a factor and a shift for each channel drawn into it. */
  readonly convolutions: Map<Tensor, (factor: Tensor, shift: Tensor) => Tensor>;
  /** How many nodes read a value of the outermost graph. */
  readonly uses: ReadonlyMap<string, number>;
  /** Runs a subgraph: values of its inputs, and of the graphs around by name. */
  readonly subgraph: (graph: ImportGraph, inputs: readonly Value[], call: NodeCall) => (Value | undefined)[];
  /** Counts nodes that are translated, and other work of their size. */
  readonly visit: (count: number) => void;
  /** Counts elements that the host computes. */
  readonly charge: (elements: number) => void;
}

/** Results up to this many elements are computed while tracing, larger ones in the graph if that is possible. */
const FOLD_LIMIT = 2 ** 16;

/** Thrown when a result is too large to compute while tracing, and the graph should do it. */
export class FoldAside extends Error {}

/** Arrays of attributes, which loops and further traces read again. */
const decoded = new WeakMap<TensorProto, NDArray>();

/** One node while it is translated: its inputs and attributes, checked on access. */
export class NodeCall {
  readonly node: ImportNode;
  readonly trace: Trace;
  readonly inputs: readonly (Value | undefined)[];
  readonly scope: ReadonlyMap<string, Value>;
  /** Whether the graph can compute the node when it is too large for the host. */
  canDefer = false;

  constructor(
    node: ImportNode,
    trace: Trace,
    inputs: readonly (Value | undefined)[],
    scope: ReadonlyMap<string, Value>,
  ) {
    this.node = node;
    this.trace = trace;
    this.inputs = inputs;
    this.scope = scope;
  }

  get version(): number {
    return this.node.version;
  }

  fail(message: string): never {
    throw new OnnxImportError(`${describeNode(this.node)}: ${message}`);
  }

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }

  value(index: number): Value {
    return this.inputs[index] ?? this.fail(`needs an input ${index}`);
  }

  tensor(index: number): Tensor {
    return asTensor(this.value(index));
  }

  /** An input that must be float. */
  float(index: number): Tensor {
    const x = this.tensor(index);
    return isFloat(x.dtype) ? x : this.fail(`input ${index} is ${x.dtype}, expected a float`);
  }

  optional(index: number): Tensor | undefined {
    return this.has(index) ? this.tensor(index) : undefined;
  }

  /** An input whose value has to be known while the graph is traced. */
  known(index: number, what: string): NDArray {
    const value = this.value(index);
    if (!(value instanceof Tensor)) return value;
    const { source } = value.node;
    if (source.kind === "constant") return source.value;
    return this.fail(
      `its ${what} (input ${index}, '${this.node.inputs[index]}') depends on the data; only values that follow from shapes and constants are supported there`,
    );
  }

  /** A list of integers given as an input. */
  integers(index: number, what: string): number[] {
    const array = this.known(index, what);
    if (isFloat(array.dtype)) this.fail(`its ${what} are ${array.dtype}, expected integers`);
    if (array.data.length > 1024) this.fail(`its ${what} have ${array.data.length} entries`);
    return toNumbers(array);
  }

  /** A single number given as an input. */
  number(index: number, what: string): number {
    const array = this.known(index, what);
    if (array.data.length !== 1)
      this.fail(`its ${what} has shape ${formatShape(array.shape)}, expected one number`);
    return Number(array.data[0]);
  }

  #attribute(name: string, type: number, kind: string) {
    const attribute = this.node.attributes.get(name);
    if (attribute && attribute.type !== type && attribute.type !== 0)
      this.fail(`attribute '${name}' is of type ${attribute.type}, expected ${kind}`);
    return attribute;
  }

  int(name: string, fallback: number): number {
    const attribute = this.#attribute(name, 2, "an integer");
    if (!attribute) return fallback;
    const value = Number(attribute.i);
    return Number.isSafeInteger(value) ? value : this.fail(`attribute '${name}' is ${attribute.i}`);
  }

  /** An integer that means yes or no. */
  flag(name: string, fallback: boolean): boolean {
    const value = this.int(name, Number(fallback));
    return value === 0 || value === 1
      ? value === 1
      : this.fail(`attribute '${name}' is ${value}, expected 0 or 1`);
  }

  requiredInt(name: string): number {
    return this.node.attributes.has(name) ? this.int(name, 0) : this.fail(`needs the attribute '${name}'`);
  }

  floatAttribute(name: string, fallback: number): number {
    return this.#attribute(name, 1, "a float")?.f ?? fallback;
  }

  text(name: string, fallback: string): string {
    const attribute = this.#attribute(name, 3, "a string");
    if (attribute && attribute.s.length > 4096)
      this.fail(`attribute '${name}' is a text of ${attribute.s.length} bytes`);
    return attribute ? new TextDecoder().decode(attribute.s) : fallback;
  }

  /** A list of integers given as an attribute; undefined when it is missing. */
  ints(name: string): number[] | undefined {
    const attribute = this.#attribute(name, 7, "a list of integers");
    if (attribute && attribute.ints.length > 1024)
      this.fail(`attribute '${name}' has ${attribute.ints.length} entries`);
    return attribute?.ints.map(Number);
  }

  floats(name: string): readonly number[] | undefined {
    const floats = this.#attribute(name, 6, "a list of floats")?.floats;
    this.trace.charge(floats?.length ?? 0);
    return floats;
  }

  texts(name: string): string[] | undefined {
    return this.#attribute(name, 8, "a list of strings")?.strings.map((s) => new TextDecoder().decode(s));
  }

  tensorAttribute(name: string): NDArray | undefined {
    const proto = this.#attribute(name, 4, "a tensor")?.t;
    if (!proto) return undefined;
    const known = decoded.get(proto);
    if (known) return known;
    const array = decodeTensor(proto, this.trace.limits, `${describeNode(this.node)}: attribute '${name}'`);
    decoded.set(proto, array);
    return array;
  }

  /** Integers that older opsets give as an attribute and newer ones as an input. */
  integersOrAttribute(name: string, index: number): number[] | undefined {
    return this.has(index) ? this.integers(index, name) : this.ints(name);
  }

  /** Asks to compute an array of this shape on the host. */
  reserve(shape: readonly number[]): number {
    const size = this.checkSize(shape);
    if (size > FOLD_LIMIT && this.canDefer) throw new FoldAside();
    this.trace.charge(size);
    return size;
  }

  /** Number of elements; throws for shapes that no tensor may have. */
  checkSize(shape: readonly number[]): number {
    const size = sizeOf(shape);
    if (shape.length > MAX_RANK)
      this.fail(`the result would have ${shape.length} axes, more than ${MAX_RANK}`);
    if (shape.some((n) => !Number.isInteger(n) || n < 0) || size > this.trace.limits.elements)
      this.fail(
        `the result would have shape ${formatShape(shape)}; sizes are integers >= 0, and at most ${this.trace.limits.elements} elements (limits.elements)`,
      );
    return size;
  }
}

/** "node 'x' (Conv, opset 13)" */
export function describeNode({ name, op, domain, version }: ImportNode): string {
  return `importOnnx: node '${name}' (${domain === "" ? "" : `${domain}.`}${op}, opset ${version})`;
}

/** Brings an axis into 0 … rank - 1. */
export function axisOf(call: NodeCall, axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(normal) || normal < 0 || normal >= rank)
    call.fail(`axis ${axis} does not exist in a tensor of rank ${rank}`);
  return normal;
}
