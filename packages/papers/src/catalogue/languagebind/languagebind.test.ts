import {
  asTensor,
  compile,
  l2Normalize,
  matmul,
  mul,
  type NDArray,
  sum,
  type Tensor,
  tensor,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { goldenCases } from "../../../test/golden.ts";
import { audioChunkFusion, chunkStartRanges } from "./audio-chunks.ts";
import { depthTransform } from "./depth-transform.ts";
import { jointEmbedding } from "./joint-embedding.ts";
import { clampLogScale, languageContrastiveLoss } from "./language-contrastive.ts";
import { loraLinear, mergedWeight } from "./lora-linear.ts";
import { patchDropout } from "./patch-dropout.ts";
import { positionResize } from "./position-resize.ts";
import { retrievalMetrics } from "./retrieval-metrics.ts";
import { temporalAttentionStep } from "./temporal-attention.ts";
import { zeroShotClassifier } from "./zero-shot-classifier.ts";

const { names, of: goldenCase } = goldenCases(import.meta.url);

/** Gradients of Σ upstream · f(inputs), and f's own value. */
async function withGradients<T>(inputs: T, f: (inputs: T) => Tensor, upstream: Tensor) {
  const { aux, gradients } = valueAndGradWithAux((given: T) => {
    const y = f(given);
    return { value: sum(mul(y, upstream)), aux: { y } };
  })(inputs);
  return compile(() => ({ y: aux.y, gradients: gradients as never }))() as unknown as Promise<{
    readonly y: NDArray;
    readonly gradients: { readonly [K in keyof T]: T[K] extends Tensor ? NDArray : never };
  }>;
}

/** Rows [o, i] of a gradient [i, o], as PyTorch has it. */
function rowsOfTransposed(array: NDArray): number[] {
  const [inputs, outputs] = array.shape as [number, number];
  return Array.from({ length: inputs * outputs }, (_, k) =>
    Number(array.data[(k % inputs) * outputs + Math.floor(k / inputs)]),
  );
}

describe("golden cases", () => {
  it("covers every case", () => {
    expect(names).toEqual([
      "language_contrastive",
      "lora_linear",
      "patch_dropout",
      "temporal_attention_step",
      "depth_transform",
      "audio_chunk_fusion",
      "position_resize",
      "zero_shot_retrieval_emergent",
    ]);
  });

  it("language_contrastive", async () => {
    const data = goldenCase("language_contrastive");
    const text = data.tensor("text");
    const inputs = { modality: data.tensor("modality"), scale: tensor(data.number("log_scale")) };
    const { value, aux, gradients } = valueAndGradWithAux((p: typeof inputs) => {
      const parts = languageContrastiveLoss(p.modality, text, p.scale);
      return { value: parts.loss, aux: { m2t: parts.m2t, t2m: parts.t2m } };
    })(inputs);
    const found = await compile(() => ({ value, ...aux, ...gradients }))();
    data.compare("loss", found.value);
    data.compare("loss_m2t", found.m2t);
    data.compare("loss_t2m", found.t2m);
    data.compare("grad_modality", found.modality);
    data.compare("grad_log_scale", found.scale);
    data.compare("clamped", await clampLogScale(data.given("clamp_inputs")).data());
    data.expectAllCompared();
  });

  it("lora_linear", async () => {
    const data = goldenCase("lora_linear");
    const frozen = { weight: data.transposed("weight"), bias: data.tensor("bias") };
    const options = { rank: data.number("rank"), alpha: data.number("alpha") };
    const inputs = { x: data.tensor("x"), down: data.transposed("lora_a"), up: data.transposed("lora_b") };
    const found = await withGradients(
      inputs,
      ({ x, down, up }) => loraLinear({ ...frozen, lora: { down, up } }, x, options),
      data.tensor("upstream"),
    );
    data.compare("y", found.y);
    data.compare("grad_x", found.gradients.x);
    data.compare("grad_lora_a", rowsOfTransposed(found.gradients.down));
    data.compare("grad_lora_b", rowsOfTransposed(found.gradients.up));
    const merged = mergedWeight({ ...frozen, lora: { down: inputs.down, up: inputs.up } }, options);
    data.compare("merged_weight", rowsOfTransposed(await merged.data()));
    data.expectAllCompared();
  });

  it("patch_dropout", async () => {
    const data = goldenCase("patch_dropout");
    for (const variant of ["a", "b"]) {
      const result = patchDropout(data.tensor("tokens"), data.tensor("noise"), {
        rate: data.number(`p_${variant}`),
        frames: data.number("frames"),
      });
      data.compare(`kept_indices_${variant}`, await result.kept.data());
      data.compare(`tokens_${variant}`, await result.tokens.data());
    }
    data.expectAllCompared();
  });

  it("temporal_attention_step", async () => {
    const data = goldenCase("temporal_attention_step");
    const map = (name: string) => ({ weight: data.transposed(`${name}_w`), bias: data.tensor(`${name}_b`) });
    const inputs = {
      h: data.tensor("h"),
      frames: data.tensor("frame_embedding"),
      query: data.transposed("q_w"),
      value: data.transposed("v_w"),
    };
    expect(inputs.frames.shape[0]).toBe(data.number("frames"));
    const found = await withGradients(
      inputs,
      ({ h, frames, query, value }) =>
        temporalAttentionStep(
          {
            frames,
            norm: { gain: data.tensor("ln_w"), bias: data.tensor("ln_b") },
            attention: {
              query: { ...map("q"), weight: query },
              key: map("k"),
              value: { ...map("v"), weight: value },
              output: map("o"),
            },
          },
          h,
          { heads: data.number("heads") },
        ),
      data.tensor("upstream"),
    );
    data.compare("out", found.y);
    data.compare("grad_h", found.gradients.h);
    data.compare("grad_frame_embedding", found.gradients.frames);
    data.compare("grad_q_w", rowsOfTransposed(found.gradients.query));
    data.compare("grad_v_w", rowsOfTransposed(found.gradients.value));
    data.expectAllCompared();
  });

  it("depth_transform", () => {
    const data = goldenCase("depth_transform");
    data.compare("out", depthTransform(data.array("depth_mm"), { maxDepth: data.number("max_depth") }));
    data.compare("out_relative", depthTransform(data.array("depth_mm"), { maxDepth: 0 }));
    data.expectAllCompared();
  });

  it("audio_chunk_fusion", () => {
    const data = goldenCase("audio_chunk_fusion");
    const target = data.number("target");
    const options = {
      target,
      starts: data.list("starts") as [number, number, number],
      mean: data.number("mean"),
      deviation: data.number("std"),
    };
    const long = data.array("mel_long");
    data.compare("start_ranges", chunkStartRanges(long.shape[0] as number, target).flat());
    data.compare("long", audioChunkFusion(long, options));
    data.compare("short", audioChunkFusion(data.array("mel_short"), options));
    data.expectAllCompared();
  });

  it("position_resize", async () => {
    const data = goldenCase("position_resize");
    const grid = (key: string) => data.list(key) as [number, number];
    data.compare(
      "position",
      await positionResize(data.array("position"), grid("old_grid"), grid("new_grid")),
    );
    data.expectAllCompared();
  });

  it("zero_shot_retrieval_emergent", async () => {
    const data = goldenCase("zero_shot_retrieval_emergent");
    const classifier = zeroShotClassifier(data.array("prompt_features"));
    const features = data.array("features");
    const k = data.number("k");
    data.compare("class_vectors", classifier.classVectors);
    data.compare("logits", await classifier.logits(features));
    const accuracy = await classifier.accuracy(features, data.list("labels"), [1, k]);
    data.compare("top1", accuracy.get(1) as number);
    data.compare("topk", accuracy.get(k) as number);
    const retrieve = async (queries: NDArray, items: NDArray): Promise<number[]> => {
      const cosines = matmul(l2Normalize(asTensor(queries)), l2Normalize(asTensor(items)), {
        transposeB: true,
      });
      return Object.values(retrievalMetrics(await cosines.data()));
    };
    const [text, a, b] = [data.array("text"), data.array("modality_a"), data.array("modality_b")];
    const joint = jointEmbedding([a, b]);
    data.compare("text_to_a", await retrieve(text, a));
    data.compare("a_to_b", await retrieve(a, b));
    data.compare("joint", joint);
    data.compare("text_to_joint", await retrieve(text, joint));
    data.expectAllCompared();
  });
});
