/** An ONNX file that cannot become a layer: broken, hostile, or beyond what is supported. */
export class OnnxImportError extends Error {
  override readonly name = "OnnxImportError";
}

/** Runs `work`; whatever it throws becomes an OnnxImportError that says where. */
export function located<R>(where: () => string, work: () => R): R {
  try {
    return work();
  } catch (error) {
    if (error instanceof OnnxImportError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OnnxImportError(`${where()}: ${reason}`, { cause: error });
  }
}
