import { clipStatistics, standardise, toFloatImages } from "@concord/data";
import {
  asTensor,
  evaluate,
  type NDArray,
  randomKey,
  type Tensor,
  type Traced,
  treeMap,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { contextInMemory } from "../../harness/memory-context.ts";
import { armById } from "./arms.ts";
import { smokeConfig } from "./config.ts";
import { dualEncoder } from "./encoders.ts";
import { evaluateArm } from "./evaluation.ts";
import { Latest } from "./latest.ts";
import { meanAveragePrecision } from "./mean-average-precision.ts";
import { armModel } from "./model.ts";
import { generatedTask, missingText, takeRows } from "./task.ts";

const [QUERIES, DATABASE, C] = [9, 30, 8];
const task = generatedTask(randomKey(3), {
  pretraining: 8,
  queries: QUERIES,
  training: 20,
  database: DATABASE,
});
const dual = dualEncoder(
  {
    width: C,
    image: { kind: "convolutional", filters: [4, 6] },
    text: { layers: 1, heads: 2 },
    tunedBlocks: 1,
  },
  { imageSize: task.items.set.size, vocabulary: task.tokenizer.vocabularySize, context: task.context },
);
const start = dual.init(randomKey(1));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe("the evaluation", () => {
  it.each(["prompthash", "hashing"])(
    "of %s searches the database of the other modality under each protocol",
    async (arm) => {
      const model = armModel(dual, C, { ...smokeConfig.hashing, auxiliaryBits: 24 }, armById(arm).recipe);
      const params = model.init(randomKey(2), start, task.context);
      const request = { model, params, start, task, encoders: new Latest<never>() };
      const { metrics } = await evaluateArm(contextInMemory({}, 0), request as never);

      // The codes of all items once more, put together by hand.
      const traced = <P>(tree: P): Traced<P> =>
        treeMap(tree, (leaf) => asTensor(leaf as NDArray)) as Traced<P>;
      const [trained, frozen] = [traced(params), traced(start.frozen)];
      const all = range(0, QUERIES + DATABASE);
      const images = asTensor(standardise(toFloatImages(await task.items.set.pixels(all)), clipStatistics));
      const encoded = (prompts: NDArray) =>
        model.encode(trained, frozen, images, {
          ...traced({ tokens: task.texts.ids, ends: task.texts.ends, ...missingText(task) }),
          prompts: asTensor(prompts),
        });
      const [free, labelled] = [encoded(task.prompt), encoded(task.labelPrompts)];
      const features = {
        p1: model.paired(trained, labelled),
        p2: model.paired(trained, free),
        p3: model.unimodal(trained, free),
      };
      const codes = (await evaluate(
        treeMap(features as never, (leaf) => model.codes(trained, leaf as Tensor)[16] as never) as never,
      )) as unknown as Record<"p1" | "p2" | "p3", Record<"image" | "text", NDArray<"float32">>>;
      const { labels } = task.items;
      const [queries, database] = [range(0, QUERIES), range(QUERIES, QUERIES + DATABASE)];
      const search = (from: NDArray<"float32">, to: NDArray<"float32">): number =>
        100 *
        meanAveragePrecision(
          takeRows(from, queries),
          takeRows(to, database),
          takeRows(labels, queries),
          takeRows(labels, database),
        ).meanAveragePrecision;
      for (const [protocol, { image, text }] of Object.entries(codes)) {
        const [i2t, t2i] = [search(image, text), search(text, image)];
        expect(metrics[`map-${protocol}-16`], protocol).toBeCloseTo((i2t + t2i) / 2, 6);
        if (protocol !== "p3") continue;
        expect(metrics["i2t-p3-16"]).toBeCloseTo(i2t, 6);
        expect(metrics["t2i-p3-16"]).toBeCloseTo(t2i, 6);
        // Within a modality, what is found differs.
        expect(Math.abs(search(image, image) - i2t)).toBeGreaterThan(0.1);
      }
      const together = takeRows(labels, queries);
      let relevant = 0;
      for (const q of queries)
        for (const item of database)
          relevant += Number(
            range(0, 10).some((c) => together.data[q * 10 + c] === 1 && labels.data[item * 10 + c] === 1),
          );
      expect(metrics.chance).toBeCloseTo((100 * relevant) / (QUERIES * DATABASE), 6);
    },
  );
});
