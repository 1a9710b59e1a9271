import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  broadcastTo,
  cast,
  concat,
  constant,
  DTypeError,
  defineOp,
  defineUnitOp,
  div,
  exp,
  floor,
  full,
  grad,
  gradients,
  greater,
  matmul,
  mul,
  ndarray,
  neg,
  ones,
  pow,
  reshape,
  ShapeError,
  sin,
  split,
  square,
  stopGradient,
  sub,
  sum,
  tensor,
  transpose,
  valueAndGrad,
  valueAndGradWithAux,
  zeros,
} from "../src/index.ts";
import { defineBinary } from "../src/ops/elementwise.ts";
import { allValuesOf, expectClose, randomArrays, valuesOf } from "./support/arrays.ts";
import { gradientCheck } from "./support/gradient-check.ts";

async function gradientsOf(output: Tensor, targets: readonly Tensor[]): Promise<number[][]> {
  return allValuesOf(gradients(output, targets));
}

describe("gradients follow every path", () => {
  const x = tensor([1, 2, 3]);

  test("of a value used several times (fan-out) and of a diamond", async () => {
    const shared = mul(x, x);
    const diamond = add(mul(shared, 2), mul(shared, shared));
    expect(await gradientsOf(sum(diamond), [x, shared])).toEqual([
      [8, 40, 120],
      [4, 10, 20],
    ]);
  });

  test("of a tensor that is both operands", async () => {
    const m = tensor([
      [1, 2],
      [3, 4],
    ]);
    const [squared, product, quotient, difference] = await Promise.all([
      gradientsOf(sum(mul(x, x)), [x]),
      gradientsOf(sum(matmul(m, m)), [m]),
      gradientsOf(sum(div(x, x)), [x]),
      gradientsOf(sum(sub(x, x)), [x]),
    ]);
    expect(squared).toEqual([[2, 4, 6]]);
    expect(product).toEqual([[7, 11, 9, 13]]);
    expectClose("x / x", quotient[0]!, [0, 0, 0], 1e-6);
    expect(difference).toEqual([[0, 0, 0]]);
  });

  test("through broadcasting in both operands, summed over the repeated axes", () =>
    gradientCheck((a, b, c) => mul(add(mul(a!, b!), c!), b!), randomArrays(1, [[3, 1, 2], [4, 1], []]), {
      name: "broadcast product",
    }));

  test("not through stopGradient, but around it", async () => {
    const y = sum(mul(stopGradient(square(x)), x));
    expect(await gradientsOf(y, [x])).toEqual([[1, 4, 9]]);
    expect(await gradientsOf(sum(stopGradient(x)), [x])).toEqual([[0, 0, 0]]);
  });

  test("zeros of the right shape and dtype for what the value does not depend on", async () => {
    const unused = tensor([[1, 2]], { dtype: "float64" });
    const labels = tensor([1, 2], { dtype: "int32" });
    const [dx, du, dl] = gradients(sum(x), [x, unused, labels]) as [Tensor, Tensor, Tensor];
    expect([du.shape, du.dtype, dl.shape, dl.dtype]).toEqual([[1, 2], "float64", [2], "int32"]);
    expect(await allValuesOf([dx, du, dl])).toEqual([
      [1, 1, 1],
      [0, 0],
      [0, 0],
    ]);
  });

  test("one with respect to the value itself", async () => {
    const y = sum(x);
    expect(await gradientsOf(y, [y])).toEqual([[1]]);
  });

  test("through outputs of which only some are used", async () => {
    const [left, , right] = split(tensor([1, 2, 3, 4, 5, 6]), 3) as [Tensor, Tensor, Tensor];
    const whole = tensor([1, 2, 3, 4, 5, 6]);
    const [, middle] = split(whole, 3) as [Tensor, Tensor, Tensor];
    expect(await gradientsOf(sum(mul(left, right)), [left, right])).toEqual([
      [5, 6],
      [1, 2],
    ]);
    expect(await gradientsOf(sum(square(middle)), [whole])).toEqual([[0, 0, 6, 8, 0, 0]]);
  });

  test("from one float dtype to the other, not through integers", async () => {
    const wide = mul(cast(x, "float64"), tensor([0.5, 0.25, 2], { dtype: "float64" }));
    const [narrow] = gradients(cast(sum(wide), "float32"), [x]) as [Tensor];
    expect(narrow.dtype).toBe("float32");
    expect(await valuesOf(narrow)).toEqual([0.5, 0.25, 2]);
    const mask = cast(greater(x, 1.5), "float32");
    expect(await gradientsOf(sum(mul(mask, x)), [x])).toEqual([[0, 1, 1]]);
    expect(await gradientsOf(sum(cast(cast(x, "int32"), "float32")), [x])).toEqual([[0, 0, 0]]);
  });

  test("into empty parts of a concatenation", async () => {
    const [a, empty] = [tensor([[1, 2]]), zeros([0, 2])];
    const [da, de] = gradients(sum(square(concat([a, empty]))), [a, empty]) as [Tensor, Tensor];
    expect(de.shape).toEqual([0, 2]);
    expect(await valuesOf(da)).toEqual([2, 4]);
  });

  test("through ten thousand operations in a row", async () => {
    let y: Tensor = x;
    for (let i = 0; i < 10_000; i++) y = add(y, i % 2 === 0 ? x : neg(x));
    expect(await gradientsOf(sum(y), [x])).toEqual([[1, 1, 1]]);
  });
});

describe("gradients with respect to tensors inside the graph", () => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);

  test("between two reshapes", async () => {
    const flat = reshape(exp(x), [4]);
    const back = reshape(flat, [2, 2]);
    expectClose(
      "flat",
      (await gradientsOf(sum(square(back)), [flat]))[0]!,
      [1, 2, 3, 4].map((v) => 2 * Math.exp(v)),
      1e-6,
    );
    const again = reshape(back, [4]);
    expect(await gradientsOf(sum(again), [back, flat])).toEqual([
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
  });

  test("between two constant factors", async () => {
    const doubled = mul(x, 2);
    const scaled = div(neg(mul(doubled, 3)), 4);
    expect(await gradientsOf(sum(scaled), [doubled, x])).toEqual([
      [-0.75, -0.75, -0.75, -0.75],
      [-1.5, -1.5, -1.5, -1.5],
    ]);
  });

  test("that repeat their values", async () => {
    const repeated = broadcastTo(tensor([1, 2]), [2, 2]);
    for (const p of [repeated, ones([2, 2]), full([2, 2], 3)])
      expect(await gradientsOf(sum(mul(x, p)), [p])).toEqual([[1, 2, 3, 4]]);
    expect(await gradientsOf(sum(mul(add(repeated, ones([2])), x)), [repeated])).toEqual([[1, 2, 3, 4]]);
  });

  test("that are constant scalars, such as a temperature", async () => {
    const [temperature, one] = [tensor(0.5), tensor(1)];
    const value = sum(mul(one, mul(mul(x, temperature), 3)));
    expect(await gradientsOf(value, [temperature, one])).toEqual([[30], [15]]);
    expect(await gradientsOf(sum(mul(temperature, x)), [temperature])).toEqual([[10]]);
  });

  test("that were transposed, joined or parted on the way", async () => {
    const turned = transpose(x);
    const [top, bottom] = split(turned, 2, 0) as [Tensor, Tensor];
    const joined = concat([bottom, top], 1);
    const loss = sum(mul(joined, tensor([[1, 10, 100, 1000]])));
    expect(await gradientsOf(loss, [turned, top, joined])).toEqual([
      [100, 1000, 1, 10],
      [100, 1000],
      [1, 10, 100, 1000],
    ]);
  });

  test("by the chain rule: whole gradient = gradient at the embedding replayed through the encoder", async () => {
    const w = tensor([
      [0.5, -1],
      [2, 1],
    ]);
    const embedding = matmul(x, w);
    const loss = sum(square(mul(embedding, 0.5)));
    const [whole, atEmbedding] = gradients(loss, [w, embedding]) as [Tensor, Tensor];
    const [replayed] = gradients(sum(mul(embedding, stopGradient(atEmbedding))), [w]) as [Tensor];
    const [a, b] = (await allValuesOf([whole, replayed])) as [number[], number[]];
    expect(b).toEqual(a);
  });
});

describe("derivatives of derivatives", () => {
  test("of a polynomial, to the fourth", async () => {
    const f = (x: Tensor): Tensor => pow(x, 4);
    const derivatives = [grad(f), grad(grad(f)), grad(grad(grad(f))), grad(grad(grad(grad(f))))];
    const at3 = await allValuesOf(derivatives.map((d) => d(tensor(3))));
    expectClose("derivatives of x⁴ at 3", at3.flat(), [108, 108, 72, 24], 1e-6);
  });

  test("a Hessian-vector product of a function with a known Hessian", async () => {
    const a = tensor(
      [
        [2, 1],
        [1, 3],
      ],
      { dtype: "float64" },
    );
    const x = tensor([[0.3], [-0.7]], { dtype: "float64" });
    const v = tensor([[1], [2]], { dtype: "float64" });
    const [dx] = gradients(mul(sum(mul(x, matmul(a, x))), 0.5), [x]) as [Tensor];
    const [product] = gradients(sum(mul(dx, v)), [x]) as [Tensor];
    expectClose("Hessian times v", await valuesOf(product), [4, 7], 1e-12);
  });

  test("a gradient penalty trains through the gradient", () =>
    gradientCheck(
      (w, x) => {
        const [dx] = gradients(sum(sin(matmul(x!, w!))), [x!]) as [Tensor];
        return square(sub(sum(square(dx)), 1));
      },
      randomArrays(5, [
        [3, 2],
        [2, 3],
      ]),
      { name: "gradient penalty" },
    ));
});

describe("gradients over trees", () => {
  const params = {
    layers: [
      {
        weight: tensor([
          [1, 2],
          [3, 4],
        ]),
        bias: tensor([1, -1]),
      },
    ],
    scale: tensor(2),
  };
  const loss = (p: typeof params, x: Tensor): Tensor =>
    mul(sum(add(matmul(x, p.layers[0]!.weight), p.layers[0]!.bias)), p.scale);
  const x = tensor([
    [1, 2],
    [0, 1],
  ]);
  const expected = { weight: [2, 2, 6, 6], bias: [4, 4], scale: [24] };

  test("grad", async () => {
    const g = grad(loss)(params, x);
    const [weight, bias, scale] = await allValuesOf([g.layers[0]!.weight, g.layers[0]!.bias, g.scale]);
    expect({ weight, bias, scale }).toEqual(expected);
  });

  test("valueAndGrad", async () => {
    const { value, gradients: g } = valueAndGrad(loss)(params, x);
    const [at, bias] = await allValuesOf([value, g.layers[0]!.bias]);
    expect({ at, bias }).toEqual({ at: [48], bias: expected.bias });
  });

  test("valueAndGradWithAux hands other results through", async () => {
    const {
      value,
      aux,
      gradients: g,
    } = valueAndGradWithAux((p: typeof params, batch: Tensor) => ({
      value: loss(p, batch),
      aux: { unscaled: div(loss(p, batch), p.scale) },
    }))(params, x);
    const [at, unscaled, scale] = await allValuesOf([value, aux.unscaled, g.scale]);
    expect({ at, unscaled, scale }).toEqual({ at: [48], unscaled: [24], scale: expected.scale });
  });
});

describe("operations of one's own", () => {
  test("defineUnitOp: a gradient that is not the derivative (gradient reversal)", async () => {
    const reverse = defineUnitOp<{ readonly strength: number }>({
      name: "gradientReversal",
      infer: ([x]) => [x!],
      lower: (_graph, inputs) => inputs,
      vjp: ({ cotangents: [dy], attributes: { strength } }) => [mul(dy!, -strength)],
    });
    const x = tensor([1, 2]);
    const y = reverse([square(x)], { strength: 0.5 });
    expect(await allValuesOf([y, ...gradients(sum(y), [x])])).toEqual([
      [1, 4],
      [-1, -2],
    ]);
  });

  test("defineBinary: an operation with broadcasting and its gradient", async () => {
    const modulo = defineBinary("modulo", "Mod", (_a, b, dy) => [dy, mul(dy, b)]);
    const [a, b] = [tensor([[5], [7]], { dtype: "int32" }), tensor([3, 4], { dtype: "int32" })];
    expect(await valuesOf(modulo(a, b))).toEqual([2, 1, 1, 3]);
    const power = defineBinary("power", "Pow", (x, y, dy, z) => [mul(dy, div(mul(z, y), x)), null]);
    const x = tensor([[2], [3]]);
    const y = power(x, tensor([1, 2]));
    expect(await allValuesOf([y, ...gradients(sum(y), [x])])).toEqual([
      [2, 4, 3, 9],
      [5, 7],
    ]);
  });

  test("defineOp: several outputs, null for those that nothing depends on", async () => {
    const seen: boolean[][] = [];
    const both = defineOp<undefined>({
      name: "sineAndCosine",
      infer: ([x]) => [x!, x!],
      lower: (graph, [x]) => [graph.node("Sin", [x!]), graph.node("Cos", [x!])],
      vjp: ({ outputs: [sine, cosine], cotangents }) => {
        seen.push(cotangents.map((dy) => dy !== null));
        const [ds, dc] = cotangents;
        const parts = [ds && mul(ds, cosine!), dc && neg(mul(dc, sine!))].filter(
          (part) => part !== null && part !== undefined,
        );
        return [parts.slice(1).reduce(add, parts[0]!)];
      },
    });
    const x = constant(ndarray([0.3, 1], { dtype: "float64" }));
    const [sine, cosine] = both([x], undefined) as [Tensor, Tensor];
    const results = await gradientsOf(sum(sine), [x]);
    expectClose("of the sine", results[0]!, [0.3, 1].map(Math.cos), 1e-12);
    await gradientsOf(sum(cosine), [x]);
    const together = await gradientsOf(sum(mul(sine, cosine)), [x]);
    expectClose(
      "of both",
      together[0]!,
      [0.3, 1].map((v) => Math.cos(2 * v)),
      1e-12,
    );
    expect(seen).toEqual([
      [true, false],
      [false, true],
      [true, true],
    ]);
  });

  test("a gradient of another shape than its input is an error", () => {
    const wrong = defineUnitOp<undefined>({
      name: "wrong",
      infer: ([x]) => [x!],
      lower: (_graph, inputs) => inputs,
      vjp: () => [zeros([3])],
    });
    const x = tensor([1, 2]);
    expect(() => gradients(sum(wrong([x], undefined)), [x])).toThrow(
      "gradients: 'wrong' returned [3] for an input of shape [2]",
    );
  });
});

describe("what cannot be differentiated", () => {
  const x = tensor([1, 2]);

  test("a value that is no scalar, or no float", () => {
    expect(() => gradients(x, [x])).toThrow(ShapeError);
    expect(() => gradients(x, [x])).toThrow(
      "gradients: the differentiated value must be a scalar, got shape [2]",
    );
    const count = sum(tensor([1, 2], { dtype: "int32" }));
    expect(() => gradients(count, [x])).toThrow(DTypeError);
  });

  test("an operation that says that it has no gradient", () => {
    const opaque = defineUnitOp<undefined>({
      name: "opaque",
      infer: ([y]) => [y!],
      lower: (graph, inputs) => [graph.node("Round", inputs)],
    });
    expect(() => gradients(sum(opaque([x], undefined)), [x])).toThrow(
      "gradients: 'opaque' has no gradient; use stopGradient() if none should flow through it",
    );
    expect(() => gradients(sum(stopGradient(opaque([x], undefined))), [x])).not.toThrow();
  });

  test("floor has gradient zero", async () => {
    expect(await gradientsOf(sum(floor(x)), [x])).toEqual([[0, 0]]);
  });
});
