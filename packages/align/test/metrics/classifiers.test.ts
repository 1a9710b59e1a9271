import { describe, expect, it } from "vitest";
import {
  accuracy,
  auroc,
  averagePrecision,
  classificationReport,
  confusionMatrix,
  fitLinearProbe,
  linearProbeAccuracy,
  multiLabelReport,
  nearestNeighbourAccuracy,
  type PrecisionRecall,
  predictLinearProbe,
} from "../../src/index.ts";
import { kLargest } from "../../src/metrics/neighbours.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { average, integers, numbers, orders, randomRows, rows, shuffled } from "./support.ts";

const triple = ({ precision, recall, f1 }: PrecisionRecall): number[] => [precision, recall, f1];

function expectClose(found: ArrayLike<number>, expected: readonly (number | null)[], digits = 12): void {
  expect(found.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(found[i], `entry ${i}`).toBeCloseTo(value as number, digits);
  });
}

describe("nearestNeighbourAccuracy", () => {
  const { train, trainLabels, test, testLabels, predictions } = reference.neighbours;

  it("predicts as scikit-learn", async () => {
    for (const [name, expected] of Object.entries(predictions)) {
      const [weighting, k] = name.split(" ") as ["uniform" | "cosine" | "exponential", string];
      const options = { k: Number(k), weighting };
      const found = await nearestNeighbourAccuracy(rows(train), trainLabels, rows(test), testLabels, options);
      expect(Array.from(found.predictions), name).toEqual(expected);
      const right = expected.filter((label, i) => label === testLabels[i]).length;
      expect(found.accuracy).toBe(right / expected.length);
    }
  });

  it("in expectation does not depend on the names of classes or the order of rows", async () => {
    const names = [2, 0, 1];
    const order = shuffled(
      3,
      train.map((_, i) => i),
    );
    const base = await nearestNeighbourAccuracy(rows(train), trainLabels, rows(test), testLabels, { k: 4 });
    const other = await nearestNeighbourAccuracy(
      rows(order.map((i) => train[i] as number[])),
      order.map((i) => names[trainLabels[i] as number] as number),
      rows(test),
      testLabels.map((label) => names[label] as number),
      { k: 4 },
    );
    expect(other.expectedAccuracy).toBeCloseTo(base.expectedAccuracy, 12);
    expect(base.expectedAccuracy).not.toBe(base.accuracy);
  });

  it("splits equal votes", async () => {
    const set = rows([
      [1, 0],
      [0, 1],
    ]);
    const found = await nearestNeighbourAccuracy(set, [1, 0], rows([[3, 4]]), [1], { k: 2 });
    expect(found).toMatchObject({ accuracy: 0, expectedAccuracy: 0.5 });
  });

  it("takes the lower index of equal rows, and lets rows that point away not vote", async () => {
    const set = rows([
      [1, 0],
      [1, 0],
      [0, 1],
    ]);
    const nearest = await nearestNeighbourAccuracy(set, [1, 0, 2], rows([[1, 0.1]]), [1], { k: 1 });
    expect(nearest.predictions[0]).toBe(1);
    expect(Array.from(kLargest([1, 1, 2, 0, 1], 3))).toEqual([2, 0, 1]);
    expect(Array.from(kLargest([1, 1, 2, 0, 1], 3, 0))).toEqual([2, 1, 4]);
    // Cosines 0.3 and -0.9 for class 0, 0.2 for class 1.
    const around = rows([0.3, -0.9, 0.2].map((cosine) => [cosine, Math.sqrt(1 - cosine ** 2)]));
    const options = { k: 3, weighting: "cosine" } as const;
    const weighted = await nearestNeighbourAccuracy(around, [0, 0, 1], rows([[1, 0]]), [0], options);
    expect(weighted.predictions[0]).toBe(0);
  });

  it("refuses unknown labels and too many neighbours", async () => {
    const set = randomRows(1, 4, 2);
    const run = (labels: number[], k: number): Promise<unknown> =>
      nearestNeighbourAccuracy(set, [0, 1, 0, 1], set, labels, { k });
    await expect(run([0, 1, 0, 2], 1)).rejects.toThrow("label 3 must be an integer in [0, 2), got 2");
    await expect(run([0, 1, 0], 1)).rejects.toThrow("needs 4 labels, got 3");
    await expect(run([0, 1, 0, 1], 5)).rejects.toThrow(
      "k (number of neighbours) must be an integer in [1, 4], got 5",
    );
  });
});

describe("linear probe", () => {
  it("reaches scikit-learn's weights", () => {
    for (const { classes, strength, train, trainLabels, test, testLabels, ...expected } of reference.probes) {
      const found = linearProbeAccuracy(rows(train), trainLabels, rows(test), testLabels, {
        inverseRegularization: strength,
      });
      expect(found.probe.converged).toBe(true);
      const weights = Array.from(found.probe.weights.data);
      const D = train[0]?.length as number;
      // With two classes scikit-learn has one row, for the difference of the logits.
      const rowsOf = classes === 2 ? [weights.slice(D).map((value) => 2 * value)] : null;
      expectClose(rowsOf?.[0] ?? weights, expected.weights.flat(), 5);
      const bias = Array.from(found.probe.bias);
      expectClose(classes === 2 ? [2 * (bias[1] as number)] : bias, expected.bias, 5);
      expect(Array.from(found.predictions)).toEqual(expected.predictions);
      expect(found.accuracy).toBeCloseTo(expected.accuracy, 12);
    }
  });

  it("converges beyond the point where values of the objective stop to differ", () => {
    const features = randomRows(7, 120, 12);
    const labels = [0, 1, 2, 3, ...integers(8, 116, 4)];
    for (const tolerance of [1e-6, 1e-9, 1e-11]) {
      const probe = fitLinearProbe(features, labels, 4, { tolerance, inverseRegularization: 10 });
      expect(probe).toMatchObject({ converged: true });
      expect(probe.iterations).toBeLessThan(100);
    }
  });

  it("ends where the gradient of the objective is 0", () => {
    const features = randomRows(5, 30, 3);
    const labels = [0, 1, 2, ...integers(6, 27, 3)];
    const { weights, bias } = fitLinearProbe(features, labels, 3, { inverseRegularization: 2 });
    const objective = (w: Float64Array, b: Float64Array): number => {
      let loss = 0;
      for (let i = 0; i < 30; i++) {
        const logits = [0, 1, 2].map((c) =>
          [0, 1, 2].reduce(
            (sum, k) => sum + (w[c * 3 + k] as number) * (features.data[i * 3 + k] as number),
            b[c] as number,
          ),
        );
        loss +=
          Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) -
          (logits[labels[i] as number] as number);
      }
      return loss / 30 + w.reduce((sum, value) => sum + value * value, 0) / (2 * 2 * 30);
    };
    for (let at = 0; at < 12; at++) {
      const moved = (step: number): number => {
        const [w, b] = [weights.data.slice(), bias.slice()];
        if (at < 9) w[at] = (w[at] as number) + step;
        else b[at - 9] = (b[at - 9] as number) + step;
        return objective(w, b);
      };
      expect(Math.abs((moved(1e-4) - moved(-1e-4)) / 2e-4)).toBeLessThan(1e-6);
    }
    expect(bias.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
  });

  it("says when it did not converge, and holds on separable classes", () => {
    const features = rows([[-1], [1], [3]]);
    expect(fitLinearProbe(features, [0, 1, 2], 3, { maxIterations: 1 }).converged).toBe(false);
    const probe = fitLinearProbe(features, [0, 1, 2], 3, { inverseRegularization: 1e4 });
    expect(probe.converged).toBe(true);
    expect(Array.from(predictLinearProbe(probe, features))).toEqual([0, 1, 2]);
  });

  it("refuses classes without rows and widths that differ", () => {
    const features = randomRows(1, 3, 2);
    expect(() => fitLinearProbe(features, [0, 0, 2], 3)).toThrow("class 1 has no row");
    expect(() => fitLinearProbe(features, [0, 0, 0], 1)).toThrow("at least two classes, got 1");
    expect(() => fitLinearProbe(features, [0, 1, 1], 2, { inverseRegularization: 0 })).toThrow(
      "must be > 0, got 0",
    );
    expect(() => linearProbeAccuracy(features, [0, 1, Number.NaN], features, [0, 1, 0])).toThrow(
      "label 2 must be an integer >= 0, got NaN",
    );
    expect(() => linearProbeAccuracy(features, [0, 1, 0], randomRows(1, 3, 3), [0, 1, 0])).toThrow(
      "one width",
    );
  });
});

describe("classificationReport", () => {
  it("equals scikit-learn's", () => {
    for (const { truth, predictions, ...expected } of reference.classifications) {
      const report = classificationReport(truth as number[], predictions as number[]);
      expect(report.accuracy).toBeCloseTo(expected.accuracy, 12);
      expect(accuracy(truth as number[], predictions as number[])).toBeCloseTo(expected.accuracy, 12);
      expect(report.balancedAccuracy).toBeCloseTo(expected.balancedAccuracy, 12);
      expect(Array.from(report.confusion.counts)).toEqual(expected.confusion.flat());
      expectClose(
        report.perClass.map(({ precision }) => precision),
        expected.precision,
      );
      expectClose(
        report.perClass.map(({ recall }) => recall),
        expected.recall,
      );
      expectClose(
        report.perClass.map(({ f1 }) => f1),
        expected.f1,
      );
      expect(report.perClass.map(({ support }) => support)).toEqual(expected.support);
      for (const mean of ["macro", "micro", "weighted"] as const)
        expectClose(triple(report[mean]), expected.averages[mean]);
    }
  });

  it("does not depend on names or order, and lowers the macro mean for declared absent classes", () => {
    const [truth, guesses] = [integers(1, 50, 4), integers(2, 50, 4)];
    const base = classificationReport(truth, guesses);
    const order = shuffled(3, [...truth.keys()]);
    const renamed = (labels: number[]): string[] => order.map((i) => `class ${9 - (labels[i] as number)}`);
    const other = classificationReport(renamed(truth), renamed(guesses));
    for (const mean of ["macro", "micro", "weighted"] as const)
      expectClose(triple(other[mean]), triple(base[mean]));
    const wider = classificationReport(truth, guesses, { classes: [0, 1, 2, 3, 4] });
    expect(wider.macro.f1).toBeCloseTo(base.macro.f1 * 0.8, 12);
    expect(wider.weighted.f1).toBeCloseTo(base.weighted.f1, 12);
  });

  it("scores a constant prediction with chance", () => {
    const report = classificationReport([0, 1, 2, 2, 2], [2, 2, 2, 2, 2]);
    expect(report.balancedAccuracy).toBeCloseTo(1 / 3, 12);
    expect(report.accuracy).toBeCloseTo(0.6, 12);
    expect(report.perClass[0]).toMatchObject({ precision: 0, recall: 0, f1: 0, support: 1 });
  });

  it("refuses labels it does not know", () => {
    expect(() => confusionMatrix([0, 1], [0, 3], { classes: [0, 1] })).toThrow(
      "label 3 is not among the classes 0, 1",
    );
    expect(() => confusionMatrix([0], [0], { classes: [0, 0] })).toThrow("classes must differ");
    expect(() => confusionMatrix([0, 1], [0])).toThrow("one length, got 2 and 1");
    expect(() => confusionMatrix([], [])).toThrow("empty");
    expect(() => confusionMatrix([0, Number.NaN], [0, 1])).toThrow("got NaN at index 1");
    expect(() => confusionMatrix([0], ["0"])).toThrow("all numbers or all strings");
  });
});

describe("multiLabelReport", () => {
  it("equals scikit-learn's", () => {
    const { truth, predictions, averages } = reference.multiLabel;
    const report = multiLabelReport(truth.flat(), predictions.flat(), 4);
    expectClose(triple(report.macro), averages.macro);
    expectClose(triple(report.micro), averages.micro);
    expect(report.perClass[3]?.support).toBe(0);
  });

  it("refuses parts of a row and NaN", () => {
    expect(() => multiLabelReport([1, 0, 1], [1, 0, 1], 2)).toThrow("a multiple of 2, got 3");
    expect(() => multiLabelReport([1, Number.NaN], [1, 0], 2)).toThrow("NaN in row 0, class 1");
  });
});

describe("auroc and averagePrecision", () => {
  it("equal scikit-learn's, ties included", () => {
    for (const ranking of reference.rankings) {
      expect(auroc(ranking.scores, ranking.relevant)).toBeCloseTo(ranking.auroc, 12);
      expect(averagePrecision(ranking.scores, ranking.relevant)).toBeCloseTo(ranking.averagePrecision, 12);
    }
  });

  it("AUROC counts pairs, ties one half", () => {
    const stream = numbers(4);
    const scores = Array.from({ length: 40 }, () => stream.integer(6));
    const labels = Array.from({ length: 40 }, (_, i) => i % 3 === 0);
    const pairs = scores.flatMap((p, i) =>
      labels[i] ? scores.filter((_, j) => !labels[j]).map((n) => (p > n ? 1 : p === n ? 0.5 : 0)) : [],
    );
    expect(auroc(scores, labels)).toBeCloseTo(average(pairs), 12);
    expect(
      auroc(
        scores.map((score) => -Math.exp(score)),
        labels,
      ),
    ).toBeCloseTo(1 - average(pairs), 12);
  });

  it("scores constants with chance", () => {
    expect(auroc([1, 1, 1, 1], [1, 0, 0, 0])).toBe(0.5);
    expect(averagePrecision([1, 1, 1, 1], [1, 0, 0, 0])).toBe(0.25);
    for (const labels of orders([1, 0, 0]))
      expect(averagePrecision([2, 2, 2], labels)).toBeCloseTo(1 / 3, 12);
  });

  it("refuse missing classes and other labels", () => {
    expect(() => auroc([1, 2], [1, 1])).toThrow("needs positives and negatives, got 2 and 0");
    expect(() => averagePrecision([1, 2], [0, 0])).toThrow("at least one positive");
    expect(() => auroc([1, 2], [1, 2])).toThrow("labels must be 0 or 1, got 2 at index 1");
    expect(() => auroc([1, Number.NaN], [1, 0])).toThrow("got NaN at index 1");
  });
});
