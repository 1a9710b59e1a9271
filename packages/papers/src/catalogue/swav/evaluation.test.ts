// What the numbers of an arm are made of: the backbone's pooled features of whole images, each by itself.
import {
  compile,
  concat,
  foldIn,
  type NDArray,
  narrow,
  normalArray,
  randomKey,
  type Tensor,
  type Traced,
  toNumbers,
  treeMap,
} from "@concord/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { createEmbedder } from "./evaluation.ts";
import { type SwavParams, type SwavStatistics, swavNetwork } from "./network.ts";
import { selectImages } from "./own-data.ts";
import { matrix } from "./plain-loops.ts";
import { shapesWorld } from "./shapes-world.ts";

const [SIZE, H, D, K] = [12, 10, 6, 5];
const network = swavNetwork({
  backbone: {
    kind: "convolutional",
    blocks: [
      { filters: 7, stride: 2 },
      { filters: H, stride: 2 },
    ],
  },
  hidden: 8,
  width: D,
  prototypes: K,
});
const { params, statistics: fresh } = network.init(randomKey(1));
/** Running statistics that are not those of any batch. */
const statistics = treeMap(fresh, (leaf, path) => {
  const { shape } = leaf as NDArray;
  const drawn = normalArray(foldIn(randomKey(2), path.length), shape, 0.2, 0.1);
  return { ...drawn, data: drawn.data.map((x) => Math.abs(x) + 0.1) };
}) as SwavStatistics;
const images = shapesWorld(randomKey(3), 9, {
  size: SIZE,
  saturation: 1,
  clutter: 2,
  noise: 0.04,
  minRadius: 0.3,
  maxRadius: 0.4,
  minLevel: 0.4,
  maxLevel: 0.6,
  spread: 0.4,
  dark: 0.5,
});
const colours = { mean: [0.5, 0.4, 0.3], deviation: [0.25, 0.2, 0.5] } as const;
const embedder = createEmbedder(network, { side: SIZE, prototypes: K, statistics: colours });
afterAll(() => embedder.close());

/** The images as the network takes them. */
function standardised(): NDArray<"float32"> {
  const plane = SIZE * SIZE;
  return {
    dtype: "float32",
    shape: [images.count, 3, SIZE, SIZE],
    data: Float32Array.from(images.pixels, (byte, i) => {
      const c = Math.floor(i / plane) % 3;
      return (byte / 255 - (colours.mean[c] as number)) / (colours.deviation[c] as number);
    }),
  };
}

describe("what is measured", () => {
  it("are the backbone's pooled features, not the head's output, with running statistics", async () => {
    const found = await embedder.embed(params, statistics, images);
    const encode = compile((p: Traced<SwavParams>, s: Traced<SwavStatistics>, x: Tensor) => {
      const { features, projections } = network.encode(p, s, [x], { training: false });
      return { features, projections, inTraining: network.encode(p, s, [x]).features };
    });
    const expected = await encode(params as never, statistics as never, standardised());
    await encode.close();
    expect(found.features.shape).toEqual([images.count, H]);
    const values = toNumbers(expected.features);
    toNumbers(found.features).forEach((x, i) => expect(x).toBeCloseTo(values[i] as number, 4));
    const apart = toNumbers(expected.inTraining).map((x, i) => Math.abs(x - (values[i] as number)));
    expect(Math.max(...apart)).toBeGreaterThan(0.1);
    // Scores are cosines of the head's output and the prototypes.
    const unit = (row: readonly number[]) => row.map((x) => x / Math.hypot(...row));
    const prototypes = matrix(params.prototypes).map(unit);
    const cosines = matrix(expected.projections)
      .map(unit)
      .flatMap((z) => prototypes.map((c) => c.reduce((sum, x, d) => sum + x * (z[d] as number), 0)));
    toNumbers(found.scores).forEach((x, i) => expect(x).toBeCloseTo(cosines[i] as number, 4));
  });

  it("does not depend on the images beside it", async () => {
    const all = await embedder.embed(params, statistics, images);
    const two = selectImages(images, [0, 1]);
    const alone = await embedder.embed(params, statistics, two);
    alone.features.data.forEach((x, i) => expect(x).toBeCloseTo(all.features.data[i] as number, 5));
    alone.scores.data.forEach((x, i) => expect(x).toBeCloseTo(all.scores.data[i] as number, 5));
  });
});

describe("the network", () => {
  it("normalises the crops of a size together in the backbone, and all crops together in the head", async () => {
    const encode = compile((p: Traced<SwavParams>, s: Traced<SwavStatistics>, x: Tensor) => {
      const [large, other] = [narrow(x, 0, 0, 4), narrow(x, 0, 4, 4)];
      const small = narrow(narrow(x, 2, 0, 8), 3, 0, 8);
      const of = (groups: readonly Tensor[]) => {
        const { features, projections } = network.encode(p, s, groups);
        return { features, projections };
      };
      return { both: of([large, small]), alone: of([large]), joined: of([concat([large, other])]) };
    });
    const found = await encode(params as never, fresh as never, standardised());
    await encode.close();
    const rows = (array: NDArray, count: number) => matrix(array).slice(0, count).flat();
    const differ = (a: readonly number[], b: readonly number[]): number =>
      Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))));
    expect(found.both.features.shape).toEqual([4 + images.count, H]);
    // The features of the full crops do not know of small ones; crops of their own size they do.
    expect(differ(rows(found.both.features, 4), rows(found.alone.features, 4))).toBeLessThan(1e-5);
    expect(differ(rows(found.joined.features, 4), rows(found.alone.features, 4))).toBeGreaterThan(0.01);
    // The head's output does.
    expect(differ(rows(found.both.projections, 4), rows(found.alone.projections, 4))).toBeGreaterThan(0.01);
  });
});
