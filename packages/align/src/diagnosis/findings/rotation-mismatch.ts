import type { Finding, RemedyResult } from "../finding.ts";
import { count, percent } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { type DiagnosisView, measure } from "../view.ts";
import { costOf } from "./cost.ts";

/** Whether one set is a turned copy of the other: two encoders that say the same in other coordinates. */
export function rotationFinding(view: DiagnosisView, remedies: readonly RemedyResult[]): Finding | null {
  const { a, b } = view;
  const turned = remedies.find(({ id }) => id === "procrustes");
  const moved = remedies.find(({ id }) => id === "mean-shift");
  if (!b || !turned || !moved) return null;
  // What the shift alone gives is the gap's; only the rest counts as a rotation.
  const others = Math.max(0, moved.change.value);
  const gain = {
    value: turned.change.value - others,
    low: turned.change.low - others,
    high: turned.change.high - others,
  };
  const severity = severityOf("rotation-mismatch", gain);
  const { mild, serious, why } = THRESHOLDS["rotation-mismatch"];
  return {
    id: "rotation-mismatch",
    scope: "both",
    severity,
    title:
      severity === "none" ? "A rotation of one set would not help" : `${a.name} is turned against ${b.name}`,
    term: "rotation mismatch (orthogonal Procrustes)",
    value: gain.value,
    interval: gain,
    measures: [
      measure("gain in R@1 by a rotation beyond a shift", gain, "share"),
      measure("R@1 after the rotation, held-out pairs", turned.after, "share"),
      measure("R@1 before, held-out pairs", turned.before, "share"),
    ],
    sentence:
      severity === "none"
        ? `The best rotation of ${a.name} onto ${b.name}, fitted on half of the pairs, changes how many of the other half find their partner first by ${percent(gain.value)} beyond what a shift does.`
        : `The best rotation of ${a.name} onto ${b.name}, fitted on half of the pairs, raises how many of the other half find their partner first from ${percent(turned.before.value)} to ${percent(turned.after.value)}.`,
    explanation:
      "Two encoders may know the same and yet write it down in different coordinates: then distances within each set agree, and distances between the sets mean nothing. One rotation, learnt from known pairs, translates.",
    normal: `No gain. Mild from +${percent(mild)}, serious from +${percent(serious)}. ${why}`,
    cost: severity === "none" ? null : costOf(remedies, "procrustes"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Fit an orthogonal map (Procrustes) on known pairs and apply it to one set; it needs no training and no negatives. Afterwards diagnose again.",
    basis: `${count(turned.queries)} queries, of the half of the pairs that the rotation was not fitted on`,
  };
}
