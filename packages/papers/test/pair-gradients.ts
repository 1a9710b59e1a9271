import { compile, type NDArray, type Tensor, valueAndGradWithAux } from "@concord/tensor";

interface Pair {
  readonly image: Tensor;
  readonly text: Tensor;
}

/** Value and gradients of a loss of a pair of features, computed in one graph. */
export async function lossAndGradients(
  features: Pair,
  loss: (features: Pair) => Tensor,
): Promise<{ value: NDArray; image: NDArray; text: NDArray }> {
  const { value, gradients } = valueAndGradWithAux((f: Pair) => ({ value: loss(f), aux: {} }))(features);
  return compile(() => ({ value, ...gradients }))();
}
