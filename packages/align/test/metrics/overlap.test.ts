import { describe, expect, it } from "vitest";
import {
  type Box,
  boxIoU,
  type DetectedBox,
  detectionAveragePrecision,
  segmentationOverlap,
  type TimeSpan,
  type TrueBox,
  temporalIoU,
  temporalRecall,
} from "../../src/index.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import boxes from "./fixtures/spans-and-boxes.json" with { type: "json" };
import { average, integers, shuffled } from "./support.ts";

describe("segmentationOverlap", () => {
  it("equals scikit-learn's, ignored pixels left out", () => {
    const { truth, predictions, iou, dice } = reference.segmentation;
    const found = segmentationOverlap(truth, predictions, 4, { ignoreIndex: 255 });
    iou.forEach((value, c) => {
      expect(found.iou[c]).toBeCloseTo(value, 12);
      expect(found.dice[c]).toBeCloseTo(dice[c] as number, 12);
    });
    expect(found.meanIoU).toBeCloseTo(average(iou), 12);
    expect(found.meanDice).toBeCloseTo(average(dice), 12);
  });

  it("leaves absent classes out of the means, and scores classes on one side 0", () => {
    const found = segmentationOverlap([0, 0, 1, 1], [0, 0, 2, 1], 5);
    expect(Array.from(found.iou)).toEqual([1, 0.5, 0, Number.NaN, Number.NaN]);
    expect(found.meanIoU).toBe(0.5);
    expect(found.pixelAccuracy).toBe(0.75);
    const inner = segmentationOverlap([0, 0, 1, 1], [0, 0, 2, 1], 5, { exclude: [0, 2] });
    expect(inner.meanIoU).toBe(0.5);
    expect(inner.meanDice).toBeCloseTo(2 / 3, 12);
    expect(segmentationOverlap([0], [0], 1, { exclude: [0] }).meanIoU).toBeNaN();
  });

  it("does not depend on the order of pixels or names of classes", () => {
    const [truth, guesses] = [integers(1, 60, 3), integers(2, 60, 3)];
    const base = segmentationOverlap(truth, guesses, 3);
    const order = shuffled(3, [...truth.keys()]);
    const other = segmentationOverlap(
      order.map((i) => 2 - (truth[i] as number)),
      order.map((i) => 2 - (guesses[i] as number)),
      3,
    );
    expect(Array.from(other.dice).toReversed()).toEqual(Array.from(base.dice));
    base.dice.forEach((dice, c) => {
      expect(dice).toBeCloseTo((2 * (base.iou[c] as number)) / (1 + (base.iou[c] as number)), 12);
    });
  });

  it("refuses unknown classes and nothing to count", () => {
    expect(() => segmentationOverlap([0, 3], [0, 0], 3)).toThrow(
      "truth must be integers in [0, 3), got 3 at pixel 1",
    );
    expect(() => segmentationOverlap([0, 1], [0, 255], 3, { ignoreIndex: 255 })).toThrow(
      "got 255 at pixel 1",
    );
    expect(() => segmentationOverlap([9], [0], 3, { ignoreIndex: 9 })).toThrow("no pixel to count among 1");
    expect(() => segmentationOverlap([0], [0, 1], 3)).toThrow("one length, got 1 and 2");
  });
});

describe("detectionAveragePrecision", () => {
  it("equals COCO's own evaluation, crowds included", () => {
    for (const { truths, detections, maxDetections, ...expected } of boxes.detections) {
      const found = detectionAveragePrecision(
        detections as unknown as DetectedBox[],
        truths as unknown as TrueBox[],
        {
          maxDetections,
        },
      );
      expect(found.meanAveragePrecision).toBeCloseTo(expected.map, 10);
      expect(found.meanRecall).toBeCloseTo(expected.meanRecall, 10);
      const perThreshold = [...found.perThreshold.values()];
      expected.perThreshold.forEach((value, t) => {
        expect(perThreshold[t], `threshold ${t}`).toBeCloseTo(value, 10);
      });
      expect(found.perClass.size).toBe(Object.keys(expected.perClass).length);
      for (const [label, value] of Object.entries(expected.perClass))
        expect(found.perClass.get(Number(label))).toBeCloseTo(value, 10);
    }
  });

  const truth = (image: number, box: Box, ignore = false): TrueBox => ({ image, label: "x", box, ignore });
  const found = (image: number, score: number, box: Box): DetectedBox => ({ image, label: "x", score, box });

  it("interpolates as VOC does", () => {
    // Right, wrong, right, and one of three boxes not found: precisions 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3.
    const truths = [truth(0, [0, 0, 10, 10]), truth(1, [0, 0, 10, 10]), truth(2, [0, 0, 10, 10])];
    const detections = [
      found(0, 0.9, [0, 0, 10, 10]),
      found(0, 0.8, [50, 50, 60, 60]),
      found(1, 0.7, [0, 0, 10, 9]),
    ];
    const at = (protocol: "coco" | "voc" | "voc07"): number =>
      detectionAveragePrecision(detections, truths, { protocol, ious: [0.5] }).meanAveragePrecision;
    expect(at("voc")).toBeCloseTo(1 / 3 + (1 / 3) * (2 / 3), 12);
    expect(at("voc07")).toBeCloseTo((4 * 1 + 3 * (2 / 3)) / 11, 12);
    expect(at("coco")).toBeCloseTo((34 * 1 + 33 * (2 / 3)) / 101, 12);
  });

  it("differs between the protocols where the nearest box is taken", () => {
    const truths = [truth(0, [0, 0, 10, 10]), truth(0, [0, 3, 10, 13])];
    const detections = [found(0, 0.9, [0, 0, 10, 10]), found(0, 0.8, [0, 1, 10, 11])];
    const at = (protocol: "coco" | "voc"): number =>
      detectionAveragePrecision(detections, truths, { protocol, ious: [0.5] }).meanRecall;
    expect(at("coco")).toBe(1);
    expect(at("voc")).toBe(0.5);
  });

  it("counts boxes to ignore neither way", () => {
    const truths = [truth(0, [0, 0, 10, 10]), truth(0, [20, 20, 30, 30], true)];
    const detections = [
      found(0, 0.9, [20, 20, 30, 30]),
      found(0, 0.85, [21, 21, 29, 29]),
      found(0, 0.8, [0, 0, 10, 10]),
    ];
    for (const protocol of ["coco", "voc"] as const) {
      const options = { protocol, ious: [0.5] };
      expect(detectionAveragePrecision(detections, truths, options).meanAveragePrecision).toBeCloseTo(1, 12);
    }
  });

  it("gives COCO's detection a box that counts before a crowd that fits better", () => {
    const truths = [truth(0, [0, 0, 100, 100], true), truth(0, [0, 0, 10, 10])];
    const options = { ious: [0.5] };
    const one = detectionAveragePrecision([found(0, 0.9, [0, 0, 10, 7])], truths, options);
    expect(one).toMatchObject({ meanAveragePrecision: 1, meanRecall: 1 });
    const other = detectionAveragePrecision([found(0, 0.9, [50, 0, 60, 7])], truths, options);
    expect(other).toMatchObject({ meanAveragePrecision: 0, meanRecall: 0 });
  });

  it("does not depend on the order of boxes or pictures, nor on scale", () => {
    const [case0] = boxes.detections;
    const [truths, detections] = [case0?.truths, case0?.detections] as unknown as [TrueBox[], DetectedBox[]];
    const scale = <T extends { readonly box: Box }>(item: T): T => ({
      ...item,
      box: item.box.map((value) => 4 * value - 8) as unknown as Box,
    });
    for (const protocol of ["coco", "voc", "voc07"] as const) {
      const base = detectionAveragePrecision(detections, truths, { protocol });
      const moved = detectionAveragePrecision(
        shuffled(1, detections).map((item) => ({ ...scale(item), image: `picture ${item.image}` })),
        shuffled(2, truths).map((item) => ({ ...scale(item), image: `picture ${item.image}` })),
        { protocol },
      );
      expect(moved.meanAveragePrecision).toBeCloseTo(base.meanAveragePrecision, 12);
      expect(base.meanAveragePrecision).toBeGreaterThan(0.1);
    }
  });

  it("scores classes without detections 0 and leaves out classes without truth", () => {
    const other = { image: 0, label: "y", score: 1, box: [0, 0, 1, 1] as const };
    const none = detectionAveragePrecision([other], [truth(0, [0, 0, 10, 10])]);
    expect(none).toMatchObject({ meanAveragePrecision: 0, meanRecall: 0 });
    expect([...none.perClass]).toEqual([["x", 0]]);
  });

  it("refuses wrong boxes, scores and thresholds", () => {
    const one = [truth(0, [0, 0, 1, 1])];
    expect(() => detectionAveragePrecision([found(0, 1, [2, 0, 1, 1])], one)).toThrow(
      "box of detection 0 must be",
    );
    expect(() => detectionAveragePrecision([found(0, Number.NaN, [0, 0, 1, 1])], one)).toThrow(
      "score of detection 0",
    );
    expect(() => detectionAveragePrecision([], [truth(0, [0, 0, 1, 1], true)])).toThrow(
      "no true box to find",
    );
    expect(() => detectionAveragePrecision([], one, { ious: [0] })).toThrow(
      "thresholds lie in (0, 1], got 0",
    );
    expect(() => boxIoU([0, 0, 1, Number.NaN], [0, 0, 1, 1])).toThrow("a must be finite");
    expect(boxIoU([0, 0, 2, 2], [1, 1, 3, 3])).toBeCloseTo(1 / 7, 12);
    expect(boxIoU([0, 0, 0, 0], [0, 0, 0, 0])).toBe(0);
  });
});

describe("temporalRecall", () => {
  const spansOf = (seed: number, count: number): TimeSpan[] => {
    const values = integers(seed, 2 * count, 20);
    return Array.from({ length: count }, (_, i) => {
      const [a, b] = [values[2 * i] as number, values[2 * i + 1] as number];
      return [Math.min(a, b), Math.max(a, b) + 1] as const;
    });
  };

  it("equals counting unit intervals", () => {
    const predictions = Array.from({ length: 25 }, (_, q) => spansOf(q, 6));
    const truths = Array.from({ length: 25 }, (_, q) => spansOf(100 + q, 1 + (q % 2)));
    const overlap = ([s1, e1]: TimeSpan, [s2, e2]: TimeSpan): number => {
      const within = (start: number, end: number): number[] =>
        Array.from({ length: 22 }, (_, unit) => Number(unit >= start && unit < end));
      const [one, two] = [within(s1, e1), within(s2, e2)];
      const count = (both: number): number =>
        one.filter((value, unit) => value + (two[unit] as number) >= both).length;
      return count(2) / count(1);
    };
    const best = (q: number, k: number): number =>
      Math.max(
        ...(predictions[q] as TimeSpan[])
          .slice(0, k)
          .flatMap((p) => (truths[q] as TimeSpan[]).map((truth) => overlap(p, truth))),
      );
    const { recall, meanIoU } = temporalRecall(predictions, truths, { ks: [1, 3], ious: [0.3, 0.5] });
    for (const k of [1, 3]) {
      for (const m of [0.3, 0.5]) {
        const hits = predictions.filter((_, q) => best(q, k) >= m).length;
        expect(recall.get(k)?.get(m)).toBeCloseTo(hits / 25, 12);
      }
    }
    expect(meanIoU).toBeCloseTo(average(predictions.map((_, q) => best(q, 1))), 12);
  });

  it("scores a query without prediction 0 and counts the threshold itself", () => {
    const { recall, meanIoU } = temporalRecall([[], [[0, 1]]], [[[0, 1]], [[0, 2]]], {
      ks: [1],
      ious: [0.5, 0.6],
    });
    expect(recall.get(1)?.get(0.5)).toBe(0.5);
    expect(recall.get(1)?.get(0.6)).toBe(0);
    expect(meanIoU).toBe(0.25);
    expect(temporalIoU([1, 1], [1, 1])).toBe(0);
  });

  it("refuses reversed spans and queries without truth", () => {
    expect(() => temporalIoU([2, 1], [0, 1])).toThrow("a must be [start, end] with start <= end, got [2, 1]");
    expect(() => temporalRecall([[]], [[]])).toThrow("query 0 has no true span");
    expect(() => temporalRecall([[[3, 2]]], [[[0, 1]]])).toThrow("a prediction of query 0");
    expect(() => temporalRecall([], [])).toThrow("at least one, got 0 and 0");
    expect(() => temporalRecall([[]], [[[0, 1]]], { ious: [1.5] })).toThrow("got 1.5");
  });
});
