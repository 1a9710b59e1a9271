import { formatShape } from "../../../core/errors.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { add, mul } from "../../../ops/arithmetic.ts";
import { einsum } from "../../../ops/einsum.ts";
import { matmul } from "../../../ops/matmul.ts";
import { expandDims, reshape, transpose } from "../../../ops/structure.ts";
import type { NodeCall, OnnxLinear } from "../call.ts";
import type { OpEntries } from "./entry.ts";

export interface ProductOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly scale?: number;
}

/** What an adapter makes of a product with a stored weight, if there is one. */
function adapted(call: NodeCall, x: Tensor, b: Tensor, transposeB: boolean): Tensor | undefined {
  const origin = call.trace.weights.get(b);
  if (!call.trace.linear || origin?.weight.rank !== 2) return undefined;
  const linear: OnnxLinear = {
    name: origin.name,
    x,
    weight: origin.weight,
    transposed: origin.transposed !== transposeB,
  };
  return call.trace.linear(linear);
}

/** a · b over the last two axes, by way of the adapter if b is a stored weight. */
export function product(call: NodeCall, a: Tensor, b: Tensor, options: ProductOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  const x = transposeA ? transpose(a) : a;
  const own = adapted(call, x, b, transposeB);
  if (own) return scale === 1 ? own : mul(own, scale);
  return matmul(a, b, { transposeA, transposeB, scale });
}

/** MatMul, with NumPy's meaning of operands with one axis. */
function matmulOf(call: NodeCall): Tensor {
  const [a, b] = [call.tensor(0), call.tensor(1)];
  if (a.rank === 0 || b.rank === 0)
    call.fail(`operands ${formatShape(a.shape)} and ${formatShape(b.shape)} need an axis each`);
  const rows = a.rank === 1 ? expandDims(a, 0) : a;
  const columns = b.rank === 1 ? expandDims(b, 1) : b;
  const y = product(call, rows, columns);
  const shape = y.shape.filter(
    (_, axis) => !(a.rank === 1 && axis === y.rank - 2) && !(b.rank === 1 && axis === y.rank - 1),
  );
  return reshape(y, shape);
}

export function gemm(call: NodeCall): Tensor {
  const [a, b, c] = [call.tensor(0), call.tensor(1), call.optional(2)];
  if (a.rank !== 2 || b.rank !== 2)
    call.fail(`operands ${formatShape(a.shape)} and ${formatShape(b.shape)} need two axes each`);
  const y = product(call, a, b, {
    transposeA: call.flag("transA", false),
    transposeB: call.flag("transB", false),
    scale: call.floatAttribute("alpha", 1),
  });
  const beta = call.floatAttribute("beta", 1);
  return c && beta !== 0 ? add(y, mul(c, beta)) : y;
}

export const linearOps: OpEntries = {
  Einsum: {
    attributes: ["equation"],
    lazy: (call) => {
      const equation = call.text("equation", "").replaceAll(" ", "");
      return einsum(equation, ...call.inputs.map((_, i) => call.float(i)));
    },
  },
  Gemm: { attributes: ["alpha", "beta", "transA", "transB"], lazy: gemm },
  MatMul: { attributes: [], lazy: matmulOf },
};
