import {
  asTensor,
  evaluate,
  keyTensor,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
  toNumbers,
  treeMap,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { RecipeBatch, RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import type { CodeMemory } from "./code-memory.ts";
import { recipe } from "./recipe.ts";

const [N, B, BITS, STEPS_PER_EPOCH] = [6, 3, 8, 2];
const widths = { photo: 5, caption: 4 };
const labels = ndarray(
  Array.from({ length: N * 3 }, (_, i) => Number(i % 4 === 0)),
  { shape: [N, 3] },
);

function contextOf(labels: NDArray | null): RecipeContext<typeof recipe.options> {
  return {
    options: resolveOptions(recipe.options, { bits: BITS, auxiliaryBits: 16, dropout: 0 }) as never,
    towers: Object.entries(widths).map(([name, width]) => {
      const mean = { dtype: "float32", shape: [width], data: new Float32Array(width) } as const;
      return { name, width, anchor: false, statistics: { mean, meanNorm: 2, unit: false } };
    }),
    train: "head",
    items: N,
    labels: labels as RecipeContext<typeof recipe.options>["labels"],
    batchSize: B,
    stepsPerEpoch: STEPS_PER_EPOCH,
    steps: 10,
  };
}

interface Memories {
  readonly code: CodeMemory;
}

const features = Object.fromEntries(
  Object.entries(widths).map(([name, width], i) => [name, asTensor(normalArray(randomKey(i), [B, width]))]),
);
const chosen = [4, 0, 2];

async function stepOf(step: number, labels: NDArray | null) {
  const context = contextOf(labels);
  const width = labels?.shape[1] ?? 0;
  const traced = (tree: unknown): unknown => treeMap(tree, (leaf) => asTensor(leaf as NDArray));
  const params = traced(recipe.init(randomKey(7), context));
  const start = recipe.state?.(randomKey(8), context) as Memories;
  const state = traced(start);
  const batch: RecipeBatch = {
    features,
    copies: {},
    teacher: {},
    views: {},
    targets: {},
    labels:
      labels &&
      asTensor(
        ndarray(
          chosen.flatMap((item) => Array.from(toNumbers(labels)).slice(item * width, (item + 1) * width)),
          { shape: [B, width] },
        ),
      ),
    items: asTensor(ndarray(chosen, { dtype: "int32" })),
    key: keyTensor(randomKey(9)),
    step: asTensor(step),
  };
  const result = recipe.loss?.(params as never, state as never, batch, context);
  const codes = context.towers.map((tower) =>
    recipe.embed(params as never, features[tower.name] as Tensor, tower, context),
  );
  const got = await evaluate({ loss: result?.loss, state: result?.state, codes } as never);
  return { start, got: got as unknown as { loss: NDArray; state: Memories; codes: NDArray[] } };
}

describe("the recipe", () => {
  it.each([true, false])("keeps the codes that it embeds (labels: %s)", async (labelled) => {
    const { start, got } = await stepOf(0, labelled ? labels : null);
    expect(Number.isFinite(Number(got.loss.data[0]))).toBe(true);
    const [photo = [], caption = []] = got.codes.map((codes) => Array.from(toNumbers(codes)));
    chosen.forEach((item, row) => {
      const place = (of: NDArray): number[] =>
        Array.from(toNumbers(of)).slice(item * BITS, (item + 1) * BITS);
      place(got.state.code.image).forEach((value, k) => {
        expect(value).toBeCloseTo(photo[row * BITS + k] as number, 5);
      });
      place(got.state.code.text).forEach((value, k) => {
        expect(value).toBeCloseTo(caption[row * BITS + k] as number, 5);
      });
    });
    expect(Array.from(toNumbers(got.state.code.targets))).toEqual(Array.from(toNumbers(start.code.targets)));
  });

  it("refreshes its targets with the last step of an epoch", async () => {
    const { got } = await stepOf(STEPS_PER_EPOCH - 1, labels);
    const { image, text, targets } = got.state.code;
    const want = Array.from(toNumbers(image)).map((value, i) => (value + Number(text.data[i]) > 0 ? 1 : -1));
    expect(Array.from(toNumbers(targets))).toEqual(want);
  });

  it("takes other items for dissimilar where there are no labels, as if each had a label of its own", async () => {
    const own = Array.from({ length: N }, (_, i) => Array.from({ length: N }, (_, j) => Number(i === j)));
    const [some, none, each] = [
      await stepOf(0, labels),
      await stepOf(0, null),
      await stepOf(0, ndarray(own)),
    ].map(({ got }) => Number(got.loss.data[0]));
    expect(each).toBeCloseTo(none as number, 4);
    expect(some).not.toBeCloseTo(none as number, 3);
  });

  it("refuses labels that make all items similar", () => {
    const shared = ndarray(
      Array.from({ length: N * 2 }, (_, i) => Number(i % 2 === 1 || i === 0)),
      { shape: [N, 2] },
    );
    expect(() => recipe.check?.(contextOf(shared) as never)).toThrow(
      /all 6 training items share label 2 of 2, so that all would be similar/,
    );
    expect(() => recipe.check?.(contextOf(labels) as never)).not.toThrow();
  });

  it("refuses auxiliary codes that are shorter than the codes", () => {
    const context = contextOf(labels);
    const options = { ...context.options, bits: 64, auxiliaryBits: 32 };
    expect(() => recipe.check?.({ ...context, options } as never)).toThrow(
      /--auxiliary-bits must be at least --bits \(64\), got 32/,
    );
  });
});
