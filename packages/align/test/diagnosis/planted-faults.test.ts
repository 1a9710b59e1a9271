import { normalArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { type Diagnosis, diagnoseSets, type Finding, type FindingId } from "../../src/index.ts";
import {
  blockOf,
  collected,
  diagnosePairs,
  healthyPairs,
  type Rows,
  rotation,
  shift,
  shuffled,
  withFault,
} from "./planted.ts";

const WIDTH = 32;
const { a, b } = healthyPairs();

function severities(diagnosis: Diagnosis, severity: Finding["severity"]): FindingId[] {
  return [
    ...new Set(diagnosis.findings.filter((one) => one.severity === severity).map(({ id }) => id)),
  ].sort();
}

function finding(diagnosis: Diagnosis, id: FindingId, scope?: Finding["scope"]): Finding {
  const found = diagnosis.findings.find(
    (one) => one.id === id && (scope === undefined || one.scope === scope),
  );
  if (!found) throw new Error(`no finding ${id}`);
  return found;
}

/** The cost of a remedy that was measured. */
function change(diagnosis: Diagnosis, id: string): number {
  return diagnosis.remedies.find((remedy) => remedy.id === id)?.change.value ?? Number.NaN;
}

/** Every number of a diagnosis lies in its interval, and is finite; every text is a sentence. */
function checkWhole(diagnosis: Diagnosis): void {
  for (const { id, measures, value, interval, sentence, explanation, normal, basis } of diagnosis.findings) {
    expect(measures[0], id).toMatchObject({ value, low: interval.low, high: interval.high });
    for (const measure of measures) {
      expect(Number.isFinite(measure.value), `${id} ${measure.name}`).toBe(true);
      expect(measure.low, `${id} ${measure.name}`).toBeLessThanOrEqual(measure.value);
      expect(measure.high, `${id} ${measure.name}`).toBeGreaterThanOrEqual(measure.value);
    }
    for (const text of [sentence, explanation, normal]) {
      expect(text).toMatch(/\.$/);
      expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
    }
    expect(basis).not.toBe("");
  }
}

/** One set, or two without pairs. */
async function diagnoseAlone(x: Rows, y?: Rows, labels?: { a: Int32Array; b?: Int32Array; names: string[] }) {
  return diagnoseSets(
    {
      a: await collected(x, "old"),
      ...(y ? { b: await collected(y, "new") } : {}),
      ...(labels ? { labels } : {}),
    },
    { key: randomKey(0) },
  );
}

describe("pairs", () => {
  it("that are healthy give no finding, whatever the seed", async () => {
    for (const seed of [1, 2]) {
      const world = healthyPairs({ seed });
      const diagnosis = await diagnosePairs(world.a, world.b, seed);
      checkWhole(diagnosis);
      expect(severities(diagnosis, "serious")).toEqual([]);
      expect(severities(diagnosis, "mild").filter((id) => id !== "norm-differences")).toEqual([]);
      expect(diagnosis.headline).not.toContain("serious problem");
    }
  });

  it("with one set moved away have a gap, and removing the means gives the retrieval back", async () => {
    const diagnosis = await diagnosePairs(withFault(a, shift(WIDTH, 9, randomKey(5))), b);
    checkWhole(diagnosis);
    const gap = finding(diagnosis, "modality-gap");
    expect(gap.severity).toBe("serious");
    // Asked which set a row is from, a plane through the middle is nearly always right.
    expect(gap.measures.find(({ name }) => name.includes("classifier"))?.value).toBeGreaterThan(0.95);
    expect(change(diagnosis, "mean-shift")).toBeGreaterThan(0.05);
    expect(gap.cost).toMatch(/Of 100 rows, \d+ find their own partner first/);
    expect(diagnosis.findings[0]?.id).toBe("modality-gap");
  });

  it("with one set turned are a rotation apart, which a rotation from half of the pairs mends", async () => {
    const diagnosis = await diagnosePairs(withFault(a, rotation(WIDTH, randomKey(6))), b);
    checkWhole(diagnosis);
    expect(severities(diagnosis, "serious")).toEqual(["misaligned-pairs", "rotation-mismatch"]);
    const turned = diagnosis.remedies.find(({ id }) => id === "procrustes");
    expect(turned?.before.value).toBeLessThan(0.05);
    expect(turned?.after.value).toBeGreaterThan(0.8);
  });

  it("in the wrong order are misaligned, and nothing is promised to mend them", async () => {
    const diagnosis = await diagnosePairs(shuffled(a, 3), b);
    checkWhole(diagnosis);
    expect(severities(diagnosis, "serious")).toEqual(["misaligned-pairs"]);
    const auc = finding(diagnosis, "misaligned-pairs").interval;
    expect(auc.low).toBeLessThan(0.5);
    expect(auc.high).toBeGreaterThan(0.5);
    for (const remedy of diagnosis.remedies) expect(remedy.change.value).toBeLessThan(0.02);
    const [there] = diagnosis.retrieval;
    // Chance: 1 of 600.
    expect(there?.recall[0]?.estimate.low).toBeLessThanOrEqual(1 / 600);
  });

  it("with a hub in one set name that set, and not the other", async () => {
    // A few items at the mean of what is asked for are near everybody.
    const hubs = withFault(b, (row, index) => {
      if (index % 60 === 0) for (let k = 0; k < WIDTH; k++) row[k] = 3 + 0.05 * Math.sin(index + k);
    });
    const asking = withFault(a, (row) => {
      for (let k = 0; k < WIDTH; k++) row[k] = (row[k] as number) + 0.8;
    });
    const diagnosis = await diagnosePairs(asking, hubs);
    checkWhole(diagnosis);
    expect(finding(diagnosis, "hubness", "b").severity).toBe("serious");
    expect(finding(diagnosis, "hubness", "a").severity).toBe("none");
    expect(change(diagnosis, "local-scaling")).toBeGreaterThan(0.05);
    expect(finding(diagnosis, "hubness", "b").cost).toContain("closeness to everybody");
  });

  it("of very different lengths are named, with what dot products lose", async () => {
    const long = withFault(b, (row, index) => {
      const factor = index % 10 === 0 ? 8 : 1;
      for (let k = 0; k < WIDTH; k++) row[k] = (row[k] as number) * factor;
    });
    const norms = finding(await diagnosePairs(a, long), "norm-differences");
    expect(norms.severity).toBe("serious");
    expect(norms.cost).toMatch(/By cosine \d+ % .* by plain dot product \d+ %/);
  });
});

describe("one set", () => {
  it("that is healthy gives no finding", async () => {
    const diagnosis = await diagnoseAlone(a);
    checkWhole(diagnosis);
    expect(severities(diagnosis, "serious")).toEqual([]);
    expect(diagnosis.kind).toBe("one set");
  });

  it("that lies in a few directions has collapsed", async () => {
    const flat = withFault(a, (row) => {
      for (let k = 1; k < WIDTH; k++) row[k] = (row[k] as number) * 1e-3;
    });
    const diagnosis = await diagnoseAlone(flat);
    checkWhole(diagnosis);
    expect(finding(diagnosis, "dimensional-collapse").severity).toBe("serious");
  });

  it("of one vector has collapsed, without a NaN anywhere", async () => {
    const one = withFault(a, (row) => row.fill(0.5));
    const diagnosis = await diagnoseAlone(one);
    checkWhole(diagnosis);
    expect(severities(diagnosis, "serious")).toEqual([
      "anisotropy",
      "dimensional-collapse",
      "duplicate-rows",
      "poor-uniformity",
    ]);
    expect(JSON.stringify(diagnosis.plots)).not.toContain("null,null");
  });

  it("in one cone is anisotropic, and a constant dimension is counted", async () => {
    const cone = withFault(a, (row) => {
      row[3] = 30;
    });
    const diagnosis = await diagnoseAlone(cone);
    checkWhole(diagnosis);
    expect(finding(diagnosis, "anisotropy").severity).toBe("serious");
    expect(finding(diagnosis, "poor-uniformity").severity).toBe("serious");
    expect(finding(diagnosis, "dimensional-collapse").sentence).toContain("1 of 32 dimensions");
  });

  it("with repeated and broken rows names both", async () => {
    const rows = withFault(a, (row, index) => {
      if (index % 4 === 0) row.fill(1).fill(2, 5);
      if (index % 7 === 1) row[2] = Number.NaN;
      if (index % 50 === 2) row.fill(0);
    });
    const diagnosis = await diagnoseAlone(rows);
    checkWhole(diagnosis);
    expect(finding(diagnosis, "duplicate-rows").severity).toBe("serious");
    expect(finding(diagnosis, "outlier-rows").severity).toBe("serious");
    const [set] = diagnosis.sets;
    expect(set?.skipped).toEqual({ broken: 85, zero: 12 });
    expect(set?.rows).toBe(600 - 85 - 12);
  });

  it("with labels tells whether vectors know them", async () => {
    const names = ["x", "y", "z"];
    const labels = Int32Array.from({ length: 600 }, (_, i) => i % 3);
    const grouped = withFault(a, (row, index) => {
      row[index % 3] = 9;
    });
    const known = finding(await diagnoseAlone(grouped, undefined, { a: labels, names }), "weak-labels");
    expect(known.severity).toBe("none");
    expect(known.value).toBeGreaterThan(0.95);
    const unknown = await diagnoseAlone(a, undefined, { a: labels, names });
    checkWhole(unknown);
    expect(finding(unknown, "weak-labels").severity).toBe("serious");
    expect(unknown.remedies.map(({ metric }) => metric)).toEqual(["knn-accuracy", "knn-accuracy"]);
  });
});

describe("two sets without pairs", () => {
  it("of one cloud have no domain shift", async () => {
    const other = healthyPairs({ seed: 9 }).a;
    const diagnosis = await diagnoseAlone(a, other);
    checkWhole(diagnosis);
    expect(severities(diagnosis, "serious")).toEqual([]);
    const mixing = finding(diagnosis, "domain-shift").interval;
    expect(mixing.low).toBeLessThan(1.05);
    expect(mixing.high).toBeGreaterThan(0.95);
  });

  it("of two domains have one; labels carry over again once the means are removed", async () => {
    const names = ["x", "y"];
    const codes = Int32Array.from({ length: 600 }, (_, i) => i % 2);
    const domain = (seed: number, move: number): Rows =>
      withFault(normalRows(seed), (row, index) => {
        row[0] = (row[0] as number) + (index % 2 === 0 ? 4 : -4);
        row[1] = (row[1] as number) + move;
        row[0] += move;
      });
    const diagnosis = await diagnoseAlone(domain(1, 0), domain(2, 8), { a: codes, b: codes, names });
    checkWhole(diagnosis);
    const found = finding(diagnosis, "domain-shift");
    expect(found.severity).toBe("serious");
    const [across, within, mended] = [
      ...(found.cost ?? "").matchAll(/right for (?:fewer than |more than )?(\d+)/g),
    ].map((match) => Number(match[1])) as [number, number, number];
    expect(across).toBeLessThan(70);
    expect(within).toBeGreaterThan(90);
    expect(mended).toBeGreaterThan(90);
  });
});

function normalRows(seed: number): Rows {
  return normalArray(randomKey(seed), [600, WIDTH]);
}

describe("bad input", () => {
  it("of different widths says both", async () => {
    const narrow: Rows = normalArray(randomKey(1), [600, 8]);
    await expect(diagnosePairs(a, narrow)).rejects.toThrow(/width 32.*width 8/);
  });

  it("of too few rows says how many are needed", async () => {
    const few: Rows = normalArray(randomKey(1), [1, WIDTH]);
    await expect(diagnoseAlone(few)).rejects.toThrow(/at least 20 usable rows, got 1/);
  });

  it("without a usable row says why", async () => {
    const none = withFault(a, (row, index) => row.fill(index % 2 === 0 ? 0 : Number.NaN));
    await expect(collected(none, "captions")).rejects.toThrow(
      /captions: no row can be measured: of 600 rows 300 are not finite and 300 all zero/,
    );
  });

  it("with a block of another width is refused", async () => {
    const [block] = blockOf(a);
    const broken = [{ ...block!, values: block!.values.subarray(1) }];
    const { collectSet } = await import("../../src/index.ts");
    await expect(collectSet(WIDTH, broken, { name: "a", key: randomKey(0) })).rejects.toThrow(/rows of 32/);
  });
});
