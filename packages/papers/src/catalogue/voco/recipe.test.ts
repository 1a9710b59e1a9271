import {
  asTensor,
  evaluate,
  foldIn,
  keyTensor,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  treeMap,
  uniformArray,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import { vocoLoss } from "./objective.ts";
import { vocoProjector } from "./projector.ts";
import { recipe } from "./recipe.ts";

const [B, S, Z, G, R, D] = [2, 4, 3, 2, 3, 5];
const n = G * G;

function contextOf(given: Readonly<Record<string, number>> = {}, train: "whole" | "head" = "whole") {
  const mean = { dtype: "float32", shape: [D], data: new Float32Array(D) } as const;
  return {
    options: resolveOptions(recipe.options, { grid: G, randomCrops: R, projection: 8, ...given }),
    towers: [{ name: "volume", width: D, anchor: false, statistics: { mean, meanNorm: 1, unit: false } }],
    train,
    items: 10,
    labels: null,
    batchSize: B,
    stepsPerEpoch: 5,
    steps: 20,
  } satisfies RecipeContext;
}

const item = uniformArray(randomKey(1), [1, G * S, G * S, Z]);
const plain = { flip: 0, rotate: 0, shift: 0 };

function batchOf(crops: Tensor, labels: NDArray) {
  return {
    features: {},
    copies: {},
    teacher: {},
    views: { crops },
    targets: { labels: asTensor(labels) },
    labels: null,
    items: asTensor(ndarray([0, 1], { dtype: "int32" })),
    key: keyTensor(randomKey(1)),
    step: asTensor(0),
  };
}

describe("views", () => {
  it("are the cells of the grid, then random crops whose labels sum to 1, the same for a key", () => {
    const { groups, targets } = recipe.views?.(item, randomKey(2), contextOf(plain)) ?? {};
    if (!groups || !targets) throw new Error("no views");
    const { shape, data } = groups.crops as NDArray;
    expect(shape).toEqual([n + R, 1, S, S, Z]);
    // Base crop i is cell i, row-major, voxel by voxel.
    for (let i = 0; i < n; i++)
      for (let x = 0; x < S; x++)
        for (let y = 0; y < S; y++) {
          const [atX, atY] = [Math.floor(i / G) * S + x, (i % G) * S + y];
          const row = ((i * S + x) * S + y) * Z;
          const from = (atX * G * S + atY) * Z;
          expect(data.slice(row, row + Z)).toEqual(item.data.slice(from, from + Z));
        }
    const labels = targets.labels as NDArray;
    expect(labels.shape).toEqual([R, n]);
    for (let r = 0; r < R; r++) {
      const sum = Array.from(labels.data.slice(r * n, (r + 1) * n), Number).reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(1, 6);
    }
    expect(recipe.views?.(item, randomKey(2), contextOf(plain))).toEqual({ groups, targets });
    expect(recipe.views?.(item, randomKey(3), contextOf(plain)).targets).not.toEqual(targets);
  });

  it("are augmented in training, but not where positions are measured", () => {
    const changed = recipe.views?.(item, randomKey(2), contextOf({ flip: 1, rotate: 0, shift: 0 }));
    const measured = recipe.measure?.views(item, randomKey(2), contextOf({ flip: 1 }));
    const first = (made: typeof changed) =>
      Array.from(made?.groups.crops?.data ?? [], Number).slice(0, S * S * Z);
    expect(first(changed)).toEqual([...first(measured)].reverse());
    expect(measured?.groups.crops?.shape[0]).toBeGreaterThan(n + R);
  });

  it("ask for items as large as the grid, and refuse encoders whose input is no square", () => {
    expect(recipe.itemSize?.([16, 16, 8], contextOf({ grid: 4 }))).toEqual([64, 64, 8]);
    expect(() => recipe.itemSize?.([16, 12, 8], contextOf())).toThrow(/takes 16 × 12 × 8/);
    expect(() => recipe.itemSize?.([15, 15, 8], contextOf())).toThrow(/even number of voxels/);
    const odd = uniformArray(randomKey(1), [2, 8, 8, 3]);
    expect(() => recipe.views?.(odd, randomKey(1), contextOf())).toThrow(/of one channel and a square plane/);
  });
});

describe("the loss", () => {
  const crops = normalArray(randomKey(4), [B, n + R, D]);
  const labels = uniformArray(randomKey(5), [B, R, n]);
  type Params = { readonly projector: never; readonly map?: { readonly weight: NDArray } };

  it("is VoCo of the projected crops, standardised over the whole batch", async () => {
    const context = contextOf({ lambdaReg: 0.5 });
    const params = recipe.init(randomKey(6), context) as Params;
    const found = recipe.loss?.(params, {}, batchOf(asTensor(crops), labels), context);
    const rows = { ...crops, shape: [B * (n + R), D] };
    const { projected } = await evaluate({ projected: vocoProjector(params.projector, asTensor(rows)) });
    const width = projected.shape[1] as number;
    const part = (from: number, count: number): Tensor => {
      const data = new Float32Array(B * count * width);
      for (let b = 0; b < B; b++) {
        const start = (b * (n + R) + from) * width;
        data.set((projected.data as Float32Array).subarray(start, start + count * width), b * count * width);
      }
      return asTensor({ dtype: "float32", shape: [B, count, width], data });
    };
    const wanted = vocoLoss({ bases: part(0, n), crops: part(n, R) }, asTensor(labels), { lambdaReg: 0.5 });
    const values = await evaluate({ found: found?.loss as Tensor, wanted: wanted.loss });
    expect(Number(values.found.data[0])).toBeCloseTo(Number(values.wanted.data[0]), 5);
  });

  it("trains a map on frozen features with --train head, which starts at what the encoder gives", async () => {
    const context = contextOf({}, "head");
    const params = recipe.init(randomKey(6), context) as Params;
    const features = asTensor(normalArray(randomKey(7), [4, D]));
    const { embedded } = await evaluate({
      embedded: recipe.embed(params, features, context.towers[0] as never, context),
    });
    expect(embedded.data).toEqual(normalArray(randomKey(7), [4, D]).data);
    const { gradients } = valueAndGrad(
      (p: unknown) => recipe.loss?.(p, {}, batchOf(asTensor(crops), labels), context).loss as Tensor,
    )(treeMap(params, (leaf) => asTensor(leaf as NDArray)) as never);
    const { weight } = await evaluate({
      weight: (gradients as unknown as { map: { weight: Tensor } }).map.weight,
    });
    const steepest = Math.max(...(weight.data as Float32Array).map(Math.abs));
    expect(steepest).toBeGreaterThan(1e-4);
    expect((recipe.init(randomKey(6), contextOf()) as Params).map).toBeUndefined();
  });
});

describe("position across scans", () => {
  const context = contextOf();
  const items = 6;

  /** Measured on vectors of crops that know their place as well as `noise` lets them, and what chance would reach. */
  function measuredWith(noise: number): { readonly share: number; readonly chance: number } {
    const views = Array.from({ length: items }, (_, i) => {
      const { groups, targets } = recipe.measure?.views(item, foldIn(randomKey(8), i), context) ?? {};
      return { count: groups?.crops?.shape[0] as number, labels: targets?.labels as NDArray<"float32"> };
    });
    const [{ count, labels: first }] = views as [(typeof views)[number]];
    const width = n;
    const vectors = normalArray(randomKey(9), [items, count, width], 0, noise);
    const labels = new Float32Array(items * first.data.length);
    views.forEach(({ labels: own }, i) => {
      labels.set(own.data, i * own.data.length);
      const at = (view: number, k: number): number => (i * count + view) * width + k;
      for (let k = 0; k < n; k++) vectors.data[at(k, k)] = (vectors.data[at(k, k)] as number) + 1;
      for (let r = 0; r < count - n; r++)
        for (let k = 0; k < n; k++)
          vectors.data[at(n + r, k)] =
            (vectors.data[at(n + r, k)] as number) + (own.data[r * n + k] as number);
    });
    const values = recipe.measure?.of(
      { crops: vectors },
      { labels: { dtype: "float32", shape: [items, ...first.shape], data: labels } },
      context,
    );
    expect(values).toHaveLength(items);
    // Of equal overlaps each is right.
    let ties = 0;
    for (let row = 0; row < labels.length; row += n) {
      const overlaps = labels.subarray(row, row + n);
      ties += overlaps.filter((overlap) => overlap === Math.max(...overlaps)).length;
    }
    const share = Array.from(values ?? []).reduce((sum, value) => sum + value, 0) / items;
    return { share, chance: ties / labels.length };
  }

  it("is 1 for vectors that say where a crop lies, and chance for those that do not", () => {
    expect(measuredWith(1e-3).share).toBe(1);
    const { share, chance } = measuredWith(1e3);
    // 96 crops against 5 other scans: a standard error of at most 0.05 if only crops were independent.
    expect(Math.abs(share - chance)).toBeLessThan(0.15);
    expect(chance).toBeLessThan(0.5);
  });
});
