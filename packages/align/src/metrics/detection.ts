import { checkCount } from "./checks.ts";

/** Corners [x1, y1, x2, y2] with x1 ≤ x2 and y1 ≤ y2. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

export interface DetectedBox {
  readonly image: number | string;
  readonly label: number | string;
  readonly score: number;
  readonly box: Box;
}

export interface TrueBox {
  readonly image: number | string;
  readonly label: number | string;
  readonly box: Box;
  /** A crowd (COCO) or difficult object (VOC): neither to be found nor counted as wrong when found. */
  readonly ignore?: boolean;
}

export interface DetectionOptions {
  /** Matching and interpolation, default "coco"; see `detectionAveragePrecision`. */
  readonly protocol?: "coco" | "voc" | "voc07";
  /** IoU thresholds in (0, 1]. Default: 0.5, 0.55, …, 0.95 for "coco", 0.5 for the others. */
  readonly ious?: readonly number[];
  /** Best detections kept of each image and class. Default: 100 for "coco", all for the others. */
  readonly maxDetections?: number;
}

export interface DetectionScores {
  /** Mean over classes and IoU thresholds. */
  readonly meanAveragePrecision: number;
  /** Mean over classes at each threshold: `get(0.5)` is AP50. */
  readonly perThreshold: ReadonlyMap<number, number>;
  /** Mean over thresholds of each class that has true boxes. */
  readonly perClass: ReadonlyMap<number | string, number>;
  /** Share of true boxes found, mean over classes and thresholds (COCO's AR). */
  readonly meanRecall: number;
}

function area([x1, y1, x2, y2]: Box): number {
  return (x2 - x1) * (y2 - y1);
}

function intersection(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

function checkBox(operation: string, what: string, box: Box): void {
  if (box.length !== 4 || !box.every(Number.isFinite) || box[2] < box[0] || box[3] < box[1]) {
    throw new RangeError(
      `${operation}: ${what} must be finite [x1, y1, x2, y2] with x1 <= x2 and y1 <= y2, got [${box.join(", ")}]`,
    );
  }
}

/**
 * Intersection over union of two boxes, in [0, 1]; coordinates are continuous (no pixel is added to widths). 0 when both
 * are empty.
 *
 * @throws RangeError when a box is not finite or its corners are exchanged
 */
export function boxIoU(a: Box, b: Box): number {
  checkBox("boxIoU", "a", a);
  checkBox("boxIoU", "b", b);
  const common = intersection(a, b);
  return common > 0 ? common / (area(a) + area(b) - common) : 0;
}

type Outcome = "right" | "wrong" | "ignored";

/** Outcome of each detection of one image and class, best first, by COCO's rule. */
function matchCoco(
  detections: readonly DetectedBox[],
  truths: readonly TrueBox[],
  threshold: number,
): Outcome[] {
  // Boxes that count come first: a detection goes to one to ignore only when none of them fits.
  const ordered = truths.toSorted((a, b) => Number(a.ignore ?? false) - Number(b.ignore ?? false));
  const taken = new Set<TrueBox>();
  return detections.map(({ box }) => {
    let best: TrueBox | undefined;
    let overlap = Math.min(threshold, 1 - 1e-10);
    for (const truth of ordered) {
      if (taken.has(truth)) continue;
      if (best && !best.ignore && truth.ignore) break;
      const common = intersection(box, truth.box);
      // A crowd holds many objects: only the detection's own area matters.
      const union = truth.ignore ? area(box) : area(box) + area(truth.box) - common;
      const iou = union > 0 ? common / union : 0;
      if (iou >= overlap) [best, overlap] = [truth, iou];
    }
    if (!best) return "wrong";
    if (best.ignore) return "ignored";
    taken.add(best);
    return "right";
  });
}

/** The same by Pascal VOC's rule: a detection may only take the box that it overlaps most. */
function matchVoc(
  detections: readonly DetectedBox[],
  truths: readonly TrueBox[],
  threshold: number,
): Outcome[] {
  const taken = new Set<TrueBox>();
  return detections.map(({ box }) => {
    let best: TrueBox | undefined;
    let overlap = 0;
    for (const truth of truths) {
      const iou = boxIoU(box, truth.box);
      if (iou > overlap) [best, overlap] = [truth, iou];
    }
    if (!best || overlap < threshold) return "wrong";
    if (best.ignore) return "ignored";
    if (taken.has(best)) return "wrong";
    taken.add(best);
    return "right";
  });
}

/** Area under the precision-recall curve as the protocol interpolates it, and the last recall. */
function curve(
  outcomes: readonly Outcome[],
  positives: number,
  protocol: "coco" | "voc" | "voc07",
): readonly [precision: number, recall: number] {
  const recalls: number[] = [];
  const precisions: number[] = [];
  let right = 0;
  for (const outcome of outcomes) {
    if (outcome === "ignored") continue;
    if (outcome === "right") right++;
    recalls.push(right / positives);
    precisions.push(right / recalls.length);
  }
  // The envelope: the best precision at this recall or a higher one.
  for (let i = precisions.length - 2; i >= 0; i--)
    precisions[i] = Math.max(precisions[i] as number, precisions[i + 1] as number);
  const recall = recalls.at(-1) ?? 0;
  if (protocol === "voc") {
    const steps = recalls.map((value, i) => value - (recalls[i - 1] ?? 0));
    return [steps.reduce((sum, step, i) => sum + step * (precisions[i] as number), 0), recall];
  }
  const parts = protocol === "coco" ? 100 : 10;
  let sum = 0;
  for (let i = 0, at = 0; i <= parts; i++) {
    while (at < recalls.length && (recalls[at] as number) < i * (1 / parts)) at++;
    sum += precisions[at] ?? 0;
  }
  return [sum / (parts + 1), recall];
}

const COCO_IOUS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

/**
 * Average precision of boxes found in pictures, the mean over classes and IoU thresholds.
 *
 * Detections of a class are taken by falling score; each is right when it matches a true box of its picture and class
 * that no better detection has taken, and wrong otherwise. With precision and recall after each, and p(r) the best
 * precision at recall r or higher:
 *
 *   "coco"   AP = (1 / 101) Σ_{r ∈ 0, 0.01, …, 1} p(r)
 *   "voc"    AP = ∫ p(r) dr               (VOC 2010 to 2012: all points)
 *   "voc07"  AP = (1 / 11) Σ_{r ∈ 0, 0.1, …, 1} p(r)
 *
 * "coco" gives a detection the free true box of highest IoU at or above the threshold, a box that counts before one to
 * ignore; boxes to ignore match any number of detections, by the intersection over the detection's area. "voc" and
 * "voc07" look at the one true box of highest IoU: when that is taken already, the detection is wrong. A detection of a
 * box to ignore counts neither way. Detections of equal score keep the order of the input. A class without a true box
 * to find has no AP and stays out of the means; a class without detections has 0. All in [0, 1].
 *
 * Coordinates are continuous as in COCO; VOC's own code adds a pixel to widths and heights: add 1 to x2 and y2 for its
 * exact figures. COCO's ranges of areas are not built in: mark boxes outside the range with `ignore`.
 *
 * @throws RangeError when a box or score is not finite, corners are exchanged, a threshold is outside (0, 1] or there is
 *   no true box to find
 * @source Lin et al. 2014 and its evaluation code; Everingham et al. 2010, 2015
 */
export function detectionAveragePrecision(
  detections: readonly DetectedBox[],
  truths: readonly TrueBox[],
  { protocol = "coco", ious, maxDetections }: DetectionOptions = {},
): DetectionScores {
  const operation = "detectionAveragePrecision";
  const thresholds = ious ?? (protocol === "coco" ? COCO_IOUS : [0.5]);
  const most = maxDetections ?? (protocol === "coco" ? 100 : Number.POSITIVE_INFINITY);
  if (most !== Number.POSITIVE_INFINITY) checkCount(operation, "maxDetections", most);
  if (thresholds.length === 0) throw new RangeError(`${operation}: needs at least one IoU threshold`);
  for (const iou of thresholds)
    if (!(iou > 0 && iou <= 1))
      throw new RangeError(`${operation}: IoU thresholds lie in (0, 1], got ${iou}`);
  detections.forEach(({ box, score }, i) => {
    checkBox(operation, `box of detection ${i}`, box);
    if (!Number.isFinite(score))
      throw new RangeError(`${operation}: score of detection ${i} must be finite, got ${score}`);
  });
  truths.forEach(({ box }, i) => {
    checkBox(operation, `true box ${i}`, box);
  });
  const match = protocol === "coco" ? matchCoco : matchVoc;
  const found = Map.groupBy(detections, ({ label }) => label);
  const perClass = new Map<number | string, number>();
  const sums = thresholds.map(() => 0);
  let recalls = 0;
  for (const [label, own] of Map.groupBy(truths, (truth) => truth.label)) {
    const positives = own.filter(({ ignore }) => !ignore).length;
    if (positives === 0) continue;
    const trueOf = Map.groupBy(own, ({ image }) => image);
    const detectionsOf = Map.groupBy(found.get(label) ?? [], ({ image }) => image);
    let total = 0;
    for (const [t, threshold] of thresholds.entries()) {
      const judged: { readonly score: number; readonly outcome: Outcome }[] = [];
      for (const [image, boxes] of detectionsOf) {
        const best = boxes.toSorted((a, b) => b.score - a.score).slice(0, most);
        const outcomes = match(best, trueOf.get(image) ?? [], threshold);
        for (const [i, outcome] of outcomes.entries())
          judged.push({ score: (best[i] as DetectedBox).score, outcome });
      }
      judged.sort((a, b) => b.score - a.score);
      const [precision, recall] = curve(
        judged.map(({ outcome }) => outcome),
        positives,
        protocol,
      );
      sums[t] = (sums[t] as number) + precision;
      total += precision;
      recalls += recall;
    }
    perClass.set(label, total / thresholds.length);
  }
  if (perClass.size === 0) throw new RangeError(`${operation}: there is no true box to find`);
  const perThreshold = new Map(thresholds.map((iou, t) => [iou, (sums[t] as number) / perClass.size]));
  return {
    meanAveragePrecision: sums.reduce((a, b) => a + b, 0) / thresholds.length / perClass.size,
    perThreshold,
    perClass,
    meanRecall: recalls / thresholds.length / perClass.size,
  };
}
