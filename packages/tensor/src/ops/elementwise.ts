import { broadcastShapes } from "../core/axes.ts";
import type { DType } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import {
  asOperands,
  asTensor,
  checkDType,
  defineUnitOp,
  type Tensor,
  type UnitOp,
  type VjpArguments,
} from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { sumTo, withoutBroadcast } from "./structure.ts";

/** Emits nodes of one dtype; numbers among the operands become scalars of it. */
export interface Nodes {
  readonly graph: GraphBuilder;
  (opType: string, ...operands: (string | number)[]): string;
}

export function nodesOf(graph: GraphBuilder, dtype: DType): Nodes {
  const emit = (opType: string, ...operands: (string | number)[]): string =>
    graph.node(
      opType,
      operands.map((x) => (typeof x === "number" ? graph.scalar(x, dtype) : x)),
    );
  return Object.assign(emit, { graph });
}

interface Elementwise {
  readonly lower: (nodes: Nodes, x: string, dtype: DType, rank: number) => string;
  /** Gets input, output and gradient of the output. Left out where the derivative is 0 or has no meaning. */
  readonly vjp?: (x: Tensor, y: Tensor, dy: Tensor) => Tensor;
  /** Default float32 and float64. */
  readonly dtypes?: readonly DType[];
  /** Dtype of the result where it is not that of x. */
  readonly result?: DType;
}

/** An elementwise operation of one operand. */
export function defineElementwise(
  name: string,
  { lower, vjp, dtypes = ["float32", "float64"], result }: Elementwise,
): (x: TensorLike) => Tensor {
  const op = defineUnitOp<undefined, [x: Tensor]>({
    name,
    infer: ([x]) => {
      checkDType(name, [x], dtypes);
      const { shape, dtype } = x;
      return [{ shape, dtype: result ?? dtype }];
    },
    lower: (graph, [x], _attributes, { inputs }) => {
      const { dtype, shape } = inputs[0];
      return [lower(nodesOf(graph, dtype), x, dtype, shape.length)];
    },
    vjp: ({ inputs, outputs, cotangents }) => [vjp ? vjp(inputs[0], outputs[0], cotangents[0]) : null],
  });
  return (x) => op([asTensor(x)], undefined);
}

/** 1 where x > 0, else 0: one pass over memory instead of a comparison and a conversion. */
export function emitStep(nodes: Nodes, x: string, dtype: DType): string {
  if (dtype !== "float32") return nodes.graph.cast(nodes("Greater", x, 0), dtype);
  // min(max(3.4e38 x, 0), 1): numbers small enough to stay below 1 are denormal.
  return nodes.graph.node("HardSigmoid", [x], { alpha: { float: 3.4e38 }, beta: { float: 0 } });
}

/** 1 where x > 0, else 0, in the dtype of x; constant almost everywhere, so without a gradient. */
export const step = defineElementwise("step", { lower: emitStep });

type BinaryVjp = (a: Tensor, b: Tensor, dy: Tensor, y: Tensor) => readonly [Tensor | null, Tensor | null];

/** The operation behind `defineBinary`, for those that look at their operands before they are applied. */
export function defineBinaryOp(
  name: string,
  opType: string,
  vjp?: BinaryVjp,
  resultType?: Spec["dtype"],
): UnitOp<undefined, [a: Tensor, b: Tensor]> {
  return defineUnitOp<undefined, [a: Tensor, b: Tensor]>({
    name,
    infer: ([a, b]) => [
      {
        shape: broadcastShapes(name, a.shape, b.shape),
        dtype: resultType ?? a.dtype,
      },
    ],
    lower: (graph, inputs) => [graph.node(opType, inputs)],
    ...(vjp && {
      vjp: ({ inputs, outputs, cotangents }: VjpArguments<undefined, [a: Tensor, b: Tensor]>) => {
        const [a, b] = inputs;
        const [da, db] = vjp(a, b, cotangents[0] as Tensor, outputs[0] as Tensor);
        return [da && sumTo(da, a.shape), db && sumTo(db, b.shape)];
      },
    }),
  });
}

/** Applies a binary operation to operands that broadcast, without repeating them in memory. */
export function applyBinary(
  op: UnitOp<undefined, [a: Tensor, b: Tensor]>,
  name: string,
  a: TensorLike,
  b: TensorLike,
): Tensor {
  const [left, right] = asOperands(name, a, b);
  const shape = broadcastShapes(name, left.shape, right.shape);
  const leanLeft = withoutBroadcast(left, right.shape, shape);
  const leanRight = withoutBroadcast(right, leanLeft.shape, shape);
  return op([left, right], undefined, { inputs: [leanLeft, leanRight], attributes: undefined });
}

/**
 * An elementwise operation of two operands with NumPy broadcasting. `vjp` gets the operands, the gradient of the output
 * and the output.
 */
export function defineBinary(
  name: string,
  opType: string,
  vjp?: BinaryVjp,
  resultType?: Spec["dtype"],
): (a: TensorLike, b: TensorLike) => Tensor {
  const op = defineBinaryOp(name, opType, vjp, resultType);
  return (a, b) => applyBinary(op, name, a, b);
}
