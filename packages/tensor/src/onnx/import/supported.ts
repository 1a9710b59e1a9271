import { OnnxImportError } from "./errors.ts";
import type { ImportGraph, ImportNode } from "./model.ts";
import { findOp } from "./registry.ts";
import { needed } from "./trace.ts";

/** What keeps a node from being imported; undefined if nothing does. */
function objection({ op, domain, version, attributes, inputs }: ImportNode): string | undefined {
  const entry = findOp(domain, op);
  if (!entry) return "operator is not supported";
  const { since, until } = entry;
  if (domain === "" && ((since && version < since) || (until && version > until)))
    return `operator is supported from opset ${since ?? 1}${until ? ` to ${until}` : ""}`;
  if (inputs.length > (entry.inputs ?? inputs.length))
    return `has ${inputs.length} inputs, at most ${entry.inputs} expected`;
  const unknown = [...attributes.keys()].filter((name) => !entry.attributes.includes(name));
  return unknown.length > 0
    ? `attribute${unknown.length > 1 ? "s" : ""} ${unknown.map((name) => `'${name}'`).join(", ")} not supported`
    : undefined;
}

function objections(nodes: readonly ImportNode[]): string[] {
  return nodes.flatMap((node) => {
    const reason = objection(node);
    const inner = [...node.subgraphs.values()].flatMap((graph) => objections(needed(graph, graph.outputs)));
    const { name, op, domain, version } = node;
    const own = `'${name}': ${domain === "" ? "" : `${domain}.`}${op}, opset ${version}: ${reason}`;
    return reason ? [own, ...inner] : inner;
  });
}

const SHOWN = 50;

/** Throws one error that lists every node which cannot be imported. */
export function checkSupported(graph: ImportGraph, wanted: readonly string[]): void {
  const found = objections(needed(graph, wanted));
  if (found.length === 0) return;
  const more = found.length > SHOWN ? [`and ${found.length - SHOWN} more`] : [];
  throw new OnnxImportError(
    [
      `importOnnx: ${found.length} node${found.length > 1 ? "s" : ""} cannot be imported (supportedOnnxOps() and docs/onnx-import.md list what can):`,
      ...[...found.slice(0, SHOWN), ...more].map((line) => `  ${line}`),
    ].join("\n"),
  );
}
