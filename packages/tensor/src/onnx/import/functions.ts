import { create } from "@bufbuild/protobuf";
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from "../onnx_pb.ts";
import { AttributeProtoSchema, GraphProtoSchema, NodeProtoSchema, ValueInfoProtoSchema } from "../onnx_pb.ts";
import { OnnxImportError } from "./errors.ts";
import type { OnnxLimits } from "./limits.ts";

/** Functions within functions; a function that calls itself ends here. */
const MAX_CALLS = 16;

function keyOf(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain === "ai.onnx" ? "" : domain, name, overload]);
}

/** The body of one call: names made its own, attributes of the call put in. */
class Call {
  readonly #names: Map<string, string>;
  readonly #attributes: Map<string, AttributeProto>;
  readonly #prefix: string;

  constructor(call: NodeProto, definition: FunctionProto, count: number) {
    this.#prefix = `${call.name || call.opType}.${count}/`;
    this.#names = new Map([
      ...definition.input.map((name, i): [string, string] => [name, call.input[i] ?? ""]),
      // An output that the caller leaves out still needs a name of its own.
      ...definition.output.flatMap((name, i): [string, string][] => {
        const given = call.output[i] ?? "";
        return given === "" ? [] : [[name, given]];
      }),
    ]);
    this.#attributes = new Map(
      [...definition.attributeProto, ...call.attribute].map((attribute) => [attribute.name, attribute]),
    );
  }

  #name(name: string): string {
    return name === "" ? "" : (this.#names.get(name) ?? this.#prefix + name);
  }

  #attribute(attribute: AttributeProto): AttributeProto[] {
    if (attribute.refAttrName === "") {
      return [
        attribute.g ? create(AttributeProtoSchema, { ...attribute, g: this.#graph(attribute.g) }) : attribute,
      ];
    }
    const given = this.#attributes.get(attribute.refAttrName);
    return given ? [create(AttributeProtoSchema, { ...given, name: attribute.name })] : [];
  }

  #graph(graph: GraphProto): GraphProto {
    const renamed = (value: GraphProto["input"][number]) =>
      create(ValueInfoProtoSchema, { ...value, name: this.#name(value.name) });
    return create(GraphProtoSchema, {
      ...graph,
      node: graph.node.map((node) => this.node(node)),
      input: graph.input.map(renamed),
      output: graph.output.map(renamed),
      initializer: graph.initializer.map((tensor) => ({ ...tensor, name: this.#name(tensor.name) })),
    });
  }

  node(node: NodeProto): NodeProto {
    return create(NodeProtoSchema, {
      ...node,
      name: this.#prefix + (node.name || node.opType),
      input: node.input.map((name) => this.#name(name)),
      output: node.output.map((name) => this.#name(name)),
      attribute: node.attribute.flatMap((attribute) => this.#attribute(attribute)),
    });
  }
}

/**
 * Puts the bodies of a model's own functions in place of their calls. The model is changed.
 *
 * @throws OnnxImportError when functions call each other without end, or need another version of an operator set
 */
export function inlineFunctions(model: ModelProto, limits: OnnxLimits): void {
  if (model.functions.length === 0) return;
  const definitions = new Map(
    model.functions.map((definition) => [keyOf(definition.domain, definition.name, ""), definition]),
  );
  const versions = new Map(model.opsetImport.map(({ domain, version }) => [domain, version]));
  for (const { name, opsetImport } of model.functions)
    for (const entry of opsetImport) {
      const known = versions.get(entry.domain);
      if (known !== undefined && known !== entry.version)
        throw new OnnxImportError(
          `importOnnx: function '${name}' is of opset ${entry.version} of '${entry.domain}', the model of ${known}`,
        );
      if (known === undefined) {
        versions.set(entry.domain, entry.version);
        model.opsetImport.push(entry);
      }
    }
  let count = 0;
  const expand = (nodes: readonly NodeProto[], depth: number): NodeProto[] =>
    nodes.flatMap((node) => {
      if (++count > limits.nodes)
        throw new OnnxImportError(
          `importOnnx: functions make more than ${limits.nodes} nodes (limits.nodes)`,
        );
      for (const { g } of node.attribute) if (g) g.node = expand(g.node, depth);
      const definition = definitions.get(keyOf(node.domain, node.opType, ""));
      if (!definition) return [node];
      if (depth >= MAX_CALLS)
        throw new OnnxImportError(
          `importOnnx: function '${node.opType}' is called within ${MAX_CALLS} others, perhaps by itself`,
        );
      const call = new Call(node, definition, count);
      return expand(
        definition.node.map((inner) => call.node(inner)),
        depth + 1,
      );
    });
  const graph = model.graph as GraphProto;
  graph.node = expand(graph.node, 0);
}
