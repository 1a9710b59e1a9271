import {
  asTensor,
  type NDArray,
  ndarray,
  randomKey,
  type Tensor,
  type Traced,
  tensor,
  toNumbers,
  treeMap,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { armById } from "./arms.ts";
import { smokeConfig } from "./config.ts";
import { dualEncoder } from "./encoders.ts";
import { type ArmParams, armModel } from "./model.ts";
import { textAffinityPrompt } from "./text-affinity-prompt.ts";

const [B, T, C, WORDS] = [3, 5, 8, 12];
const dual = dualEncoder(
  {
    width: C,
    image: { kind: "convolutional", filters: [4, 6] },
    text: { layers: 3, heads: 2 },
    tunedBlocks: 2,
  },
  { imageSize: 16, vocabulary: WORDS, context: T },
);
const start = dual.init(randomKey(1));
const traced = <P>(tree: P): Traced<P> => treeMap(tree, (leaf) => asTensor(leaf as NDArray)) as Traced<P>;
const { frozen, tuned } = traced(start);
const model = armModel(dual, C, smokeConfig.hashing, armById("prompthash").recipe);
const initial = model.init(randomKey(2), start, T);
const params: Traced<ArmParams> = traced(initial);
const ids = (rows: number, seed: number, last?: number): Tensor =>
  asTensor(
    ndarray(
      Array.from({ length: rows * T }, (_, i) =>
        last !== undefined && i % T === T - 1 ? last : (i * 5 + seed) % WORDS,
      ),
      { shape: [rows, T], dtype: "int32" },
    ),
  );
const read = async (x: Tensor): Promise<number[]> => Array.from(toNumbers(await x.data()));

it("no token of a text sees a later one", async () => {
  const [one, other] = [
    await read(dual.tokens(frozen, tuned, ids(1, 1, 2))),
    await read(dual.tokens(frozen, tuned, ids(1, 1, 3))),
  ];
  expect(other.slice(0, (T - 1) * C)).toEqual(one.slice(0, (T - 1) * C));
  expect(other.slice((T - 1) * C)).not.toEqual(one.slice((T - 1) * C));
});

describe("the prompt in the model", () => {
  it("starts with copies of the last text blocks, in their order", () => {
    expect(initial.encoder.promptBlocks).toEqual(start.tuned.text.blocks);
    expect(initial.encoder.promptBlocks).toHaveLength(2);
  });

  it("joins text tokens before the last norm with prompt and context, and is read at the text's end", async () => {
    const images = tensor(new Float32Array(B * 3 * 16 * 16), { shape: [B, 3, 16, 16] });
    const ends = tensor([1, 4, 0], { dtype: "int32" });
    const [tokens, prompts] = [ids(B, 1), ids(B, 7)];
    const encoded = model.encode(params, frozen, images, {
      tokens,
      ends,
      prompts,
      emptyTokens: ids(1, 3),
      emptyEnds: tensor([2], { dtype: "int32" }),
      emptyPrompt: ids(1, 4),
    });
    // Every token of text and prompt by itself, in place of the two that are read.
    const [texts, embedded, context] = [
      await read(dual.tokens(frozen, tuned, tokens)),
      await read(dual.embed(frozen, prompts)),
      Array.from(toNumbers(initial.hash.promptContext as NDArray)),
    ];
    const sequence = Array.from({ length: B }, (_, b) => [
      ...texts.slice(b * T * C, (b + 1) * T * C),
      ...context.map((value, i) => value + (embedded[b * T * C + i] as number)),
    ]).flat();
    const all = tensor(
      Array.from({ length: B * 2 * T }, (_, i) => i % (2 * T)),
      { shape: [B, 2 * T], dtype: "int32" },
    );
    const attended = dual.attend(
      params.encoder.promptBlocks as never,
      tensor(sequence, { shape: [B, 2 * T, C] }),
      all,
    );
    const want = textAffinityPrompt(attended, {
      endIndex: ends,
      norm: tuned.text.norm,
      projection: tuned.text.projection,
    });
    for (const part of ["text", "prompt"] as const) {
      const [got, wanted] = [await read(encoded[part] as Tensor), await read(want[part])];
      expect(got).toHaveLength(B * C);
      // The same sums in another order.
      got.forEach((value, i) => {
        expect(Math.abs(value - (wanted[i] as number)), `${part} ${i}`).toBeLessThan(1e-5);
      });
    }
  });
});
