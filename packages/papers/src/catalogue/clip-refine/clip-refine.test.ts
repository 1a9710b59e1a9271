import {
  alignmentMetrics,
  classVectors,
  retrievalRecall,
  zeroShotAccuracy,
  zeroShotLogits,
} from "@concord/align";
import {
  adamw,
  compile,
  createTrainer,
  grad,
  matmul,
  type Tensor,
  transpose,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { goldenCases } from "../../../test/golden.ts";
import { lossAndGradients } from "../../../test/pair-gradients.ts";
import { hybridDivergence, hybridTargets, hycd, type PairFeatures, pairLogits } from "./hycd.ts";
import { clipRefineObjective } from "./objective.ts";
import { rafa, referenceFromNoise } from "./rafa.ts";

const { names, of: goldenCase } = goldenCases(import.meta.url);

describe("golden cases", () => {
  it("covers every case", () => {
    expect(names).toEqual([
      "rafa_shared_reference",
      "rafa_prior_and_unshared",
      "hycd_default",
      "hycd_alpha_temperature",
      "hycd_cosine_limits",
      "objective_two_steps",
      "feature_space_metrics",
      "zero_shot_and_retrieval",
    ]);
  });

  it("rafa_shared_reference", async () => {
    const data = goldenCase("rafa_shared_reference");
    const features = { image: data.tensor("z_img"), text: data.tensor("z_txt") };
    const reference = data.tensor("z_ref");
    for (const [reduction, suffix] of [
      ["elementMean", "element_mean"],
      ["paper", "paper"],
    ] as const) {
      const result = await lossAndGradients(features, ({ image, text }) =>
        rafa(image, text, { image: reference, text: reference }, { reduction }),
      );
      data.compare(`loss_${suffix}`, result.value);
      data.compare(`grad_z_img_${suffix}`, result.image);
      data.compare(`grad_z_txt_${suffix}`, result.text);
    }
    data.expectAllCompared();
  });

  it("rafa_prior_and_unshared", async () => {
    const data = goldenCase("rafa_prior_and_unshared");
    const features = { image: data.tensor("z_img"), text: data.tensor("z_txt") };
    const prior = { kind: "normal", mean: data.number("mu"), deviation: data.number("sigma") } as const;
    const image = referenceFromNoise(data.tensor("eps_img"), prior);
    const text = referenceFromNoise(data.tensor("eps_txt"), prior);
    data.compare("z_ref_img", await image.data());
    data.compare("z_ref_txt", await text.data());
    data.compare("loss_shared", await rafa(features.image, features.text, { image, text: image }).data());
    const unshared = await lossAndGradients(features, (f) => rafa(f.image, f.text, { image, text }));
    data.compare("loss_unshared", unshared.value);
    data.compare("grad_z_img", unshared.image);
    data.compare("grad_z_txt", unshared.text);
    data.expectAllCompared();
  });

  it.each(["hycd_default", "hycd_alpha_temperature"])("%s", async (name) => {
    const data = goldenCase(name);
    const features = { image: data.tensor("z_img"), text: data.tensor("z_txt") };
    const teacher = { image: data.tensor("teacher_img"), text: data.tensor("teacher_txt") };
    const options = { alpha: data.number("alpha"), temperature: data.number("temperature") };
    const [S, S2] = [pairLogits(features), pairLogits(teacher)];
    data.compare("q_it", await hybridTargets(S2, 0, options.temperature).data());
    data.compare("target_it", await hybridTargets(S2, options.alpha, options.temperature).data());
    data.compare("target_ti", await hybridTargets(transpose(S2), options.alpha, options.temperature).data());
    data.compare("loss_it", await hybridDivergence(S, S2, options).data());
    data.compare("loss_ti", await hybridDivergence(transpose(S), transpose(S2), options).data());
    const result = await lossAndGradients(features, (student) => hycd(student, teacher, options));
    data.compare("loss", result.value);
    data.compare("grad_z_img", result.image);
    data.compare("grad_z_txt", result.text);
    data.expectAllCompared();
  });

  it("hycd_cosine_limits", async () => {
    const data = goldenCase("hycd_cosine_limits");
    const features = { image: data.tensor("z_img"), text: data.tensor("z_txt") };
    const teacher = { image: data.tensor("teacher_img"), text: data.tensor("teacher_txt") };
    const logitScale = data.number("logit_scale");
    for (const alpha of [0, 0.5, 1]) {
      const result = await lossAndGradients(features, (student) =>
        hycd(student, teacher, {
          logits: "cosine",
          logitScale,
          alpha,
          temperature: data.number("temperature"),
        }),
      );
      data.compare(`loss_alpha_${alpha}`, result.value);
      data.compare(`grad_z_img_alpha_${alpha}`, result.image);
    }
    data.expectAllCompared();
  });

  it("objective_two_steps", async () => {
    const data = goldenCase("objective_two_steps");
    const weights = { image: data.array("w_img"), text: data.array("w_txt") };
    const [images, texts] = [data.tensor("x_img"), data.tensor("x_txt")];
    const encode = (w: PairFeatures): PairFeatures => ({
      image: matmul(images, w.image),
      text: matmul(texts, w.text),
    });
    const teacher = encode({ image: data.tensor("w_img"), text: data.tensor("w_txt") });
    const objective = (w: PairFeatures, reference: Tensor) => {
      const parts = clipRefineObjective(
        encode(w),
        teacher,
        { image: reference, text: reference },
        {
          alpha: data.number("alpha"),
          temperature: data.number("temperature"),
          lambdaRafa: data.number("lambda_rafa"),
          lambdaHycd: data.number("lambda_hycd"),
        },
      );
      return { value: parts.loss, aux: parts };
    };
    const start = compile((w: PairFeatures, reference: Tensor) =>
      grad((x: PairFeatures) => objective(x, reference).value)(w),
    );
    const first = await start(weights, data.array("z_ref_step_1"));
    data.compare("grad_w_img_step_1", first.image);
    data.compare("grad_w_txt_step_1", first.text);

    const optimiser = adamw({
      learningRate: data.number("lr"),
      weightDecay: data.number("weight_decay"),
      beta1: data.number("beta1"),
      beta2: data.number("beta2"),
      epsilon: data.number("eps"),
    });
    const trainer = createTrainer({
      state: { params: weights, optimiser: optimiser.init(weights) },
      step: (state, reference: Tensor) => {
        const { aux, gradients } = valueAndGradWithAux(objective)(state.params, reference);
        const next = optimiser.update(state.params, gradients, state.optimiser);
        const metrics = { loss: aux.loss, rafa: aux.rafa, hycd: aux.hycd };
        return { state: { params: next.params, optimiser: next.state }, metrics };
      },
    });
    for (const step of [1, 2]) {
      const metrics = await trainer.step(data.array(`z_ref_step_${step}`));
      data.compare(`loss_total_step_${step}`, metrics.loss);
      data.compare(`loss_rafa_step_${step}`, metrics.rafa);
      data.compare(`loss_hycd_step_${step}`, metrics.hycd);
    }
    data.compare("w_img_after_2", trainer.state().params.image);
    data.compare("w_txt_after_2", trainer.state().params.text);
    await trainer.close();
    data.expectAllCompared();
  });

  it("feature_space_metrics", async () => {
    const data = goldenCase("feature_space_metrics");
    const metrics = await alignmentMetrics(data.array("z_img"), data.array("z_txt"));
    data.compare("modality_gap_mse", metrics.modalityGap.mse);
    data.compare("modality_gap_l2", metrics.modalityGap.l2);
    data.compare("alignment", metrics.alignment);
    data.compare("uniformity_exp", metrics.uniformity.potential);
    data.compare("uniformity_log", metrics.uniformity.log);
    data.compare("mean_pair_distance", metrics.meanPairDistance);
    data.expectAllCompared();
  });

  it("zero_shot_and_retrieval", async () => {
    const data = goldenCase("zero_shot_and_retrieval");
    const images = data.array("image_features");
    const classes = classVectors(data.array("class_text_features"), [0, 1, 2], 3);
    data.compare("logits", await zeroShotLogits(images, classes));
    const accuracy = await zeroShotAccuracy(images, classes, data.list("labels"));
    data.compare("predictions", Array.from(accuracy.predictions));
    data.compare("accuracy", accuracy.top1);
    data.compare("mean_per_class_recall", accuracy.meanPerClassRecall);
    const recall = await retrievalRecall(
      images,
      data.array("caption_features"),
      data.list("caption_owner"),
      [1, 3],
    );
    for (const k of [1, 3]) {
      data.compare(`text_to_image_recall_${k}`, recall.textToImage.get(k) as number);
      data.compare(`image_to_text_recall_${k}`, recall.imageToText.get(k) as number);
    }
    data.expectAllCompared();
  });
});
