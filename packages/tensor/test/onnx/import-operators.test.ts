import { describe, expect, it } from "vitest";
import type { DType } from "../../src/index.ts";
import { supportedOnnxOps } from "../../src/index.ts";
import type { Case } from "./array-cases.ts";
import { arrayCases } from "./array-cases.ts";
import { networkCases } from "./network-cases.ts";
import { bytesOf, expectSameAsOrt, graphOf, modelOf } from "./support.ts";

const cases = [...arrayCases, ...networkCases];

function modelOfCase({
  op,
  domain = "",
  feeds = [],
  stored = [],
  attributes,
  opset = 17,
  outputs = ["float32"],
}: Case) {
  const fed = feeds.map((array, i) => [`x${i}`, array] as const);
  const initializers = stored.flatMap((array, i) => (array ? [[`w${i}`, array] as const] : []));
  const names = outputs.map((_, i) => `y${i}`);
  const graph = graphOf(
    {
      nodes: [
        {
          op,
          domain,
          inputs: [...fed.map(([name]) => name), ...stored.map((array, i) => (array ? `w${i}` : ""))],
          outputs: names,
          ...(attributes && { attributes }),
        },
      ],
      inputs: Object.fromEntries(fed.map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
      outputs: names,
      initializers: Object.fromEntries(initializers),
    },
    Object.fromEntries(names.map((name, i) => [name, outputs[i] as DType])),
  );
  return {
    model: bytesOf(modelOf(graph, opset, domain === "" ? {} : { [domain]: 1 })),
    feeds: Object.fromEntries(fed),
  };
}

describe("every operator gives ONNX Runtime's results", () => {
  it.each(
    cases.map(
      (one, i) =>
        [
          `${i} ${one.op} ${one.opset ?? 17} ${JSON.stringify(one.attributes ?? {})} ${one.note ?? ""}`,
          one,
        ] as const,
    ),
  )("%s", async (_, one) => {
    const { model, feeds } = modelOfCase(one);
    await expectSameAsOrt(model, feeds, one.tolerance);
  });

  it("has a case for each, or is tested elsewhere", () => {
    const elsewhere = ["Constant", "If", "Loop"];
    const tested = new Set([...cases.map(({ op }) => op), ...elsewhere]);
    expect(supportedOnnxOps().flatMap(({ op }) => (tested.has(op) ? [] : [op]))).toEqual([]);
  });
});
