import {
  asTensor,
  evaluate,
  grad,
  l2Normalize,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  type Traced,
  tensor,
  treeMap,
  uniformArray,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { type CropGeometry, extractCrop } from "./crops.ts";
import { diceCrossEntropy } from "./dice-loss.ts";
import { pooledFeatures, projectorInit, segmenterInit } from "./network.ts";
import { type EmbeddedVolume, embedVolumes, placeCrops, positionMetrics } from "./position-evaluation.ts";
import { positionLabels } from "./position-labels.ts";
import { prepareVolume } from "./prepare-volume.ts";
import { vocoProjector } from "./projector.ts";
import { type SegmentedVolume, segmentationMetrics } from "./segmentation-evaluation.ts";
import { stackCrops } from "./volume-batches.ts";

describe("diceCrossEntropy", () => {
  const [N, C, voxels] = [2, 4, 8];
  const scores = normalArray(randomKey(1), [N, C, 2, 2, 2]);
  // Class 3 occurs nowhere.
  const labels: NDArray<"int32"> = {
    dtype: "int32",
    shape: [N, 2, 2, 2],
    data: Int32Array.of(0, 0, 1, 1, 2, 0, 0, 1, 2, 2, 0, 0, 0, 1, 0, 0),
  };

  it("is the sum of both parts, in plain loops over the classes that occur", async () => {
    let entropy = 0;
    const [common, guessed, size] = [0, 1, 2].map(() => new Float64Array(C)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let n = 0; n < N; n++)
      for (let v = 0; v < voxels; v++) {
        const row = Array.from({ length: C }, (_, c) =>
          Math.exp(scores.data[(n * C + c) * voxels + v] as number),
        );
        const total = row.reduce((a, b) => a + b, 0);
        const truth = labels.data[n * voxels + v] as number;
        entropy -= Math.log((row[truth] as number) / total) / (N * voxels);
        size[truth] = (size[truth] as number) + 1;
        common[truth] = (common[truth] as number) + (row[truth] as number) / total;
        row.forEach((value, c) => {
          guessed[c] = (guessed[c] as number) + value / total;
        });
      }
    const dice = [1, 2].map(
      (c) => (2 * (common[c] as number)) / ((guessed[c] as number) + (size[c] as number)),
    );
    const expected = entropy + 1 - ((dice[0] as number) + (dice[1] as number)) / 2;
    const found = await evaluate(diceCrossEntropy(asTensor(scores), asTensor(labels)));
    expect(Number(found.data[0])).toBeCloseTo(expected, 5);
  });

  it("without any class is the cross-entropy, and stays finite", async () => {
    const none = tensor(new Array(16).fill(0), { dtype: "int32", shape: [N, 2, 2, 2] });
    const slope = await evaluate(grad((x: Tensor) => diceCrossEntropy(x, none))(asTensor(scores)));
    expect(slope.data.length).toBe(N * C * voxels);
    // Softmax minus truth, as of cross-entropy alone: the entries of a voxel sum to 0, none is missing.
    for (let v = 0; v < voxels; v++) {
      const column = Array.from({ length: C }, (_, c) => Number(slope.data[c * voxels + v]));
      expect(column.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
      expect(column.every((value, c) => (c === 0 ? value < 0 : value > 0))).toBe(true);
    }
  });
});

/** A volume of 2 × 2 base crops and two random crops, one on the first base, one half on the second, half on the fourth. */
function volumeWith(
  codes: readonly (readonly number[])[],
  crops: readonly (readonly number[])[],
): EmbeddedVolume {
  const unit = (row: readonly number[]): Float64Array => {
    const length = Math.hypot(...row);
    return Float64Array.from(row, (value) => value / length);
  };
  const rows = [...codes, ...crops].map(unit);
  const empty = { dtype: "float32", shape: [1, 1, 1], data: new Float32Array(1) } as const;
  return {
    volume: { name: "test", volume: empty, labels: null },
    centres: [],
    embeddings: rows,
    features: rows,
    labels: [Float32Array.of(1, 0, 0, 0), Float32Array.of(0, 0.5, 0, 0.5)],
  };
}

describe("embedVolumes", () => {
  const geometry: CropGeometry = { side: 16, depth: 4, grid: 2, inputSide: 8, inputDepth: 4 };
  const network = { widths: [4, 8], convolutions: 1, groups: 2, hidden: 6, embedding: 5 };
  const { encoder } = segmenterInit(randomKey(1), network, 2);
  const projector = projectorInit(randomKey(2), network);
  const volumes = [0, 1, 2].map((i) => ({
    name: `${i}`,
    volume: uniformArray(randomKey(i), [16, 16, 4]),
    labels: null,
  }));

  const traced = <T>(tree: T): Traced<T> => treeMap(tree, (leaf) => asTensor(leaf as NDArray)) as Traced<T>;

  it("projects all crops of all volumes together, base crops first", async () => {
    const { signal } = new AbortController();
    const found = await embedVolumes(
      { encoder, projector },
      volumes,
      geometry,
      network,
      randomKey(3),
      signal,
    );
    const crops = found.flatMap(({ volume, centres }) =>
      centres.map((centre) => extractCrop(volume.volume, centre, geometry)),
    );
    const { rows } = await evaluate({
      rows: l2Normalize(
        vocoProjector(
          traced(projector),
          pooledFeatures(traced(encoder), asTensor(stackCrops(crops, geometry)), network),
        ),
      ),
    });
    found
      .flatMap(({ embeddings }) => embeddings.flatMap((row) => [...row]))
      .forEach((value, i) => {
        expect(value).toBeCloseTo(rows.data[i] as number, 4);
      });
    for (const { centres, labels, embeddings } of found) {
      expect(centres.slice(0, 4)).toEqual([
        [4, 4],
        [4, 12],
        [12, 4],
        [12, 12],
      ]);
      expect(embeddings).toHaveLength(4 + labels.length);
      labels.forEach((row, r) => {
        const own = positionLabels(ndarray([...(centres[4 + r] ?? [])]), { cropSize: 8, grid: 2 });
        expect(Array.from(row)).toEqual(Array.from(own.data));
      });
    }
  });
});

describe("positionMetrics", () => {
  const codes = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((k) => Number(i === k)));

  it("is perfect for codes of places, and right with either of two equal overlaps", () => {
    const first = volumeWith(codes, [
      [1, 0, 0, 0],
      [0, 2, 0, 1],
    ]);
    const second = volumeWith(codes, [
      [1, 0, 0, 0],
      [0, 1, 0, 2],
    ]);
    const found = positionMetrics([first, second], placeCrops([first, second]));
    expect(found.acrossAccuracy).toBe(1);
    expect(found.withinAccuracy).toBe(1);
    expect(found.baseSimilarity).toBe(0);
    expect(found.acrossCorrelation).toBeGreaterThan(0.9);
  });

  it("tells patients apart: places exchanged in the other one are found within, not across", () => {
    const own = [
      [1, 0, 0, 0],
      [0, 2, 0, 1],
    ];
    const first = volumeWith(codes, own);
    const turned = volumeWith(
      [...codes].reverse(),
      own.map((row) => [...row].reverse()),
    );
    const found = positionMetrics([first, turned], placeCrops([first, turned]));
    expect(found.withinAccuracy).toBe(1);
    expect(found.acrossAccuracy).toBe(0);
  });

  it("shows a collapse", () => {
    const same = codes.map(() => [1, 1, 1, 1.001]);
    const volumes = [volumeWith(same, same.slice(0, 2)), volumeWith(same, same.slice(0, 2))];
    expect(positionMetrics(volumes, placeCrops(volumes)).baseSimilarity).toBeCloseTo(1, 5);
  });
});

it("segmentationMetrics counts organs that look alike and are taken for one another", () => {
  const empty = { dtype: "float32", shape: [1, 1, 1], data: new Float32Array(1) } as const;
  const task = { unlabelled: [], labelled: [], test: [], classes: ["a", "b", "c"], alike: 2 };
  const one: SegmentedVolume = {
    volume: { name: "test", volume: empty, labels: null },
    predicted: new Int32Array(1),
    dice: [0.5, 0.7, 0.9],
    // Of 8 + 4 voxels of a and b, 2 + 1 are taken for the other; c taken for a does not count.
    confusion: Float64Array.of(50, 1, 1, 1, 1, 5, 2, 0, 0, 1, 2, 1, 0, 3, 0, 6),
  };
  const absent: SegmentedVolume = { ...one, dice: [0.7, Number.NaN, 0.9], confusion: new Float64Array(16) };
  const { dice, alike, mistaken } = segmentationMetrics([one, absent], task);
  expect(dice).toBeCloseTo((0.6 + 0.7 + 0.9) / 3, 9);
  expect(alike).toBeCloseTo(0.65, 9);
  expect(mistaken).toBeCloseTo(3 / 12, 9);
});

describe("prepareVolume", () => {
  const options = { window: [-175, 250], foreground: 0.3, side: 4, depth: 2 } as const;
  /** 6 × 5 × 4 of air with a block of 300 units in [2, 4) × [1, 4) × [1, 3). */
  function scan(): NDArray<"float32"> {
    const data = new Float32Array(120).fill(-1000);
    for (let x = 2; x < 4; x++)
      for (let y = 1; y < 4; y++) for (let z = 1; z < 3; z++) data[(x * 5 + y) * 4 + z] = 300;
    return { dtype: "float32", shape: [6, 5, 4], data };
  }

  it("scales to the window, cuts to the foreground and resizes, labels with it", () => {
    const labels = { ...scan(), data: scan().data.map((value) => (value > 0 ? 7 : 0)) };
    const prepared = prepareVolume(scan(), labels, options);
    expect(prepared.volume.shape).toEqual([4, 4, 2]);
    expect(prepared.volume.data.every((value) => value === 1)).toBe(true);
    expect(prepared.labels?.data.every((value) => value === 7)).toBe(true);
    const whole = prepareVolume(scan(), labels, { ...options, foreground: 0 });
    expect(new Set(whole.labels?.data)).toEqual(new Set([0, 7]));
  });

  it("takes what is not finite as darkest, and percentiles without a window", () => {
    const raw = scan();
    raw.data[0] = Number.NaN;
    raw.data[1] = Number.POSITIVE_INFINITY;
    const { volume } = prepareVolume(raw, null, { ...options, window: null, foreground: 0, side: 6 });
    expect(volume.data.every((value) => value >= 0 && value <= 1)).toBe(true);
  });

  it("refuses labels that do not belong, and scans without contrast", () => {
    const small = { dtype: "float32", shape: [6, 5, 3], data: new Float32Array(90) } as const;
    expect(() => prepareVolume(scan(), small, options)).toThrow(
      /labels of \[6, 5, 3\] for a volume of \[6, 5, 4\]/,
    );
    const half = { ...scan(), data: scan().data.map(() => 0.5) };
    expect(() => prepareVolume(scan(), half, options)).toThrow(/whole numbers from 0 to 65535, got 0.5/);
    expect(() => prepareVolume(half, null, { ...options, window: null })).toThrow(/which has no width/);
    expect(() => prepareVolume(half, null, options)).toThrow(/^all voxels are 0.5$/);
    expect(() => prepareVolume(scan(), null, { ...options, window: [500, 600] })).toThrow(
      /one side of the window/,
    );
    const nothing = { ...scan(), data: scan().data.map(() => Number.NaN) };
    for (const window of [null, options.window])
      expect(() => prepareVolume(nothing, null, { ...options, window })).toThrow(
        /no voxel has a finite value/,
      );
    const slice = { dtype: "float32", shape: [6, 5, 1], data: scan().data.slice(90) } as const;
    expect(() => prepareVolume(slice, null, options)).toThrow(/2 voxels along every axis .* got \[6, 5, 1\]/);
  });
});
