import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  adjustedMutualInformation,
  adjustedRandIndex,
  clusteringAccuracy,
  type Labels,
  linearAssignment,
  mutualInformation,
  normalizedMutualInformation,
  purity,
  vMeasure,
} from "../../src/index.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { average, integers, orders, shuffled } from "./support.ts";

const measures: { readonly [name: string]: (truth: Labels, clusters: Labels) => number } = {
  mutualInformation,
  normalized: normalizedMutualInformation,
  adjusted: adjustedMutualInformation,
  rand: adjustedRandIndex,
  homogeneity: (truth, clusters) => vMeasure(truth, clusters).homogeneity,
  completeness: (truth, clusters) => vMeasure(truth, clusters).completeness,
  vMeasure: (truth, clusters) => vMeasure(truth, clusters).vMeasure,
  purity,
  accuracy: (truth, clusters) => clusteringAccuracy(truth, clusters).accuracy,
};

describe("measures of clusterings", () => {
  it("equal scikit-learn's", () => {
    for (const { truth, clusters, v, ...expected } of reference.clusterings) {
      const values = { ...expected, homogeneity: v[0], completeness: v[1], vMeasure: v[2] };
      expect(Object.keys(values).sort()).toEqual(Object.keys(measures).sort());
      for (const [name, value] of Object.entries(values))
        expect(measures[name]?.(truth, clusters), `${name} of ${clusters}`).toBeCloseTo(value as number, 10);
    }
  });

  it("do not depend on names or order", () => {
    const [truth, clusters] = [integers(1, 40, 3), integers(2, 40, 5)];
    const order = shuffled(3, [...truth.keys()]);
    const names = ["e", "a", "d", "b", "c"];
    for (const [name, measure] of Object.entries(measures)) {
      const value = measure(
        order.map((i) => -3 * (truth[i] as number)),
        order.map((i) => names[clusters[i] as number] as string),
      );
      expect(value, name).toBeCloseTo(measure(truth, clusters), 12);
    }
  });

  it("AMI and ARI are 0 on average over all orders", () => {
    const truth = [0, 0, 0, 1, 1, 2, 2];
    const all = orders([0, 0, 1, 1, 1, 1, 2]);
    for (const measure of [adjustedMutualInformation, adjustedRandIndex])
      expect(average(all.map((clusters) => measure(truth, clusters)))).toBeCloseTo(0, 10);
  });

  it("NMI is the V-measure, and ARI counts pairs", () => {
    const [truth, clusters] = [integers(4, 30, 4), integers(5, 30, 3)];
    expect(normalizedMutualInformation(truth, clusters)).toBeCloseTo(vMeasure(truth, clusters).vMeasure, 12);
    let [both, left, right, pairs] = [0, 0, 0, 0];
    for (let i = 0; i < 30; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [truth[i] === truth[j], clusters[i] === clusters[j]];
        both += Number(a && b);
        left += Number(a);
        right += Number(b);
        pairs++;
      }
    }
    const chance = (left * right) / pairs;
    expect(adjustedRandIndex(truth, clusters)).toBeCloseTo(
      (both - chance) / ((left + right) / 2 - chance),
      12,
    );
  });

  it("accuracy tries every relabelling, and leaves spare clusters without a class", () => {
    const [truth, clusters] = [integers(6, 25, 4), integers(7, 25, 4)];
    const best = Math.max(
      ...orders([0, 1, 2, 3]).map((names) =>
        average(clusters.map((cluster, i) => Number(names[cluster] === truth[i]))),
      ),
    );
    expect(clusteringAccuracy(truth, clusters).accuracy).toBeCloseTo(best, 12);
    const { accuracy, classOfCluster } = clusteringAccuracy(["a", "a", "a", "b"], [7, 7, 8, 9]);
    expect(accuracy).toBe(0.75);
    expect([...classOfCluster]).toEqual([
      [7, "a"],
      [9, "b"],
    ]);
  });

  it("refuse what are no labels", () => {
    expect(() => purity([0, 1], [0])).toThrow("truth and clusters must have one length, got 2 and 1");
    expect(() => adjustedRandIndex([], [])).toThrow("truth is empty");
    expect(() => vMeasure([0, 1], [0, Number.NaN])).toThrow("got NaN at index 1");
  });
});

describe("linearAssignment", () => {
  it("reaches scipy's totals, rectangular ones too", () => {
    for (const { values, least, greatest } of reference.assignments) {
      const [rows, columns] = [values.length, values[0]?.length ?? 0];
      for (const maximize of [false, true]) {
        const { columnOfRow, total } = linearAssignment(values.flat(), rows, columns, { maximize });
        expect(total).toBeCloseTo(maximize ? greatest : least, 10);
        const used = Array.from(columnOfRow).filter((column) => column >= 0);
        expect(used.length).toBe(Math.min(rows, columns));
        expect(new Set(used).size).toBe(used.length);
      }
    }
  });

  it("is best among all assignments", () => {
    const value = fc.integer({ min: -9, max: 9 });
    fc.assert(
      fc.property(fc.array(value, { minLength: 20, maxLength: 20 }), (values) => {
        const best = Math.min(
          ...orders([0, 1, 2, 3, 4]).map((order) =>
            order.slice(0, 4).reduce((sum, column, row) => sum + (values[row * 5 + column] as number), 0),
          ),
        );
        expect(linearAssignment(values, 4, 5).total).toBe(best);
        const transposed = values.map((_, i) => values[(i % 4) * 5 + Math.floor(i / 4)] as number);
        expect(linearAssignment(transposed, 5, 4).total).toBe(best);
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it("refuses tables of the wrong size or with NaN", () => {
    expect(() => linearAssignment([1, 2, 3], 2, 2)).toThrow("needs 2 × 2 values");
    expect(() => linearAssignment([1, Number.NaN], 1, 2)).toThrow("got NaN at index 1");
  });
});
