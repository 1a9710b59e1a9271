import { formatShape, ShapeError } from "../../core/errors.ts";
import type { Spec } from "../../core/tensor.ts";
import { defineUnitOp, type Tensor, type UnitOp } from "../../core/tensor.ts";
import type { Value } from "../../onnx/nchwc.ts";
import { sum } from "../structure.ts";
import type { ConvGeometry } from "./geometry.ts";
import { outputSizes } from "./geometry.ts";
import { convolve, inputGradient, weightGradient } from "./lowering.ts";

/*
 * Convolution is linear in x and in w; the three products of x, w and dy below are each other's derivatives, so
 * that gradients of every order exist.
 */

interface ConvAttributes extends ConvGeometry {
  /** The public function, for errors. */
  readonly operation: string;
}

/** With the shape of the result, which the inputs leave open. */
interface ShapedAttributes extends ConvAttributes {
  readonly shape: readonly number[];
}

function values(names: readonly string[], specs: readonly Spec[]): Value[] {
  return specs.map(({ shape, dtype }, i) => ({ name: names[i] as string, shape, dtype }));
}

/** dbias[o] = Σ dy over batch and space. */
function biasGradient(dy: Tensor): Tensor {
  return sum(dy, { axes: dy.shape.map((_, axis) => axis).filter((axis) => axis !== 1) });
}

/** [B, C, ...image], [O, C / groups, ...kernel] and perhaps [O] to [B, O, ...positions]. */
export const convOp: UnitOp<ConvAttributes> = defineUnitOp<ConvAttributes>({
  name: "conv",
  infer: ([x, w], attributes) => {
    const [{ shape, dtype }, { shape: kernel }] = [x as Spec, w as Spec];
    const sizes = outputSizes(attributes.operation, shape, kernel.slice(2), attributes);
    return [{ shape: [shape[0] as number, kernel[0] as number, ...sizes], dtype }];
  },
  lower: (graph, names, geometry, { inputs, outputs }) => {
    const [x, w, bias] = values(names, inputs) as [Value, Value, Value?];
    return [convolve(graph, { x, weights: w, bias }, (outputs[0] as Spec).shape, geometry)];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    const [x, w, bias] = inputs as [Tensor, Tensor, Tensor?];
    const dy = cotangents[0] as Tensor;
    return [
      convTransposeOp([dy, w], { ...attributes, shape: x.shape }),
      convWeightGradientOp([x, dy], { ...attributes, shape: w.shape }),
      ...(bias ? [biasGradient(dy)] : []),
    ];
  },
});

/** The transpose in x: [B, O, ...positions], [O, C / groups, ...kernel] and perhaps [C] to `shape` = [B, C, ...image]. */
export const convTransposeOp: UnitOp<ShapedAttributes> = defineUnitOp<ShapedAttributes>({
  name: "convTranspose",
  infer: ([dy, w], attributes) => {
    const { shape, operation } = attributes;
    const { shape: kernel } = w as Spec;
    const sizes = outputSizes(operation, shape, kernel.slice(2), attributes);
    const { shape: given, dtype } = dy as Spec;
    if (sizes.some((n, i) => n !== given[i + 2]))
      throw new ShapeError(
        `${operation}: ${formatShape(shape)} is convolved to ${formatShape(sizes)} positions, not to ${formatShape(given.slice(2))}`,
      );
    return [{ shape, dtype }];
  },
  lower: (graph, names, geometry, { inputs }) => {
    const [dy, w, bias] = values(names, inputs) as [Value, Value, Value?];
    return [inputGradient(graph, { x: dy, weights: w, bias }, geometry.shape, geometry)];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    const [dy, w, bias] = inputs as [Tensor, Tensor, Tensor?];
    const d = cotangents[0] as Tensor;
    return [
      convOp([d, w], attributes),
      convWeightGradientOp([d, dy], { ...attributes, shape: w.shape }),
      ...(bias ? [biasGradient(d)] : []),
    ];
  },
});

/** The transpose in w: [B, C, ...image] and [B, O, ...positions] to `shape` = [O, C / groups, ...kernel]. */
const convWeightGradientOp: UnitOp<ShapedAttributes> = defineUnitOp<ShapedAttributes>({
  name: "convWeightGradient",
  infer: ([x], { shape }) => [{ shape, dtype: (x as Spec).dtype }],
  lower: (graph, names, geometry, { inputs }) => {
    const [x, dy] = values(names, inputs) as [Value, Value];
    return [weightGradient(graph, x, dy, geometry.shape, geometry)];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    const [x, dy] = inputs as [Tensor, Tensor];
    const dw = cotangents[0] as Tensor;
    return [convTransposeOp([dy, dw], { ...attributes, shape: x.shape }), convOp([x, dw], attributes)];
  },
});
