import { normalizeRows } from "@concord/align";
import {
  asTensor,
  evaluate,
  matmul,
  mul,
  type NDArray,
  sum,
  type Tensor,
  tensor,
  transpose,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { type Actual, givenNumbers, goldenCases } from "../../../test/golden.ts";
import { audioChunkFusion, chunkStartRanges } from "./audio-chunks.ts";
import { depthTransform } from "./depth-transform.ts";
import { jointEmbedding } from "./joint-embedding.ts";
import { clampLogScale, INITIAL_LOG_SCALE, languageContrastiveLoss } from "./language-contrastive.ts";
import { loraLinear, mergedWeight } from "./lora-linear.ts";
import { patchDropout } from "./patch-dropout.ts";
import { positionResize } from "./position-resize.ts";
import { retrievalMetrics } from "./retrieval-metrics.ts";
import { temporalAttentionStep } from "./temporal-attention.ts";
import { zeroShotClassifier } from "./zero-shot-classifier.ts";

// Every function of golden.json by the file's names, for whatever cases it holds. What a case leaves out keeps its
// default; weights are [outputs, inputs] there, as PyTorch keeps them.

type GoldenCase = ReturnType<ReturnType<typeof goldenCases>["of"]>;
type Outputs = Readonly<Record<string, Actual>>;
type Inputs = Readonly<Record<string, Tensor>>;

const has = (data: GoldenCase, key: string): boolean => data.inputs[key] !== undefined;

/** Gradients in a scalar that `of` computes, as `grad_` and the name of the input, and all else that it returns. */
async function withGradients(
  inputs: Inputs,
  of: (inputs: Inputs) => { readonly value: Tensor; readonly aux: Record<string, Tensor> },
): Promise<Record<string, NDArray>> {
  const { aux, gradients } = valueAndGradWithAux(of)(inputs);
  const named = Object.entries(gradients as Inputs).map(([key, slope]) => [
    `grad_${key}`,
    inMatrixOrder(key, slope),
  ]);
  return (await evaluate({ ...aux, ...Object.fromEntries(named) })) as Record<string, NDArray>;
}

/** Weights are [inputs, outputs] here. */
const isWeight = (key: string): boolean => /^(lora_[ab]|[qkvo]_w)$/.test(key);
const inMatrixOrder = (key: string, x: Tensor): Tensor => (isWeight(key) ? transpose(x) : x);

/** Those of the inputs that a case has. */
function tensorsOf(data: GoldenCase, keys: readonly string[]): Inputs {
  return Object.fromEntries(
    keys
      .filter((key) => has(data, key))
      .map((key) => [key, isWeight(key) ? data.transposed(key) : data.tensor(key)]),
  );
}

async function contrast(data: GoldenCase): Promise<Outputs> {
  const inputs = {
    modality: data.tensor("modality"),
    log_scale: tensor(has(data, "log_scale") ? data.number("log_scale") : INITIAL_LOG_SCALE),
  };
  const text = data.tensor("text");
  const found = await withGradients(inputs, ({ modality, log_scale }) => {
    const { loss, m2t, t2m } = languageContrastiveLoss(modality as Tensor, text, log_scale as Tensor);
    return { value: loss, aux: { loss, loss_m2t: m2t, loss_t2m: t2m } };
  });
  if (!data.expected.includes("clamped")) return found;
  // The file keeps what is clamped among the expected values.
  const scales = has(data, "clamp_inputs") ? data.tensor("clamp_inputs") : data.given("clamp_inputs");
  return { ...found, clamped: await clampLogScale(scales).data() };
}

async function lora(data: GoldenCase): Promise<Outputs> {
  const weight = data.transposed("weight");
  const frozen = { weight, ...(has(data, "bias") && { bias: data.tensor("bias") }) };
  const inputs = tensorsOf(data, ["x", "lora_a", "lora_b"]);
  const options = {
    rank: inputs.lora_a?.shape[1] as number,
    ...givenNumbers(data, { rank: "rank", alpha: "alpha" }),
  };
  const pair = (t: Inputs) => ({ down: t.lora_a as Tensor, up: t.lora_b as Tensor });
  const merged = transpose(mergedWeight({ ...frozen, lora: pair(inputs) }, options));
  const found = await withGradients(inputs, (t) => {
    const y = loraLinear({ ...frozen, lora: pair(t) }, t.x as Tensor, options);
    return { value: sum(has(data, "upstream") ? mul(y, data.tensor("upstream")) : y), aux: { y } };
  });
  return { ...found, merged_weight: await merged.data() };
}

/** One result for each rate: `p_a` gives `tokens_a`, `p` gives `tokens`. */
async function dropout(data: GoldenCase): Promise<Outputs> {
  const outputs: Record<string, Actual> = {};
  for (const key of Object.keys(data.inputs).filter((name) => /^p(_|$)/.test(name))) {
    const { tokens, kept } = patchDropout(data.tensor("tokens"), data.tensor("noise"), {
      rate: data.number(key),
      ...givenNumbers(data, { frames: "frames" }),
    });
    outputs[`kept_indices${key.slice(1)}`] = await kept.data();
    outputs[`tokens${key.slice(1)}`] = await tokens.data();
  }
  return outputs;
}

async function temporal(data: GoldenCase): Promise<Outputs> {
  const maps = ["q", "k", "v", "o"] as const;
  const inputs = tensorsOf(data, [
    "h",
    "frame_embedding",
    "ln_w",
    "ln_b",
    ...maps.flatMap((name) => [`${name}_w`, `${name}_b`]),
  ]);
  const { frames = inputs.frame_embedding?.shape[0] } = givenNumbers(data, { frames: "frames" });
  if (inputs.frame_embedding?.shape[0] !== frames)
    throw new Error(`${frames} frames, but frame_embedding is [${inputs.frame_embedding?.shape.join(", ")}]`);
  return withGradients(inputs, (t) => {
    const map = (name: string) => {
      const bias = t[`${name}_b`];
      return { weight: t[`${name}_w`] as Tensor, ...(bias && { bias }) };
    };
    const params = {
      frames: t.frame_embedding as Tensor,
      norm: { gain: t.ln_w as Tensor, bias: t.ln_b as Tensor },
      attention: { query: map("q"), key: map("k"), value: map("v"), output: map("o") },
    };
    const out = temporalAttentionStep(params, t.h as Tensor, { heads: data.number("heads") });
    return { value: sum(has(data, "upstream") ? mul(out, data.tensor("upstream")) : out), aux: { out } };
  });
}

function depth(data: GoldenCase): Outputs {
  const map = data.array("depth_mm");
  return {
    out: depthTransform(map, givenNumbers(data, { max_depth: "maxDepth" })),
    out_relative: depthTransform(map, { maxDepth: 0 }),
  };
}

function audio(data: GoldenCase): Outputs {
  const options = {
    starts: (has(data, "starts") ? data.list("starts") : [0, 0, 0]) as [number, number, number],
    ...givenNumbers(data, { target: "target", mean: "mean", std: "deviation" }),
  };
  const outputs: Record<string, Actual> = {};
  if (has(data, "mel_long")) {
    const long = data.array("mel_long");
    outputs.start_ranges = chunkStartRanges(long.shape[0] as number, options.target).flat();
    outputs.long = audioChunkFusion(long, options);
  }
  if (has(data, "mel_short")) outputs.short = audioChunkFusion(data.array("mel_short"), options);
  return outputs;
}

async function position(data: GoldenCase): Promise<Outputs> {
  const grid = (key: string) => data.list(key) as [number, number];
  return {
    position: await positionResize(data.array("position"), grid("old_grid"), grid("new_grid")),
  };
}

async function classify(data: GoldenCase): Promise<Outputs> {
  if (!has(data, "prompt_features")) return {};
  const classifier = zeroShotClassifier(data.array("prompt_features"));
  const outputs: Record<string, Actual> = { class_vectors: classifier.classVectors };
  if (!has(data, "features")) return outputs;
  const features = data.array("features");
  outputs.logits = await classifier.logits(features);
  if (!has(data, "labels")) return outputs;
  const { k = 5 } = givenNumbers(data, { k: "k" });
  const shares = await classifier.accuracy(features, data.list("labels"), [1, k]);
  return { ...outputs, top1: shares.get(1) as number, topk: shares.get(k) as number };
}

/** Ranks for every expected "X_to_Y" of the sets `text`, `modality_a`, `modality_b` and their joint embedding. */
async function retrieve(data: GoldenCase): Promise<Outputs> {
  const sets: Record<string, NDArray> = {};
  for (const key of ["text", "modality_a", "modality_b"])
    if (has(data, key)) sets[key.replace("modality_", "")] = normalizeRows(data.array(key));
  if (sets.a && sets.b) sets.joint = jointEmbedding([sets.a, sets.b]);
  const outputs: Record<string, Actual> = { ...(sets.joint && { joint: sets.joint }) };
  for (const name of data.expected) {
    const [queries, items] = name.split("_to_").map((set) => sets[set]);
    if (!queries || !items) continue;
    const cosines = await matmul(asTensor(queries), asTensor(items), { transposeB: true }).data();
    const { r1, r5, r10, medianRank, meanRank } = retrievalMetrics(cosines);
    const measures = { r1, r5, r10, median_rank: medianRank, mean_rank: meanRank };
    for (const [measure, value] of Object.entries(measures)) outputs[`${name}/${measure}`] = value;
  }
  return outputs;
}

const functions: Readonly<Record<string, (data: GoldenCase) => Outputs | Promise<Outputs>>> = {
  LanguageContrastiveLoss: contrast,
  LoRALinear: lora,
  PatchDropout: dropout,
  TemporalAttentionStep: temporal,
  DepthTransform: depth,
  AudioChunkFusion: audio,
  PositionResize: position,
  ZeroShotClassifier: classify,
  RetrievalMetrics: retrieve,
  JointEmbedding: retrieve,
};

/** The functions that can be asked for. */
const goldenFunctions = Object.keys(functions);

/** What our components make of a case's inputs, by the names of its expected values. */
async function goldenOutputs(data: GoldenCase): Promise<Outputs> {
  const outputs: Record<string, Actual> = {};
  for (const name of data.function.split(",")) {
    const compute = functions[name.trim()];
    if (!compute)
      throw new Error(`golden.json asks for '${name}', which is none of ${goldenFunctions.join(", ")}`);
    Object.assign(outputs, await compute(data));
  }
  return outputs;
}

const golden = goldenCases(import.meta.url);

/** What the paper or its scripts fix, by the file's names: cases must come out the same where these are left out. */
const paperSettings = { alpha: 16, max_depth: 10, mean: -4.2677393, std: 4.5689974 };

describe("golden cases", () => {
  it("cover every function", () => {
    const named = golden.functions.flatMap((name) => name.split(","));
    expect(named.sort()).toEqual([...goldenFunctions].sort());
  });

  it.each(golden.names)("%s, also where the paper's settings are left out", async (name) => {
    const whole = golden.of(name);
    const changed = Object.entries(whole.inputs).filter(
      ([key, value]) => value !== (paperSettings as Record<string, unknown>)[key],
    );
    for (const inputs of [whole.inputs, Object.fromEntries(changed)]) {
      const data = golden.of(name);
      const outputs = await goldenOutputs({ ...data, inputs });
      const keys = Object.keys(outputs).filter((key) => data.expected.includes(key.split("/")[0] as string));
      for (const key of keys) data.compare(key, outputs[key] as never);
      data.expectAllCompared();
    }
  });
});
