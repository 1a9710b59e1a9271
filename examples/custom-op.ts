// Two ways to a function that the engine does not have: an operation on a kernel of ONNX Runtime, and a gradient rule of
// one's own around operations that exist.
import {
  asTensor,
  compile,
  customGradient,
  defineUnitOp,
  gradients,
  mul,
  ndarray,
  sign,
  sub,
  sum,
  type Tensor,
  type TensorLike,
  tanh,
  toNumbers,
} from "@concord/tensor";

// The kernel ThresholdedRelu: x where x > 1, else 0. Its gradient is a mask, made of other operations.
const thresholdedOp = defineUnitOp<{ readonly threshold: number }, [x: Tensor]>({
  name: "thresholded",
  infer: ([x]) => [x],
  lower: (graph, [x], { threshold }) => [graph.node("ThresholdedRelu", [x], { alpha: { float: threshold } })],
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { threshold } }) => {
    const beyond = sign(thresholdedOp([x], { threshold }));
    return [mul(dy, beyond)];
  },
});

const thresholded = (x: TensorLike, threshold = 1): Tensor => thresholdedOp([asTensor(x)], { threshold });

// A sign that learns: the value is the sign, the gradient that of tanh.
const softSign = customGradient(
  (x: Tensor) => sign(x),
  ({ inputs: [x], cotangents: [dy] }) => {
    const y = tanh(x as Tensor);
    return [mul(dy as Tensor, sub(1, mul(y, y)))];
  },
);

for (const [name, fn] of Object.entries({ thresholded, softSign })) {
  const both = compile((x: Tensor) => {
    const y = fn(x);
    return { y, slope: gradients(sum(y), [x])[0] as Tensor };
  });
  const { y, slope } = await both(ndarray([-2, 0.5, 1.5]));
  const show = (numbers: readonly number[]): string => numbers.map((n) => n.toFixed(3)).join(", ");
  console.log(`${name}: values ${show(toNumbers(y))}; slopes ${show(toNumbers(slope))}`);
}
