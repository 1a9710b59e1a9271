import {
  add,
  compile,
  createTrainer,
  gradients,
  mul,
  type NDArray,
  ndarray,
  sum,
  type Tensor,
  type Traced,
  tensor,
  toNumbers,
  transpose,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { goldenCases } from "../../../test/golden.ts";
import { type AdaptiveGatedSelectionParams, adaptiveGatedSelection } from "./adaptive-gated-selection.ts";
import { bertAdam, warmupCosine } from "./bert-adam.ts";
import { grn } from "./grn.ts";
import { hashLossGroup, sharedLabels } from "./hash-loss.ts";
import { type MambaParams, mambaBlock } from "./mamba-block.ts";
import { meanAveragePrecision } from "./mean-average-precision.ts";
import { promptAffinityAlignment } from "./prompt-affinity-alignment.ts";
import { textAffinityPrompt } from "./text-affinity-prompt.ts";

const golden = goldenCases(import.meta.url);
type GoldenCase = ReturnType<typeof golden.of>;

function mambaOf(data: GoldenCase, path: string): Traced<MambaParams> {
  return {
    input: { weight: data.transposed(`${path}/in_proj`) },
    kernel: data.tensor(`${path}/conv_w`),
    kernelBias: data.tensor(`${path}/conv_b`),
    selection: { weight: data.transposed(`${path}/x_proj`) },
    step: { weight: data.transposed(`${path}/dt_w`), bias: data.tensor(`${path}/dt_b`) },
    logA: data.tensor(`${path}/A_log`),
    skip: data.tensor(`${path}/Dskip`),
    output: { weight: data.transposed(`${path}/out_proj`) },
  };
}

/** A list of arrays that differ in shape. */
const arrays = (list: unknown): NDArray[] => (list as number[][]).map((entry) => ndarray(entry));

/** Options by their names in the file; one that the file leaves out keeps its default. */
function optionsOf<N extends string>(
  data: GoldenCase,
  names: Readonly<Record<N, string>>,
): Partial<Record<N, number>> {
  const given = Object.entries<string>(names).filter(([, name]) => name in data.inputs);
  return Object.fromEntries(given.map(([option, name]) => [option, data.number(name)])) as never;
}

/** ⟨upstream, y⟩, whose gradients the golden cases hold. */
const against = (y: Tensor, upstream: Tensor): Tensor => sum(mul(y, upstream));

describe("golden cases", () => {
  it("covers every case", () => {
    expect(golden.names).toEqual([
      "text_affinity_prompt",
      "grn",
      "mamba_block",
      "adaptive_gated_selection",
      "hash_loss_group",
      "prompt_affinity_alignment",
      "map_hamming",
      "bert_adam",
    ]);
  });

  it("text_affinity_prompt", async () => {
    const data = golden.of("text_affinity_prompt");
    const tokens = data.tensor("tokens_after_prompt_transformer");
    expect(tokens.shape[1]).toBe(2 * data.number("text_length"));
    const [projection, gain, bias] = ["text_projection", "ln_weight", "ln_bias"].map(data.tensor) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const endIndex = tensor(Array.from(toNumbers(data.array("eot_index"))), { dtype: "int32" });
    const { text, prompt } = textAffinityPrompt(tokens, { endIndex, norm: { gain, bias }, projection });
    const [dTokens, dProjection, dGain, dBias] = gradients(
      add(against(text, data.tensor("upstream_text")), against(prompt, data.tensor("upstream_prompt"))),
      [tokens, projection, gain, bias],
    ) as [Tensor, Tensor, Tensor, Tensor];
    const got = await compile(() => ({ text, prompt, dTokens, dProjection, dGain, dBias }))();
    data.compare("text_feature", got.text);
    data.compare("prompt_feature", got.prompt);
    data.compare("grad_tokens", got.dTokens);
    data.compare("grad_text_projection", got.dProjection);
    data.compare("grad_ln_weight", got.dGain);
    data.compare("grad_ln_bias", got.dBias);
    data.expectAllCompared();
  });

  it("grn", async () => {
    const data = golden.of("grn");
    const [x, gamma, beta] = ["x", "gamma", "beta"].map(data.tensor) as [Tensor, Tensor, Tensor];
    const y = grn(x, { gamma, beta });
    const [dx, dGamma, dBeta] = gradients(against(y, data.tensor("upstream")), [x, gamma, beta]) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const got = await compile(() => ({ y, dx, dGamma, dBeta }))();
    data.compare("y", got.y);
    data.compare("grad_x", got.dx);
    data.compare("grad_gamma", got.dGamma);
    data.compare("grad_beta", got.dBeta);
    data.expectAllCompared();
  });

  it("mamba_block", async () => {
    const data = golden.of("mamba_block");
    const x = data.tensor("x");
    const params = mambaOf(data, "params");
    const y = mambaBlock(params, x);
    // Gradients of matrices are compared in the orientation of the golden file.
    const places: Record<string, readonly [Tensor, boolean]> = {
      in_proj: [params.input.weight, true],
      conv_w: [params.kernel, false],
      conv_b: [params.kernelBias, false],
      x_proj: [params.selection.weight, true],
      dt_w: [params.step.weight, true],
      dt_b: [params.step.bias as Tensor, false],
      A_log: [params.logA, false],
      Dskip: [params.skip, false],
      out_proj: [params.output.weight, true],
    };
    const [dx, ...rest] = gradients(against(y, data.tensor("upstream")), [
      x,
      ...Object.values(places).map(([leaf]) => leaf),
    ]) as [Tensor, ...Tensor[]];
    const turned = Object.entries(places).map(([name, [, matrix]], i) => {
      const gradient = rest[i] as Tensor;
      return [name, matrix ? transpose(gradient) : gradient] as const;
    });
    const got = await compile(() => ({ y, dx, params: Object.fromEntries(turned) }))();
    data.compare("y", got.y);
    data.compare("grad_x", got.dx);
    for (const [name] of turned) data.compare(`grad_params/${name}`, got.params[name] as NDArray);
    data.expectAllCompared();
  });

  it("adaptive_gated_selection", async () => {
    const data = golden.of("adaptive_gated_selection");
    const x = data.tensor("x");
    const params: Traced<AdaptiveGatedSelectionParams> = {
      input: { weight: data.transposed("params/nin_w"), bias: data.tensor("params/nin_b") },
      output: { weight: data.transposed("params/nin2_w"), bias: data.tensor("params/nin2_b") },
      inputNorm: { gamma: data.tensor("params/grn1_gamma"), beta: data.tensor("params/grn1_beta") },
      outputNorm: { gamma: data.tensor("params/grn2_gamma"), beta: data.tensor("params/grn2_beta") },
      mamba: mambaOf(data, "mamba"),
      temperature: tensor(data.number("params/temp"), { shape: [] }),
      gateWeight: tensor(data.number("params/weight_gate"), { shape: [] }),
    };
    for (const layout of ["batch", "modality"] as const) {
      const y = adaptiveGatedSelection(params, x, { layout });
      const [dx, dTemperature, dGate, dInput, dLogA] = gradients(against(y, data.tensor("upstream")), [
        x,
        params.temperature,
        params.gateWeight,
        params.input.weight,
        params.mamba.logA,
      ]) as [Tensor, Tensor, Tensor, Tensor, Tensor];
      const got = await compile(() => ({ y, dx, dTemperature, dGate, dInput: transpose(dInput), dLogA }))();
      data.compare(`${layout}/y`, got.y);
      data.compare(`${layout}/grad_x`, got.dx);
      data.compare(`${layout}/grad_temp`, got.dTemperature);
      data.compare(`${layout}/grad_weight_gate`, got.dGate);
      data.compare(`${layout}/grad_nin_w`, got.dInput);
      data.compare(`${layout}/grad_A_log`, got.dLogA);
    }
    data.expectAllCompared();
  });

  it("hash_loss_group", async () => {
    const data = golden.of("hash_loss_group");
    const [imageCodes, textCodes] = [data.tensor("image_codes"), data.tensor("text_codes")];
    const similarity = sharedLabels(data.tensor("buffer_labels"), data.tensor("batch_labels"));
    const losses = hashLossGroup(
      {
        imageCodes,
        textCodes,
        imageBuffer: data.tensor("image_buffer"),
        textBuffer: data.tensor("text_buffer"),
        similarity,
        binaryTargets: data.tensor("binary_targets"),
      },
      optionsOf(data, {
        intraWeight: "w_intra",
        interWeight: "w_inter",
        quantWeight: "w_quant",
        groupWeight: "group_weight",
      }),
    );
    const [dImage, dText] = gradients(losses.loss, [imageCodes, textCodes]) as [Tensor, Tensor];
    const got = await compile(() => ({ similarity, ...losses, dImage, dText }))();
    data.compare("similarity", got.similarity);
    data.compare("losses/intra_image", got.intraImage);
    data.compare("losses/intra_text", got.intraText);
    data.compare("losses/inter", got.inter);
    data.compare("losses/quantization", got.quantization);
    data.compare("losses/total", got.loss);
    data.compare("grad_image_codes", got.dImage);
    data.compare("grad_text_codes", got.dText);
    data.expectAllCompared();
  });

  it("prompt_affinity_alignment", async () => {
    const data = golden.of("prompt_affinity_alignment");
    const features = {
      image: data.tensor("image"),
      text: data.tensor("text"),
      prompt: data.tensor("prompt"),
    };
    const parts = promptAffinityAlignment(
      features,
      optionsOf(data, {
        globalTemperature: "tau_global",
        localTemperature: "tau_local",
        globalWeight: "w_global",
        localWeight: "w_local",
      }),
    );
    const [image, text, prompt] = gradients(parts.loss, Object.values(features)) as [Tensor, Tensor, Tensor];
    const got = await compile(() => ({ ...parts, image, text, prompt }))();
    data.compare("divergence", got.divergence);
    data.compare("local_temperature", got.localTemperature);
    data.compare("global_loss", got.global);
    data.compare("local_loss", got.local);
    data.compare("total", got.loss);
    data.compare("grad_image", got.image);
    data.compare("grad_text", got.text);
    data.compare("grad_prompt", got.prompt);
    data.expectAllCompared();
  });

  it("map_hamming", () => {
    const data = golden.of("map_hamming");
    const [queries, database, queryLabels, databaseLabels] = [
      "query_codes",
      "database_codes",
      "query_labels",
      "database_labels",
    ].map(data.array) as [NDArray, NDArray, NDArray, NDArray];
    const all = meanAveragePrecision(queries, database, queryLabels, databaseLabels);
    data.compare("map_all", all.meanAveragePrecision);
    data.compare("ap_all", all.perQuery);
    const first = optionsOf(data, { firstRelevant: "k_small" });
    const few = meanAveragePrecision(queries, database, queryLabels, databaseLabels, first);
    data.compare("map_first_k_relevant", few.meanAveragePrecision);
    data.compare("ap_first_k_relevant", few.perQuery);
    data.expectAllCompared();
  });

  it("bert_adam", async () => {
    const data = golden.of("bert_adam");
    const steps = (data.inputs.grads_per_step as unknown[]).map(arrays);
    const schedule = {
      learningRate: data.number("lr"),
      totalSteps: data.number("total_steps"),
      ...optionsOf(data, { warmup: "warmup" }),
    };
    const optimiser = bertAdam({
      ...schedule,
      ...optionsOf(data, {
        beta1: "b1",
        beta2: "b2",
        epsilon: "eps",
        weightDecay: "weight_decay",
        maximumNorm: "max_grad_norm",
      }),
    });
    const params = { tensors: arrays(data.inputs.params) };
    const trainer = createTrainer({
      state: { params, optimiser: optimiser.init(params) },
      step: (state, given: { readonly tensors: readonly Tensor[] }) => {
        const next = optimiser.update(state.params, given as typeof state.params, state.optimiser);
        return { state: { params: next.params, optimiser: next.state }, metrics: {} };
      },
    });
    for (const step of steps) await trainer.step({ tensors: step });
    data.compare(
      "params_after",
      trainer.state().params.tensors.flatMap((array) => Array.from(toNumbers(array))),
    );
    await trainer.close();
    const rates = await compile(() => steps.map((_, step) => warmupCosine(schedule)(tensor(step))))();
    data.compare(
      "lr_per_step",
      rates.map((rate) => Number(rate.data[0])),
    );
    data.expectAllCompared();
  });
});
