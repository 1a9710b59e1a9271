/** Tensors whose shapes do not fit an operation. The message names the operation, the tensors and their axes. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** Tensors whose element types do not fit an operation. */
export class DTypeError extends Error {
  override readonly name = "DTypeError";
}

export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
