import type { GraphBuilder } from "../onnx/builder.ts";
import { DTypeError, formatShape, ShapeError } from "./errors.ts";
import type { DType, NDArray } from "./ndarray.ts";
import { holds, isNDArray, ndarray } from "./ndarray.ts";
import { currentOrigin, type Origin } from "./origin.ts";

/** Static shape and element type of a value. */
export interface Spec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

type Tensors = readonly Tensor[];

/** One T for each tensor of a list. */
export type Each<List extends Tensors, T> = { readonly [K in keyof List]: T };

export interface VjpArguments<
  Attributes,
  Inputs extends Tensors = Tensors,
  Outputs extends Tensors = Tensors,
  Cotangent = Tensor | null,
> {
  readonly inputs: Inputs;
  readonly outputs: Outputs;
  /**
   * Gradient of the differentiated scalar with respect to each output; null where an output does not reach it (of a
   * single output it is never null).
   */
  readonly cotangents: Each<Outputs, Cotangent>;
  /** Which inputs anything asks the gradient of; that of the others is thrown away. */
  readonly needed: Each<Inputs, boolean>;
  readonly attributes: Attributes;
}

export interface LoweringSpecs<Inputs extends Tensors = Tensors, Outputs extends Tensors = Tensors> {
  readonly inputs: Each<Inputs, Spec>;
  readonly outputs: Each<Outputs, Spec>;
  /** Which outputs anything depends on: outputs that only a gradient needs may be left out of pure forward graphs. */
  readonly used: Each<Outputs, boolean>;
}

/**
 * One operation: everything the engine knows about it stands in this record. `Inputs` and `Outputs` are tuples, as
 * `[x: Tensor, indices: Tensor]`, or lists where their number varies.
 */
export interface OpDefinition<
  Attributes,
  Inputs extends Tensors = Tensors,
  Outputs extends Tensors = Tensors,
  Cotangent = Tensor | null,
> {
  readonly name: string;
  /** Shapes and dtypes of the outputs; throws ShapeError or DTypeError when the inputs do not fit. */
  readonly infer: (inputs: Each<Inputs, Spec>, attributes: Attributes) => readonly Spec[];
  /** Emits ONNX nodes and returns the names of the outputs. */
  readonly lower: (
    graph: GraphBuilder,
    inputs: Each<Inputs, string>,
    attributes: Attributes,
    specs: LoweringSpecs<Inputs, Outputs>,
  ) => readonly string[];
  /**
   * Vector-Jacobian product: gradients with respect to the inputs, null for inputs that have none.
   * Absent for operations without a gradient (comparisons, integer results).
   */
  readonly vjp?: (args: VjpArguments<Attributes, Inputs, Outputs, Cotangent>) => readonly (Tensor | null)[];
}

/** What an operation is applied to. */
export interface Application<Attributes> {
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
}

export type Source =
  | (Application<unknown> & {
      readonly kind: "op";
      readonly op: OpDefinition<unknown>;
      /**
       * Other inputs with which the operation gives the same result at less cost. They are what gets compiled;
       * gradients follow `inputs`, so that they can be taken with respect to every tensor that was asked for.
       */
      readonly lean?: Application<unknown>;
    })
  | { readonly kind: "constant"; readonly value: NDArray }
  | { readonly kind: "input"; readonly name: string };

let nextId = 0;

/** A vertex of the lazy graph. Ids grow with creation, so they order the graph topologically. */
export class GraphNode {
  readonly id: number = nextId++;
  readonly source: Source;
  readonly outputs: readonly Spec[];
  /** Where the operation was applied. */
  readonly origin: Origin | undefined;

  constructor(source: Source, outputs: readonly Spec[]) {
    this.source = source;
    this.outputs = outputs;
    this.origin = source.kind === "op" ? currentOrigin(GraphNode) : undefined;
  }
}

type Evaluator = (tensor: Tensor) => Promise<NDArray>;
let evaluator: Evaluator | undefined;

/** Set once by the compiler, which this file cannot import without a cycle. */
export function setEvaluator(evaluate: Evaluator): void {
  evaluator = evaluate;
}

/** What a node is and where it was applied. */
export function describeNode({ source, outputs, origin }: GraphNode): string {
  const results = outputs.map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`).join(", ");
  if (source.kind === "input") return `input '${source.name}' (${results})`;
  if (source.kind === "constant") return `a constant (${results})`;
  const role = origin?.gradientOf ? ` in the gradient of '${origin.gradientOf}'` : "";
  const place = origin?.place;
  return `'${source.op.name}' (result ${results})${role}${place ? `, applied at ${place}` : ""}`;
}

/** A lazy value: nothing is computed until a graph that contains it is compiled and run. */
export class Tensor {
  readonly node: GraphNode;
  readonly index: number;
  readonly shape: readonly number[];
  readonly dtype: DType;

  constructor(node: GraphNode, index: number) {
    const spec = node.outputs[index];
    if (!spec) throw new RangeError(`a node with ${node.outputs.length} outputs has no output ${index}`);
    this.node = node;
    this.index = index;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Computes and returns the value. For tests and small host-side work; training compiles whole steps instead. */
  async data(): Promise<NDArray> {
    if (!evaluator) throw new Error("Tensor.data: no evaluator is installed");
    return evaluator(this);
  }

  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)})`;
  }
}

/** What operations accept as an operand: a tensor, a concrete array, or a number (which takes the other operand's dtype). */
export type TensorLike = Tensor | NDArray | number;

/** A constant with this value. */
export function constant(value: NDArray): Tensor {
  return new Tensor(
    new GraphNode({ kind: "constant", value }, [{ shape: value.shape, dtype: value.dtype }]),
    0,
  );
}

/** A placeholder that gets its value when the compiled graph runs. */
export function placeholder(name: string, spec: Spec): Tensor {
  return new Tensor(new GraphNode({ kind: "input", name }, [spec]), 0);
}

/** A tensor from (nested) numbers: `tensor([[1, 2], [3, 4]])`. */
export function tensor<D extends DType = "float32">(...args: Parameters<typeof ndarray<D>>): Tensor {
  return constant(ndarray<D>(...args));
}

/** Tensors as they are, arrays as constants, numbers as scalar constants of the given dtype. */
export function asTensor(value: TensorLike, dtype: DType = "float32"): Tensor {
  if (value instanceof Tensor) return value;
  if (isNDArray(value)) return constant(value);
  return constant(ndarray([value], { shape: [], dtype }));
}

/** Throws unless an operation is computed for the dtype of each operand. */
export function checkDType(
  operation: string,
  operands: readonly (Spec | undefined)[],
  allowed: readonly DType[] = ["float32", "float64"],
): void {
  for (const operand of operands) {
    if (operand && !allowed.includes(operand.dtype))
      throw new DTypeError(
        `${operation}: expected ${allowed.join(" or ")}, got ${operand.dtype}; convert with cast()`,
      );
  }
}

/** Two operands as tensors of one dtype; numbers adapt to the other operand. */
export function asOperands(op: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  const dtypeOf = (x: TensorLike): DType | undefined => (typeof x === "number" ? undefined : x.dtype);
  for (const [number, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const dtype = dtypeOf(other);
    if (typeof number === "number" && dtype && !holds(dtype, number))
      throw new DTypeError(
        `${op}: ${number} is no ${dtype}, which is the other operand's dtype; convert that with cast()`,
      );
  }
  const left = asTensor(a, dtypeOf(b));
  const right = asTensor(b, dtypeOf(a));
  if (left.dtype !== right.dtype) {
    throw new DTypeError(
      `${op}: operands have dtypes ${left.dtype} and ${right.dtype}; convert one with cast()`,
    );
  }
  return [left, right];
}

/** Shapes and dtypes of the outputs; errors tell where the operands were made. */
function inferred<Attributes>(
  { infer }: OpDefinition<Attributes>,
  inputs: readonly Tensor[],
  attributes: Attributes,
): readonly Spec[] {
  try {
    return infer(inputs, attributes);
  } catch (error) {
    if (error instanceof ShapeError || error instanceof DTypeError) {
      const made = inputs
        .filter(({ node }) => node.source.kind === "op")
        .map(({ node }) => describeNode(node));
      if (made.length > 0) error.message += `\n  operands: ${made.join("; ")}`;
    }
    throw error;
  }
}

/** Makes an operation callable: checks the inputs and adds a node to the graph. Returns all outputs. */
export function defineOp<
  Attributes,
  Inputs extends Tensors = Tensors,
  Outputs extends Tensors = Tensor[],
  Cotangent = Tensor | null,
>(
  definition: OpDefinition<Attributes, Inputs, Outputs, Cotangent>,
): (inputs: Inputs, attributes: Attributes, lean?: Application<Attributes>) => Outputs {
  // In the graph, operations of all kinds stand side by side.
  const op = definition as unknown as OpDefinition<unknown>;
  return (inputs, attributes, lean) => {
    const outputs = inferred(op, inputs, attributes);
    for (const { shape } of outputs) {
      if (!shape.every((n) => Number.isInteger(n) && n >= 0))
        throw new ShapeError(
          `${definition.name}: ${formatShape(shape)} is no shape; sizes are integers >= 0`,
        );
    }
    const node = new GraphNode({ kind: "op", op, inputs, attributes, ...(lean && { lean }) }, outputs);
    return outputs.map((_, index) => new Tensor(node, index)) as Tensors as Outputs;
  };
}

/** An operation with a single output, ready to be applied. `lean` as in `Source`. */
export type UnitOp<Attributes, Inputs extends Tensors = Tensors> = (
  inputs: Inputs,
  attributes: Attributes,
  lean?: Application<Attributes>,
) => Tensor;

/** As `defineOp`, for the many operations with a single output. */
export function defineUnitOp<Attributes, Inputs extends Tensors = Tensors>(
  definition: OpDefinition<Attributes, Inputs, readonly [Tensor], Tensor>,
): UnitOp<Attributes, Inputs> {
  const op = defineOp(definition);
  return (inputs, attributes, lean) => op(inputs, attributes, lean)[0];
}

/** The inputs with which a tensor will be compiled, if it is the result of the operation `name`. */
export function compiledInputs(x: Tensor, name: string): readonly Tensor[] | undefined {
  const { source } = x.node;
  return source.kind === "op" && source.op.name === name ? (source.lean ?? source).inputs : undefined;
}

/** The single number of a scalar constant, if the tensor is one. Lets operations skip `x * 1` and the like. */
export function scalarConstant(x: Tensor): number | undefined {
  const { source } = x.node;
  if (source.kind !== "constant" || source.value.data.length !== 1 || x.rank !== 0) return undefined;
  return Number(source.value.data[0]);
}
