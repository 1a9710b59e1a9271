import type { Directions } from "./evaluate.ts";
import type { Vectors } from "./model.ts";
import type { Prepared } from "./prepare.ts";
import type { AdaptRecord } from "./record.ts";

/** The page of a finished adaptation. */
export async function renderAdaptReport(
  record: AdaptRecord,
  _judged: { readonly before: Vectors | null; readonly after: Vectors },
  _directions: Directions,
  _prepared: Prepared,
  _heldOut: Uint32Array,
): Promise<string> {
  return JSON.stringify(record);
}
