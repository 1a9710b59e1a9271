import { reachable } from "../onnx/lower.ts";
import { add } from "../ops/arithmetic.ts";
import { zerosLike } from "../ops/create.ts";
import { sameShape } from "./axes.ts";
import { DTypeError, formatShape, ShapeError } from "./errors.ts";
import { isFloat, ndarray } from "./ndarray.ts";
import { withOrigin } from "./origin.ts";
import type { GraphNode } from "./tensor.ts";
import { constant, Tensor } from "./tensor.ts";
import { treeEntries, treeMap } from "./tree.ts";

/**
 * Gradients of a scalar with respect to tensors of its graph, by reverse accumulation. The results are tensors of
 * the same lazy graph, so they can be differentiated again.
 *
 * @throws ShapeError when `output` is not a scalar
 */
export function gradients(output: Tensor, withRespectTo: readonly Tensor[]): Tensor[] {
  if (output.rank !== 0)
    throw new ShapeError(
      `gradients: the differentiated value must be a scalar, got shape ${formatShape(output.shape)}`,
    );
  return pullback([[output, constant(ndarray([1], { shape: [], dtype: output.dtype }))]], withRespectTo);
}

/**
 * Vector-Jacobian products: for outputs y_k with given cotangents v_k of their shapes the gradients of Σ_k ⟨v_k, y_k⟩,
 * the v_k taken as constants.
 *
 * @throws ShapeError when a cotangent has another shape than its output, DTypeError when an output is no float
 */
export function pullback(
  outputs: readonly (readonly [output: Tensor, cotangent: Tensor])[],
  withRespectTo: readonly Tensor[],
): Tensor[] {
  for (const [output, cotangent] of outputs) {
    if (!isFloat(output.dtype))
      throw new DTypeError(`gradients: the differentiated value must be a float, got ${output.dtype}`);
    if (!sameShape(output.shape, cotangent.shape))
      throw new ShapeError(
        `pullback: the cotangent of an output ${formatShape(output.shape)} has shape ${formatShape(cotangent.shape)}`,
      );
  }
  const targets = new Set(withRespectTo.map((tensor) => tensor.node));
  const order = reachable(outputs.map(([output]) => output));
  const relevant = new Set<GraphNode>();
  for (const node of order) {
    const { source } = node;
    if (
      targets.has(node) ||
      (source.kind === "op" && source.inputs.some((input) => relevant.has(input.node)))
    )
      relevant.add(node);
  }
  const accumulated = new Map<GraphNode, (Tensor | null)[]>();
  const accumulate = (tensor: Tensor, gradient: Tensor): void => {
    let slots = accumulated.get(tensor.node);
    if (!slots) {
      slots = tensor.node.outputs.map(() => null);
      accumulated.set(tensor.node, slots);
    }
    const known = slots[tensor.index];
    slots[tensor.index] = known ? add(known, gradient) : gradient;
  };
  for (const [output, cotangent] of outputs) accumulate(output, cotangent);
  for (const node of order.reverse()) {
    const cotangents = accumulated.get(node);
    const { source } = node;
    if (
      !cotangents ||
      !relevant.has(node) ||
      source.kind !== "op" ||
      !source.inputs.some((input) => relevant.has(input.node))
    )
      continue;
    const { vjp, name } = source.op;
    if (!vjp)
      throw new Error(
        `gradients: '${name}' has no gradient; use stopGradient() if none should flow through it`,
      );
    const origin = node.origin?.asGradientOf(name);
    const results = withOrigin(origin, () =>
      vjp({
        inputs: source.inputs,
        outputs: node.outputs.map((_, index) => new Tensor(node, index)),
        cotangents,
        needed: source.inputs.map((input) => relevant.has(input.node)),
        attributes: source.attributes,
      }),
    );
    source.inputs.forEach((input, i) => {
      const gradient = results[i];
      if (!gradient || !relevant.has(input.node)) return;
      if (formatShape(gradient.shape) !== formatShape(input.shape)) {
        throw new ShapeError(
          `gradients: '${name}' returned ${formatShape(gradient.shape)} for an input of shape ${formatShape(input.shape)}`,
        );
      }
      withOrigin(origin, () => accumulate(input, gradient));
    });
  }
  return withRespectTo.map((tensor) => accumulated.get(tensor.node)?.[tensor.index] ?? zerosLike(tensor));
}

function gradientsOfTree<P>(value: Tensor, params: P): P {
  const entries = treeEntries(params) as [string, Tensor][];
  const results = gradients(
    value,
    entries.map(([, tensor]) => tensor),
  );
  const byPath = new Map(entries.map(([path], i) => [path, results[i]]));
  return treeMap(params, (_, path) => byPath.get(path)) as P;
}

/** Value and gradients of a scalar function with respect to its first argument, a tree of tensors. */
export function valueAndGrad<P, R extends readonly unknown[]>(
  fn: (params: P, ...rest: R) => Tensor,
): (params: P, ...rest: R) => { readonly value: Tensor; readonly gradients: P } {
  return (params, ...rest) => {
    const value = fn(params, ...rest);
    return { value, gradients: gradientsOfTree(value, params) };
  };
}

/** As `valueAndGrad` for functions that return the scalar together with other results, e.g. the parts of a loss. */
export function valueAndGradWithAux<P, R extends readonly unknown[], A>(
  fn: (params: P, ...rest: R) => { readonly value: Tensor; readonly aux: A },
): (params: P, ...rest: R) => { readonly value: Tensor; readonly aux: A; readonly gradients: P } {
  return (params, ...rest) => {
    const { value, aux } = fn(params, ...rest);
    return { value, aux, gradients: gradientsOfTree(value, params) };
  };
}

/** Gradients of a scalar function with respect to its first argument, a tree of tensors. */
export function grad<P, R extends readonly unknown[]>(
  fn: (params: P, ...rest: R) => Tensor,
): (params: P, ...rest: R) => P {
  const both = valueAndGrad(fn);
  return (params, ...rest) => both(params, ...rest).gradients;
}
