import { MAX_OPSET, MIN_OPSET } from "./model.ts";
import { contribOps } from "./ops/contrib.ts";
import { controlOps } from "./ops/control.ts";
import { elementwiseOps } from "./ops/elementwise.ts";
import type { OpEntries, OpEntry } from "./ops/entry.ts";
import { indexingOps } from "./ops/indexing.ts";
import { linearOps } from "./ops/linear.ts";
import { normalisationOps } from "./ops/normalisations.ts";
import { quantisedOps } from "./ops/quantised.ts";
import { rearrangeOps } from "./ops/rearrange.ts";
import { reductionOps } from "./ops/reductions.ts";
import { resamplingOps } from "./ops/resampling.ts";
import { sequenceOps } from "./ops/sequences.ts";
import { windowOps } from "./ops/windows.ts";

const standard: OpEntries = {
  ...controlOps,
  ...elementwiseOps,
  ...indexingOps,
  ...linearOps,
  ...normalisationOps,
  ...quantisedOps,
  ...rearrangeOps,
  ...reductionOps,
  ...resamplingOps,
  ...sequenceOps,
  ...windowOps,
};

const domains = new Map<string, ReadonlyMap<string, OpEntry>>([
  ["", new Map(Object.entries(standard))],
  ["com.microsoft", new Map(Object.entries(contribOps))],
]);

/** How an operator is imported; undefined where it is not supported. */
export function findOp(domain: string, op: string): OpEntry | undefined {
  return domains.get(domain)?.get(op);
}

/** One operator that `importOnnx` understands. */
export interface SupportedOnnxOp {
  /** "ai.onnx" for the default operator set. */
  readonly domain: string;
  readonly op: string;
  /** First and last version of the domain's operator set. */
  readonly opsets: readonly [first: number, last: number];
  readonly attributes: readonly string[];
  /** What is left out or different. */
  readonly note: string;
}

/** Every operator that `importOnnx` understands, by domain and name. */
export function supportedOnnxOps(): SupportedOnnxOp[] {
  return [...domains].flatMap(([domain, entries]) =>
    [...entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([op, { attributes, since, until, note }]) => ({
        domain: domain || "ai.onnx",
        op,
        opsets:
          domain === ""
            ? ([Math.max(since ?? MIN_OPSET, MIN_OPSET), until ?? MAX_OPSET] as const)
            : ([1, 1] as const),
        attributes,
        note: note ?? "",
      })),
  );
}
