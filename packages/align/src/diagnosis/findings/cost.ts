import type { Estimate, RemedyResult } from "../finding.ts";
import { count, percent } from "../text.ts";

function changeText({ value, low, high }: Estimate): string {
  const sign = (x: number) => (x > 0 ? `+${percent(x)}` : percent(x)).replace(" %", "");
  return `change ${sign(value)} per 100, 95 % interval ${sign(low)} to ${sign(high)}`;
}

function per100(share: number): string {
  return (100 * share).toFixed(Math.abs(share) < 0.0995 && share > 0 ? 1 : 0);
}

/** Whether the interval of a change leaves no doubt about its sign. */
function clear({ low, high }: Estimate): boolean {
  return low > 0 || high < 0;
}

/** What the closed form changed, in a sentence about a hundred queries; null where it was not measured. */
export function costOf(remedies: readonly RemedyResult[], id: RemedyResult["id"]): string | null {
  const result = remedies.find((remedy) => remedy.id === id);
  if (!result) return null;
  const { before, after, change, metric, gallery } = result;
  const doing = {
    "mean-shift": "with the means of the sets removed",
    whitening: "after whitening",
    procrustes: "after a rotation of one set onto the other",
    "local-scaling": "with each item's closeness to everybody taken off (CSLS)",
  }[id];
  const verdict = clear(change)
    ? change.value > 0
      ? ""
      : " So this is not what holds retrieval back; the change makes it worse."
    : " The change is within what chance explains.";
  if (metric === "knn-accuracy") {
    return `Of 100 rows, ${per100(before.value)} get their own label from their nearest neighbours; ${doing} it is ${per100(after.value)} (${changeText(change)}; fitted on one half of the rows, measured on the other).${verdict}`;
  }
  return `Of 100 rows, ${per100(before.value)} find their own partner first among ${count(gallery)} candidates; ${doing} it is ${per100(after.value)} (${changeText(change)}; both directions together, fitted on one half of the pairs, measured on the other).${verdict}`;
}
