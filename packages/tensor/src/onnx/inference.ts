import { EngineError } from "../core/errors.ts";
import { reasonOf } from "../core/failure.ts";
import type { NDArray } from "../core/ndarray.ts";
import { defaultRuntime } from "../runtime/default.ts";
import type { LoadOptions, ModelSession, ModelValue, Runtime } from "../runtime/runtime.ts";
import { OnnxImportError } from "./import/errors.ts";
import { checkLocation, openModel } from "./import/files.ts";
import { defaultOnnxLimits, type OnnxLimits } from "./import/limits.ts";
import { parseModel } from "./import/model.ts";
import type { AttributeProto, GraphProto, ModelProto, NodeProto } from "./onnx_pb.ts";

export interface OpenOnnxOptions {
  readonly limits?: Partial<Pick<OnnxLimits, "fileBytes" | "messages" | "numbers" | "depth">>;
  /** Threads of one run; by default the number of cores. */
  readonly threads?: number;
  /** Default: the runtime of graphs that name none. */
  readonly runtime?: Runtime;
}

/** A model that is run as it stands. Release it when done. */
export interface OnnxSession extends AsyncDisposable {
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  /** Files of external data, relative to the model's folder. */
  readonly externalFiles: readonly string[];
  /**
   * Some of the outputs (default: all), at the shapes that the feeds lead to. Feeds are converted to the types that
   * the model states (floats to floats, integers to integers); 16-bit floats come out as float32, small integers as
   * int32.
   *
   * @throws EngineError when the model does not take these feeds or fails
   */
  run(
    feeds: Readonly<Record<string, NDArray>>,
    outputs?: readonly string[],
  ): Promise<Readonly<Record<string, NDArray>>>;
  release(): Promise<void>;
}

/** All files that the tensors of a model name as their place. */
function externalFiles(model: ModelProto, limits: Pick<OnnxLimits, "depth">): string[] {
  const found = new Set<string>();
  const tensor = (proto: GraphProto["initializer"][number] | undefined): void => {
    if (proto?.dataLocation !== 1) return;
    const location = proto.externalData.find(({ key }) => key === "location")?.value ?? "";
    checkLocation(location);
    found.add(location);
  };
  const attribute = (proto: AttributeProto, depth: number): void => {
    tensor(proto.t);
    proto.tensors.forEach(tensor);
    for (const inner of [proto.g, ...proto.graphs]) if (inner) graph(inner, depth + 1);
  };
  const nodes = (list: readonly NodeProto[], depth: number): void => {
    for (const node of list) for (const each of node.attribute) attribute(each, depth);
  };
  const graph = (proto: GraphProto, depth: number): void => {
    if (depth > limits.depth)
      throw new OnnxImportError(
        `openOnnx: subgraphs are nested more than ${limits.depth} deep (limits.depth)`,
      );
    proto.initializer.forEach(tensor);
    for (const { values, indices } of proto.sparseInitializer)
      for (const part of [values, indices]) tensor(part);
    nodes(proto.node, depth);
  };
  if (model.graph) graph(model.graph, 0);
  for (const each of model.functions) nodes(each.node, 0);
  return [...found].sort();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Opens an ONNX model to be run as it stands: no gradients, no retraining, any operator that the runtime knows, any
 * sizes that the model takes. `importOnnx` makes a model a layer instead.
 *
 *   await using model = await openOnnx("encoder.onnx");
 *   const { last_hidden_state } = await model.run({ input_ids, attention_mask });
 *
 * The file counts as input from strangers: sizes are limited, and external data lies below its folder or is refused.
 *
 * @param source  the model's bytes, or the path of its file (in Node), beside which external data is looked for
 * @throws OnnxImportError for what is no ONNX model, is beyond the limits, or what the runtime cannot load
 */
export async function openOnnx(
  source: Uint8Array | string,
  options: OpenOnnxOptions = {},
): Promise<OnnxSession> {
  const limits = { ...defaultOnnxLimits, ...options.limits };
  const opened = typeof source === "string" ? await openModel(source, limits) : undefined;
  const bytes = opened?.bytes ?? (source as Uint8Array);
  const external = externalFiles(parseModel(bytes, limits), limits);
  if (external.length > 0 && !opened)
    throw new OnnxImportError(
      `openOnnx: the model keeps data in '${external[0]}'; open it by its path, with that file beside it`,
    );
  // Reading nothing of each file tells links that lead out of the folder and files that are not there.
  for (const location of external) await opened?.external({ location, offset: 0, length: 0 });
  const runtime = options.runtime ?? (await defaultRuntime());
  const settings: LoadOptions = options.threads === undefined ? {} : { threads: options.threads };
  let session: ModelSession;
  try {
    session = await runtime.open(external.length > 0 ? (source as string) : bytes, settings);
  } catch (error) {
    throw new OnnxImportError(`openOnnx: the runtime cannot load the model: ${reasonOf(messageOf(error))}`, {
      cause: error,
    });
  }
  const { inputs, outputs } = session;
  const names = outputs.map(({ name }) => name);
  const release = () => session.release();
  return {
    inputs,
    outputs,
    externalFiles: external,
    async run(feeds, wanted = names) {
      const unknown = wanted.find((name) => !names.includes(name));
      if (unknown !== undefined)
        throw new EngineError(`openOnnx: the model has no output '${unknown}'; it has ${names.join(", ")}`);
      try {
        return await session.run(feeds, wanted);
      } catch (error) {
        throw new EngineError(`openOnnx: the model could not be run: ${reasonOf(messageOf(error))}`, {
          cause: error,
        });
      }
    },
    release,
    [Symbol.asyncDispose]: release,
  };
}
