import type { DType } from "./ndarray.ts";

/** Tensors whose shapes do not fit an operation. The message names the operation, the tensors and their axes. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** Tensors whose element types do not fit an operation. */
export class DTypeError extends Error {
  override readonly name = "DTypeError";
}

/** The runtime failed while it loaded or ran a graph. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  /** The operation that failed, if the runtime said which. */
  readonly operation: string | undefined;
  /** Shapes of its operands. */
  readonly shapes: readonly (readonly number[])[];
  /** Place in the caller's code where the operation was applied, "file:line:column". */
  readonly origin: string | undefined;
  /** What may help. */
  readonly hint: string | undefined;

  constructor(
    message: string,
    details: {
      readonly operation?: string | undefined;
      readonly shapes?: readonly (readonly number[])[];
      readonly origin?: string | undefined;
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.operation = details.operation;
    this.shapes = details.shapes ?? [];
    this.origin = details.origin;
    this.hint = details.hint;
  }
}

/** A value of a graph in which a NaN or an infinity turned up first. */
export interface NonFiniteTensor {
  /** Operation that makes it, "input" or "constant". */
  readonly operation: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Entries that are NaN or infinite. */
  readonly entries: number;
  /** Its path if it is an input or a result of the step, e.g. "batch/x", "state/params/w". */
  readonly name?: string;
  /** Place in the caller's code where the operation was applied, "file:line:column", if known. */
  readonly origin: string | undefined;
  /** All of this in words. */
  readonly description: string;
}

/** A training step gave a NaN or an infinity. The trainer's state is that of before the step. */
export class NonFiniteError extends Error {
  override readonly name = "NonFiniteError";
  /** Number of the step since the trainer was made or last restored, from 1. */
  readonly step: number;
  /** Metrics and leaves of the new state that are not finite, e.g. "metrics/loss", "state/params/w". */
  readonly results: readonly string[];
  /** The first tensor of the step that is not finite and on which those depend, if the step could be repeated. */
  readonly first: NonFiniteTensor | undefined;

  constructor(
    message: string,
    details: Pick<NonFiniteError, "step" | "results"> & { readonly first?: NonFiniteTensor },
  ) {
    super(message);
    this.step = details.step;
    this.results = details.results;
    this.first = details.first;
  }
}

/** A shape as it stands in errors: [2, 3]. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
