import { fromBinary } from "@bufbuild/protobuf";
import type { NDArray, Tensor } from "../../src/index.ts";
import { compile } from "../../src/index.ts";
import type { GraphTarget } from "../../src/onnx/builder.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { trackedRuntime } from "./tracked-runtime.ts";

/** Kinds of the nodes of the ONNX graph that a function of these arrays is compiled to, in order; by default for the runtime of the tests. */
export async function nodesOf(
  fn: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly NDArray[],
  target?: GraphTarget,
): Promise<string[]> {
  const names: string[] = [];
  const runtime = trackedRuntime();
  const observed = {
    ...runtime,
    ...(target && { target }),
    load: (...[model, options]: Parameters<typeof runtime.load>) => {
      names.push(...(fromBinary(ModelProtoSchema, model).graph?.node ?? []).map(({ opType }) => opType));
      return runtime.load(model, options);
    },
  };
  await compile(fn, { runtime: observed })(...inputs);
  await runtime.release();
  return names;
}
