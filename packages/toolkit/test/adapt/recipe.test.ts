// Whatever the contract offers works: views of items, copies, a teacher that follows, a state, parts that are held back.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { infoNCE } from "@concord/align";
import { defineRecipe, type HeadParams, head, headInit } from "@concord/papers/recipes";
import {
  add,
  l2Normalize,
  mean,
  mul,
  type NDArray,
  narrow,
  normalArray,
  reshape,
  square,
  sub,
  type Tensor,
  zerosArray,
} from "@concord/tensor";
import { beforeAll, expect, it } from "vitest";
import { type AdaptRequest, adapt } from "../../src/index.ts";
import { temporaryFolder } from "../support/tiny-encoders.ts";
import { pairedWorld, vectorModel, WIDTH, writeVectorPairs } from "./worlds.ts";

const options = {
  noise: {
    type: "number",
    default: 0.3,
    minimum: 0,
    description: "Noise of the views.",
    source: "this test",
  },
} as const;

interface Params {
  readonly map: HeadParams;
  /** Not trained in the first steps. */
  readonly scale: NDArray;
}
interface State {
  readonly steps: NDArray;
}

const shapes = new Map<string, readonly number[]>();

/** Two near views and three far ones of each item; the near ones must agree. */
const recipe = defineRecipe<Params, State, typeof options>({
  slug: "views",
  summary: "Makes views of one item agree.",
  needs: {
    towers: "one",
    labels: "optional",
    train: ["head", "adapters"],
    copies: 2,
    teacher: { momentum: 0.9 },
  },
  options,
  training: {
    head: { learningRate: 1e-2, batchSize: 32, epochs: 2, source: "this test" },
    adapters: { learningRate: 1e-2, batchSize: 32, epochs: 2, rank: 2, dropout: 0.2, source: "this test" },
  },
  deviations: [],
  init: (key, { towers: [tower] }) => ({
    map: headInit(key, { inputs: tower?.width ?? 0, outputs: tower?.width ?? 0, hidden: 8 }),
    scale: zerosArray([1]),
  }),
  state: () => ({ steps: zerosArray([1]) }),
  views(item, key, { options: { noise } }) {
    const group = (count: number, factor: number): NDArray => {
      const values = normalArray([key[0], key[1] ^ count], [count, WIDTH], 0, noise * factor);
      for (let i = 0; i < values.data.length; i++)
        values.data[i] = (values.data[i] as number) + Number(item.data[i % WIDTH]);
      return values;
    };
    return {
      groups: { near: group(2, 1), far: group(3, 3) },
      targets: { order: { dtype: "float32", shape: [3], data: Float32Array.of(0, 1, 2) } },
    };
  },
  embed: (params, features) => head(params.map, features),
  loss(params, state, batch) {
    const tensors: Record<string, Tensor> = {
      near: batch.views.near as Tensor,
      far: batch.views.far as Tensor,
      order: batch.targets.order as Tensor,
      copy: batch.copies.text?.[1] as Tensor,
      teacher: batch.teacher.text as Tensor,
      items: batch.items,
      labels: batch.labels as Tensor,
    };
    for (const [name, { shape }] of Object.entries(tensors)) shapes.set(name, shape);
    const near = batch.views.near as Tensor;
    const view = (i: number): Tensor =>
      l2Normalize(head(params.map, reshape(narrow(near, 1, i, 1), [-1, WIDTH])));
    const follow = mean(
      square(sub(head(params.map, batch.features.text as Tensor), batch.teacher.text as Tensor)),
    );
    const loss = add(infoNCE(view(0), view(1)), mul(follow, 0.01));
    return {
      loss: add(loss, mean(square(sub(params.scale, 1)))),
      parts: { follow },
      state: { steps: add(state.steps, 1) },
    };
  },
  update: (after, before) => ({ ...after, scale: before.scale }),
});

let request: AdaptRequest;
beforeAll(async () => {
  const folder = await temporaryFolder();
  await writeVectorPairs(join(folder, "pairs.jsonl"), pairedWorld(160));
  await writeFile(join(folder, "model.onnx"), vectorModel(3));
  request = {
    recipe,
    towers: { text: { encoder: join(folder, "model.onnx"), column: "left" } },
    pairs: join(folder, "pairs.jsonl"),
    labelColumn: "label",
    cache: join(folder, "cache"),
    out: join(folder, "out"),
  };
});

it.each(["head", "adapters"] as const)(
  "%s: a loss sees views, targets, copies, teacher, items and labels",
  async (train) => {
    shapes.clear();
    const { record } = await adapt({
      ...request,
      train,
      out: `${request.out}-${train}`,
      steps: 60,
      evaluateEvery: 20,
    });
    expect(record.steps.done).toBeGreaterThan(0);
    expect(Object.fromEntries(shapes)).toEqual({
      near: [32, 2, WIDTH],
      far: [32, 3, WIDTH],
      order: [32, 3],
      copy: [32, WIDTH],
      teacher: [32, WIDTH],
      items: [32],
      labels: [32, 4],
    });
    // The loss of the views falls.
    const [, first, ...later] = record.looks.map(({ loss }) => loss as number);
    expect(later.at(-1)).toBeLessThan(first as number);
  },
);

it("views need the items: vectors computed before will not do", async () => {
  const towers = { text: { vectors: pairedWorld(50).a } };
  const { pairs: _, labelColumn: __, ...rest } = request;
  await expect(adapt({ ...rest, towers })).rejects.toThrow(
    "views needs the items themselves, not vectors of them",
  );
});
