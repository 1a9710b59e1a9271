import { EngineError, formatShape } from "./errors.ts";
import { bytesPerElement, sizeOf } from "./ndarray.ts";
import { describeNode, type GraphNode } from "./tensor.ts";

const MEMORY = /failed to allocate memory|bad_alloc|out of memory|array buffer allocation failed/i;

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: 1 })} MiB`;
}

function bytesOfNode(node: GraphNode): number {
  return node.outputs.reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * bytesPerElement[dtype], 0);
}

function memoryHint(message: string, nodes: readonly GraphNode[]): string {
  const requested = /buffer of size (\d+)/.exec(message)?.[1];
  const largest = nodes
    .filter(({ source }) => source.kind === "op")
    .sort((a, b) => bytesOfNode(b) - bytesOfNode(a))
    .slice(0, 3)
    .map((node) => `${mebibytes(bytesOfNode(node))} of ${describeNode(node)}`);
  return [
    requested === undefined ? "Memory ran out." : `${mebibytes(Number(requested))} were asked for at once.`,
    largest.length > 0 ? `Largest values: ${largest.join("; ")}.` : "",
    "Smaller batches, minimise({ accumulate }), createCachedTrainer or recompute need less.",
  ]
    .filter((part) => part !== "")
    .join(" ");
}

/** The part of an ONNX Runtime message that says why. */
export function reasonOf(message: string): string {
  const status = /Status Message: ([\s\S]*)$/.exec(message)?.[1] ?? message;
  return status
    .replace(/^.*?\/onnxruntime\/\S+:\d+\s+/, "")
    .trim()
    .split("\n")[0] as string;
}

/**
 * The error of a runtime in terms of the caller's code: ONNX nodes have names that end in `@i` for `nodes[i]`, and
 * runtimes name the node that fails.
 */
export function engineError(
  graph: string,
  phase: "compiled" | "run",
  error: unknown,
  nodes: readonly GraphNode[],
): EngineError {
  const message = error instanceof Error ? error.message : String(error);
  const position = /\w_\d+@(\d+)/.exec(message)?.[1];
  const node = position === undefined ? undefined : nodes[Number(position)];
  const hint = MEMORY.test(message) ? memoryHint(message, nodes) : undefined;
  const source = node?.source.kind === "op" ? node.source : undefined;
  const operands = source && (source.lean ?? source).inputs;
  const shapes = operands?.map(({ shape }) => shape) ?? [];
  const where = node
    ? `${describeNode(node)}${shapes.length > 0 ? `, operands ${shapes.map(formatShape).join(", ")}` : ""}`
    : "the runtime";
  return new EngineError(
    `${graph} could not be ${phase}: ${where}: ${reasonOf(message)}${hint ? `\n${hint}` : ""}`,
    { operation: source?.op.name, shapes, origin: node?.origin?.place, hint, cause: error },
  );
}
