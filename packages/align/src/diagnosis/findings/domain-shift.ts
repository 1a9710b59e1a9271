import { foldIn, type Key, splitKey } from "@concord/tensor";
import { chanceAmongNearest } from "../../metrics/neighbours.ts";
import { forEachBlockOfProducts } from "../../metrics/rows.ts";
import type { Estimate, Finding } from "../finding.ts";
import { neighbourHits } from "../remedies.ts";
import { meanEstimate } from "../resample.ts";
import { centroidOf, choose, shifted, stack, takeRows, type UnitRows } from "../sample.ts";
import { separability } from "../separability.ts";
import { ofHundred, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";
import { centroidGap } from "./modality-gap.ts";

const ROWS = 1500;
const NEIGHBOURS = 10;
const LABEL_NEIGHBOURS = 5;

/** Share of each row's nearest neighbours that are of the other set, over the share in one common cloud. */
async function mixing(a: UnitRows, b: UnitRows, key: Key): Promise<Estimate & { rows: number }> {
  const n = Math.min(a.shape[0] as number, b.shape[0] as number, ROWS);
  const [left, right] = [a, b].map((rows, side) =>
    takeRows(rows, choose(rows.shape[0] as number, n, foldIn(key, side))),
  ) as [UnitRows, UnitRows];
  const all = stack(left, right);
  const total = 2 * n;
  const k = Math.min(NEIGHBOURS, total - 1);
  const expected = n / (total - 1);
  const ratios = new Float64Array(total);
  await forEachBlockOfProducts(all, all, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const self = first + row;
      const scores = products.subarray(row * total, (row + 1) * total);
      chanceAmongNearest(scores, k, self, (item, chance) => {
        if (item >= n !== self >= n) ratios[self] = (ratios[self] as number) + chance / (k * expected);
      });
    }
  });
  return { ...meanEstimate(ratios, foldIn(key, 2)), rows: n };
}

/** How labels of A's rows carry over to B's, before and after the means are removed, beside B's own labels. */
async function labelTransfer(view: DiagnosisView, key: Key): Promise<string | null> {
  const { a, b, labels } = view;
  if (!b || !labels?.b) return null;
  const ofB = labels.b;
  const known = new Set(labels.a);
  const labelled = (codes: Int32Array): number[] =>
    [...codes.keys()].filter((i) => (codes[i] as number) >= 0);
  const pick = (places: readonly number[], limit: number, stream: number): number[] =>
    Array.from(choose(places.length, limit, foldIn(key, stream)), (i) => places[i] as number);
  const train = pick(labelled(labels.a), 4 * ROWS, 0);
  const targets = pick(
    labelled(ofB).filter((i) => known.has(ofB[i] as number)),
    4 * ROWS,
    1,
  );
  const half = targets.length >> 1;
  if (train.length < 2 || half < 2) return null;
  const order = choose(targets.length, half, foldIn(key, 2));
  const inOwn = new Set(order);
  const own = [...order].map((i) => targets[i] as number);
  const test = targets.filter((_, i) => !inOwn.has(i));
  const codes = (places: readonly number[], from: Int32Array): Int32Array =>
    Int32Array.from(places, (i) => from[i] as number);
  const accuracy = async (from: UnitRows, fromCodes: Int32Array, to: UnitRows): Promise<number> => {
    const hits = await neighbourHits(from, fromCodes, to, codes(test, ofB), LABEL_NEIGHBOURS);
    return hits.reduce((sum, hit) => sum + hit, 0) / hits.length;
  };
  const [source, ownRows, testRows] = [
    takeRows(a.sample, train),
    takeRows(b.sample, own),
    takeRows(b.sample, test),
  ];
  const shiftB = centroidOf(ownRows);
  const across = await accuracy(source, codes(train, labels.a), testRows);
  const within = await accuracy(ownRows, codes(own, ofB), testRows);
  const mended = await accuracy(
    shifted(source, centroidOf(source)),
    codes(train, labels.a),
    shifted(testRows, shiftB),
  );
  return `Labels learnt on ${a.name} (nearest neighbours) are right for ${ofHundred(across)} rows of ${b.name}; labels of ${b.name} itself are right for ${ofHundred(within)}. With the mean of each set removed, those of ${a.name} are right for ${ofHundred(mended)}.`;
}

/** Whether two sets that are not paired lie in one cloud. */
export async function domainShiftFinding(view: DiagnosisView): Promise<Finding> {
  const { a, b } = view;
  if (!b) throw new RangeError("domainShiftFinding: needs two sets");
  const [mixKey, apartKey, gapKey, labelKey] = splitKey(foldIn(view.key, 41), 4) as [Key, Key, Key, Key];
  const mixed = await mixing(a.sample, b.sample, mixKey);
  const every = (rows: UnitRows, key: Key): Uint32Array => choose(rows.shape[0] as number, 2 * ROWS, key);
  const apart = separability(
    a.sample,
    b.sample,
    { a: every(a.sample, foldIn(apartKey, 0)), b: every(b.sample, foldIn(apartKey, 1)) },
    apartKey,
  );
  const { distance, share } = centroidGap(a, b, false, gapKey);
  const severity = severityOf("domain-shift", mixed);
  const { mild, serious, why } = THRESHOLDS["domain-shift"];
  return {
    id: "domain-shift",
    scope: "both",
    severity,
    title:
      severity === "none"
        ? `${a.name} and ${b.name} lie in one cloud`
        : severity === "mild"
          ? `${a.name} and ${b.name} overlap only in part`
          : `${a.name} and ${b.name} hardly mix`,
    term: "domain shift (neighbourhood mixing)",
    value: mixed.value,
    interval: mixed,
    measures: [
      measure("neighbours from the other set, over those expected in one cloud", mixed),
      measure("rows that a linear classifier assigns to the right set", apart, "share"),
      measure("distance of the two centres (0 to 2)", distance),
      measure("share of the squared distance between the sets that their centres explain", share, "share"),
    ],
    sentence: `A row meets ${percent(mixed.value)} of the neighbours from the other set that it would meet if the two were one cloud. Asked which set an unseen row is from, a linear classifier is right for ${ofHundred(apart.value)} (50 is guessing); the centres are ${plain(distance.value)} apart.`,
    explanation:
      "What was learnt on one set (a classifier, a threshold, an index) is used in a region of the space that the other set does not visit. The sets may also simply hold different things: then mixing says so, and nothing is wrong.",
    normal: `Above ${plain(mild, 1)}. Mild below ${plain(mild, 1)}, serious below ${plain(serious, 1)}. ${why}`,
    cost: await labelTransfer(view, labelKey),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Remove the mean of each set first. If labels still do not carry over, adapt the encoder to the new domain: with no labels by contrast between the domains, with a few labels by asking for the most useful ones.",
    basis: basisOf(mixed.rows, Math.min(a.rows, b.rows), "rows of each set"),
  };
}
