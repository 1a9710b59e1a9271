// Gradients, gradients of gradients, and Newton's method with both: where is x³ - 2x - 5 equal to 0?
import {
  compile,
  div,
  gradients,
  mul,
  type NDArray,
  ndarray,
  pow,
  sub,
  sum,
  type Tensor,
  toNumbers,
} from "@concord/tensor";

const polynomial = (x: Tensor): Tensor => sub(sub(pow(x, 3), mul(x, 2)), 5);

// The function is called once, with placeholders; what it did becomes one graph.
const derivatives = compile((x: Tensor) => {
  const y = polynomial(x);
  const [slope] = gradients(y, [x]) as [Tensor];
  const [curvature] = gradients(slope, [x]) as [Tensor];
  return { y, slope, curvature };
});

const at = await derivatives(ndarray([2], { shape: [], dtype: "float64" }));
console.log(`f(2) = ${at.y.data[0]}, f'(2) = ${at.slope.data[0]}, f''(2) = ${at.curvature.data[0]}`);

// One step of Newton's method: x - f(x) / f'(x), for several starts at once. The sum makes one scalar of them, and
// each entry's gradient is its own slope, since no entry reaches another's value.
const newton = compile((x: Tensor) => {
  const y = polynomial(x);
  const [slope] = gradients(sum(y), [x]) as [Tensor];
  return sub(x, div(y, slope));
});

let x: NDArray = ndarray([2, 3, 10], { dtype: "float64" });
for (let i = 0; i < 10; i++) x = await newton(x);
console.log(
  `roots ${toNumbers(x)
    .map((root) => root.toFixed(6))
    .join(", ")}`,
);
