import type { NDArray } from "../../../core/ndarray.ts";
import { ndarray } from "../../../core/ndarray.ts";
import { asTensor, Tensor } from "../../../core/tensor.ts";
import { stack } from "../../../ops/shape.ts";
import type { NodeCall, Value } from "../call.ts";
import type { ImportGraph } from "../model.ts";
import type { OpEntries, Results } from "./entry.ts";

function body(call: NodeCall, name: string): ImportGraph {
  return call.node.subgraphs.get(name) ?? call.fail(`needs the subgraph '${name}'`);
}

function condition(call: NodeCall, value: Value | undefined, what: string): boolean {
  if (value === undefined) return call.fail(`${what} is missing`);
  if (value instanceof Tensor)
    return call.fail(
      `${what} depends on the data; control flow is supported where it follows from shapes and constants`,
    );
  if (value.data.length !== 1) call.fail(`${what} has ${value.data.length} entries, expected one`);
  return Number(value.data[0]) !== 0;
}

function choose(call: NodeCall): Results {
  const chosen = condition(call, call.value(0), "its condition") ? "then_branch" : "else_branch";
  return call.trace.subgraph(body(call, chosen), [], call);
}

function scalarArray(value: number, dtype: "int64" | "bool"): NDArray {
  return ndarray([value], { shape: [], dtype });
}

/** A loop written out: the number of turns must be known while tracing. */
function loop(call: NodeCall): Results {
  const graph = body(call, "body");
  const turns = call.has(0) ? call.number(0, "trip count") : Number.POSITIVE_INFINITY;
  let goOn = call.has(1) ? condition(call, call.value(1), "its condition") : true;
  let carried: (Value | undefined)[] = call.inputs.slice(2);
  const width = carried.length;
  const scanned: Value[][] = Array.from({ length: Math.max(0, graph.outputs.length - 1 - width) }, () => []);
  for (let turn = 0; turn < turns && goOn; turn++) {
    call.trace.visit(1);
    const inputs = [scalarArray(turn, "int64"), scalarArray(1, "bool"), ...carried];
    const [next, ...rest] = call.trace.subgraph(graph, inputs as Value[], call);
    goOn = condition(call, next, "the condition to go on");
    carried = rest.slice(0, width);
    rest.slice(width).forEach((value, i) => {
      if (value) scanned[i]?.push(value);
    });
  }
  return [...carried, ...scanned.map((list) => collected(call, list))];
}

function collected(call: NodeCall, values: readonly Value[]): Value {
  if (values.length === 0) call.fail("a loop without turns has no scanned output");
  return stack(
    values.map((value) => asTensor(value)),
    0,
  );
}

export const controlOps: OpEntries = {
  If: {
    attributes: ["then_branch", "else_branch"],
    note: "conditions that follow from shapes and constants",
    lazy: choose,
  },
  Loop: {
    attributes: ["body"],
    note: "trip counts and conditions that follow from shapes and constants",
    lazy: loop,
  },
};
