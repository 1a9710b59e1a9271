import type { DType } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { mul } from "./arithmetic.ts";
import { sigmoid } from "./math.ts";

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
  const op = defineUnitOp<undefined>({
    name,
    infer: ([x]) => {
      checkDType(name, [x], dtypes);
      const { shape, dtype } = x as Spec;
      return [{ shape, dtype: result ?? dtype }];
    },
    lower: (graph, [x], _attributes, { inputs }) => {
      const { dtype, shape } = inputs[0] as Spec;
      return [lower(nodesOf(graph, dtype), x as string, dtype, shape.length)];
    },
    vjp: ({ inputs, outputs, cotangents }) => [
      vjp ? vjp(inputs[0] as Tensor, outputs[0] as Tensor, cotangents[0] as Tensor) : null,
    ],
  });
  return (x) => op([asTensor(x)], undefined);
}

/** 1 where x > 0, else 0: one pass over memory instead of a comparison and a conversion. */
export function emitStep(nodes: Nodes, x: string, dtype: DType): string {
  if (dtype !== "float32") return nodes.graph.cast(nodes("Greater", x, 0), dtype);
  return nodes.graph.node("HardSigmoid", [x], { alpha: { float: 1e38 }, beta: { float: 0 } });
}

/** 1 where x > 0, else 0, in the dtype of x. */
export const step = defineElementwise("step", { lower: emitStep });

/** ln(1 + e^x) in both float dtypes, several times faster than the kernel of Softplus. */
export const stableSoftplus = defineElementwise("softplus", {
  lower: (nodes, x) => {
    const decayed = nodes("Exp", nodes("Neg", nodes("Abs", x)));
    return nodes("Add", nodes("Max", x, 0), nodes("Log", nodes("Add", decayed, 1)));
  },
  vjp: (x, _y, dy) => mul(dy, sigmoid(x)),
});
