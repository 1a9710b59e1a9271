import { foldIn, type Key, splitKey } from "@concord/tensor";
import { nearestNeighbourAccuracy } from "../../metrics/knn.ts";
import { silhouette } from "../../metrics/silhouette.ts";
import type { Finding, RemedyResult } from "../finding.ts";
import { meanEstimate } from "../resample.ts";
import { choose, takeRows } from "../sample.ts";
import { count, ofHundred, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";
import { costOf } from "./cost.ts";

const ROWS = 5000;
const SILHOUETTE_ROWS = 1500;
export const LABEL_NEIGHBOURS = 5;

/** Whether rows of one label lie together; null where there are fewer than two labels with two rows. */
export async function weakLabelsFinding(
  view: DiagnosisView,
  remedies: readonly RemedyResult[],
): Promise<Finding | null> {
  const { a, labels } = view;
  if (!labels) return null;
  const places = [...labels.a.keys()].filter((i) => (labels.a[i] as number) >= 0);
  const [pickKey, meanKey, clusterKey, splitKeyed] = splitKey(foldIn(view.key, 51), 4) as [
    Key,
    Key,
    Key,
    Key,
  ];
  const chosen = Array.from(choose(places.length, ROWS, pickKey), (i) => places[i] as number);
  const codes = Int32Array.from(chosen, (i) => labels.a[i] as number);
  const sizes = new Map<number, number>();
  for (const code of codes) sizes.set(code, (sizes.get(code) ?? 0) + 1);
  const repeated = [...sizes.values()].filter((size) => size > 1).length;
  if (sizes.size < 2 || repeated < 2) return null;
  const half = new Set(choose(chosen.length, chosen.length >> 1, splitKeyed));
  const train = chosen.filter((_, i) => half.has(i));
  const test = chosen.filter((_, i) => !half.has(i));
  const codesOf = (list: readonly number[]): Int32Array =>
    Int32Array.from(list, (i) => labels.a[i] as number);
  const largest = labels.names.length;
  const known = codesOf(train);
  const asked = codesOf(test);
  const counts = new Float64Array(largest);
  for (const code of known) counts[code] = (counts[code] as number) + 1;
  const common = counts.indexOf(counts.reduce((top, value) => Math.max(top, value), 0));
  const { predictions } = await nearestNeighbourAccuracy(
    takeRows(a.sample, train),
    known,
    takeRows(a.sample, test),
    asked.map((code) => (counts[code] === 0 ? common : code)),
    { k: Math.min(LABEL_NEIGHBOURS, train.length), weighting: "cosine" },
  );
  const accuracy = meanEstimate(
    Float64Array.from(predictions, (guess, i) => Number(guess === asked[i])),
    meanKey,
  );
  const baseline = asked.reduce((sum, code) => sum + Number(code === common), 0) / asked.length;
  const relative = (value: number): number => (baseline < 1 ? (value - baseline) / (1 - baseline) : 1);
  const gain = {
    value: relative(accuracy.value),
    low: relative(accuracy.low),
    high: relative(accuracy.high),
  };
  const clustered = choose(chosen.length, SILHOUETTE_ROWS, clusterKey);
  const clusterCodes = Array.from(clustered, (i) => codes[i] as number);
  const clusters = new Set(clusterCodes).size;
  const separate =
    clusters >= 2 && clusters < clusterCodes.length
      ? meanEstimate(
          (
            await silhouette(
              takeRows(
                a.sample,
                Array.from(clustered, (i) => chosen[i] as number),
              ),
              clusterCodes,
            )
          ).perRow,
          clusterKey,
        )
      : null;
  const severity = severityOf("weak-labels", gain);
  const { mild, serious, why } = THRESHOLDS["weak-labels"];
  return {
    id: "weak-labels",
    scope: "a",
    severity,
    title:
      severity === "none"
        ? "Rows with the same label lie together"
        : severity === "mild"
          ? "Labels are only partly visible in the vectors"
          : "The vectors hardly know the labels",
    term: "weak label structure",
    value: gain.value,
    interval: gain,
    measures: [
      measure("accuracy over the most frequent label, as a share of what is possible", gain, "share"),
      measure(`accuracy of ${LABEL_NEIGHBOURS} nearest neighbours`, accuracy, "share"),
      ...(separate ? [measure("silhouette (-1 to 1)", separate)] : []),
    ],
    sentence: `The ${LABEL_NEIGHBOURS} nearest neighbours name the right one of ${count(sizes.size)} labels for ${ofHundred(accuracy.value)} unseen rows; always naming the most frequent label would be right for ${ofHundred(baseline)}.${separate ? ` Tightness of the groups (silhouette): ${plain(separate.value)} on a scale from -1 to 1.` : ""}`,
    explanation:
      "Search and classification by similarity work when rows with the same label are each other's neighbours.",
    normal: `${percent(mild)} of the way from guessing to perfect, or more. Mild below ${percent(mild)}, serious below ${percent(serious)}. ${why}`,
    cost: severity === "none" ? null : costOf(remedies, "whitening"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Check the labels of rows whose neighbours disagree. Then train with the labels (supervised contrastive loss, prototypes), or, with few of them, a head on the frozen vectors.",
    basis: `${basisOf(chosen.length, a.rows)}, one half as known rows`,
  };
}
