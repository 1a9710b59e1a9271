import { fromBinary } from "@bufbuild/protobuf";
import type { NDArray, Tensor } from "../../src/index.ts";
import { compile } from "../../src/index.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { trackedRuntime } from "./tracked-runtime.ts";

/** Kinds of the nodes of the ONNX graph that a function of these arrays is compiled to, in order. */
export async function nodesOf(
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly NDArray[],
): Promise<string[]> {
  const names: string[] = [];
  const runtime = trackedRuntime();
  const observed = {
    ...runtime,
    load: (...[model, options]: Parameters<typeof runtime.load>) => {
      names.push(...(fromBinary(ModelProtoSchema, model).graph?.node ?? []).map(({ opType }) => opType));
      return runtime.load(model, options);
    },
  };
  await compile(fn, { runtime: observed })(...inputs);
  await runtime.release();
  return names;
}
