import { swappedPrediction } from "@concord/align";
import {
  compile,
  evaluate,
  mul,
  type NDArray,
  type Tensor,
  tensor,
  toNumbers,
  valueAndGrad,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { goldenCases, type Numbers } from "../../../test/golden.ts";
import { larcSgdStep } from "./larc.ts";
import { lrSchedule } from "./lr-schedule.ts";
import { asInput, matrix, plainCodes, plainLoss, random, sums } from "./plain-loops.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { swappedPredictionLossWithQueue } from "./queue.ts";
import { sinkhornKnopp } from "./sinkhorn-knopp.ts";
import { swappedPredictionLoss } from "./swapped-prediction.ts";

const { names, of: goldenCase } = goldenCases(import.meta.url);

/** The settings of a golden case of the loss, as they stand in the file. */
function lossOptions(data: ReturnType<typeof goldenCase>) {
  return {
    nCrops: data.number("n_crops"),
    batchSize: data.number("batch_size"),
    cropsForAssign: data.list("crops_for_assign").map(Number),
    temperature: data.number("temperature"),
    eps: data.number("eps"),
    iters: data.number("iters"),
  };
}

type LossInputs = { readonly projections: Tensor; readonly prototypes: Tensor };

describe("golden cases", () => {
  it("covers every case", () => {
    expect(names).toEqual([
      "sinkhorn_default",
      "sinkhorn_many_iters",
      "swapped_loss_two_views",
      "swapped_loss_multi_crop",
      "swapped_loss_with_queue",
      "queue_not_full_yet",
      "larc_sgd_two_steps",
      "lr_schedule",
    ]);
  });

  it("sinkhorn_default", async () => {
    const data = goldenCase("sinkhorn_default");
    const given = { eps: data.number("eps"), iters: data.number("iters") };
    data.compare("Q", toNumbers(await sinkhornKnopp(data.tensor("scores"), given).data()));
    // The paper's settings are the defaults.
    data.compare("Q", toNumbers(await sinkhornKnopp(data.tensor("scores")).data()));
    data.expectAllCompared();
  });

  it("sinkhorn_many_iters", async () => {
    const data = goldenCase("sinkhorn_many_iters");
    const given = { eps: data.number("eps"), iters: data.number("iters") };
    const codes = await sinkhornKnopp(data.tensor("scores"), given).data();
    data.compare("Q", toNumbers(codes));
    data.compare("row_sums", sums(codes, 1));
    data.compare("column_sums", sums(codes, 0));
    data.expectAllCompared();
  });

  it.each(["swapped_loss_two_views", "swapped_loss_multi_crop"])("%s", async (name) => {
    const data = goldenCase(name);
    const inputs = {
      projections: data.tensor("projections"),
      prototypes: normalizePrototypes(data.tensor("prototypes")),
    };
    const { value, aux, gradients } = valueAndGradWithAux(({ projections, prototypes }: LossInputs) => {
      const result = swappedPredictionLoss(projections, prototypes, lossOptions(data));
      return { value: result.loss, aux: result };
    })(inputs);
    const found = await evaluate({ value, codes: aux.codes, scores: aux.scores, gradients });
    data.compare("loss", toNumbers(found.value));
    found.codes.forEach((codes, a) => data.compare(`codes_view${a}`, toNumbers(codes)));
    if (name === "swapped_loss_two_views") data.compare("scores", toNumbers(found.scores));
    data.compare("grad_projections", toNumbers(found.gradients.projections));
    data.compare("grad_normalised_prototypes", toNumbers(found.gradients.prototypes));
    data.expectAllCompared();
  });

  it.each(["swapped_loss_with_queue", "queue_not_full_yet"])("%s", async (name) => {
    const data = goldenCase(name);
    const inputs = {
      projections: data.tensor("projections"),
      prototypes: normalizePrototypes(data.tensor("prototypes")),
    };
    const { value, aux, gradients } = valueAndGradWithAux(({ projections, prototypes }: LossInputs) => {
      const result = swappedPredictionLossWithQueue(
        projections,
        prototypes,
        data.tensor("queue"),
        lossOptions(data),
      );
      return { value: result.loss, aux: result };
    })(inputs);
    const found = await evaluate({
      value,
      codes: aux.codes,
      queue: aux.queue,
      useQueue: aux.useQueue,
      gradients,
    });
    data.compare("loss", toNumbers(found.value));
    data.compare("queue_after", toNumbers(found.queue));
    data.compare("grad_projections", toNumbers(found.gradients.projections));
    data.compare("grad_normalised_prototypes", toNumbers(found.gradients.prototypes));
    if (name === "swapped_loss_with_queue")
      found.codes.forEach((codes, a) => data.compare(`codes_view${a}`, toNumbers(codes)));
    expect(Number(found.useQueue.data[0])).toBe(name === "swapped_loss_with_queue" ? 1 : 0);
    data.expectAllCompared();
  });

  it("larc_sgd_two_steps", async () => {
    const data = goldenCase("larc_sgd_two_steps");
    const options = {
      weightDecay: data.number("weight_decay"),
      trustCoefficient: data.number("trust_coefficient"),
      momentum: data.number("momentum"),
      eps: data.number("eps"),
    };
    const gradients = ["grads_step1", "grads_step2"].map((step) => [data.value(step)].flat() as Numbers[]);
    let params = ([data.value("params")].flat() as Numbers[]).map((value) => tensor(value));
    let buffers = params.map((param) => mul(param, 0));
    for (const [i, list] of gradients.entries()) {
      const next = params.map((param, p) =>
        larcSgdStep(param, tensor(list[p] as Numbers), buffers[p] as Tensor, data.number("lr"), options),
      );
      params = next.map(({ param }) => param);
      buffers = next.map(({ buffer }) => buffer);
      const values = await Promise.all(params.map(async (param) => toNumbers(await param.data())));
      data.compare(`params_after_step${i + 1}`, values.flat());
    }
    const values = await Promise.all(buffers.map(async (buffer) => toNumbers(await buffer.data())));
    data.compare("momentum_after_step2", values.flat());
    data.expectAllCompared();
  });

  it("lr_schedule", () => {
    const data = goldenCase("lr_schedule");
    const table = lrSchedule({
      stepsPerEpoch: data.number("steps_per_epoch"),
      warmupEpochs: data.number("warmup_epochs"),
      epochs: data.number("epochs"),
      startWarmup: data.number("start_warmup"),
      baseLr: data.number("base_lr"),
      finalLr: data.number("final_lr"),
    });
    data.compare("lr", table);
    data.expectAllCompared();
  });
});

describe("codes", () => {
  it("are those of the plain loops, rows adding up to 1, for B ≠ K", async () => {
    for (const [B, K, eps, iters] of [
      [3, 7, 0.05, 3],
      [11, 4, 0.2, 5],
      [1, 3, 0.05, 1],
    ] as const) {
      const scores = await mul(random(B, [B, K]), 0.4).data();
      const codes = await sinkhornKnopp(tensor(matrix(scores)), { eps, iters }).data();
      expect(sums(codes, 1).every((total) => Math.abs(total - 1) < 1e-5)).toBe(true);
      const expected = plainCodes(matrix(scores), eps, iters).flat();
      toNumbers(codes).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 5));
    }
  });

  it("use all prototypes equally where a softmax of each sample uses one", async () => {
    // All samples prefer prototype 0.
    const scores = Array.from({ length: 12 }, (_, b) => [0.9, 0.3 + 0.02 * b, 0.2 - 0.02 * b]);
    const codes = await sinkhornKnopp(tensor(scores), { iters: 50 }).data();
    for (const mass of sums(codes, 0)) expect(mass).toBeCloseTo(4, 2);
  });

  it("do not overflow for scores far beyond cosines", async () => {
    const codes = await sinkhornKnopp(
      tensor([
        [900, -900],
        [880, 905],
      ]),
    ).data();
    expect(toNumbers(codes).every(Number.isFinite)).toBe(true);
    expect(sums(codes, 1)).toEqual([1, 1]);
  });

  it("refuse bad settings", () => {
    const scores = tensor([[0.1, 0.2]]);
    expect(() => sinkhornKnopp(scores, { eps: 0 })).toThrow(/epsilon must be > 0, got 0/);
    expect(() => sinkhornKnopp(scores, { iters: 1.5 })).toThrow(/iterations must be an integer >= 1/);
    expect(() => sinkhornKnopp(tensor([1, 2]))).toThrow(/scores/);
  });
});

describe("swapped prediction", () => {
  const [V, B, D, K] = [4, 3, 5, 7];
  const projections = asInput(random(1, [V * B, D]));
  const prototypes = normalizePrototypes(asInput(random(2, [K, D])));
  const options = { nCrops: V, batchSize: B };

  it.each([[[0, 1]], [[2]], [[3, 0, 1]]])(
    "is the plain double sum when crops %j give codes",
    async (cropsForAssign) => {
      const found = await evaluate(
        swappedPredictionLoss(projections, prototypes, { ...options, cropsForAssign }),
      );
      const scores = Array.from({ length: V }, (_, v) => matrix(found.scores).slice(v * B, (v + 1) * B));
      const codes = new Map(cropsForAssign.map((a) => [a, plainCodes(scores[a] as number[][], 0.05, 3)]));
      expect(Number(found.loss.data[0])).toBeCloseTo(plainLoss(scores, codes, 0.1), 4);
    },
  );

  it("never lets a crop predict its own code, nor a small crop give one", async () => {
    // With one crop giving codes, that crop's own projections get no gradient: it predicts nothing, and codes are constants.
    const gradients = await compile(
      () =>
        valueAndGrad(
          (p: Tensor) => swappedPredictionLoss(p, prototypes, { ...options, cropsForAssign: [1] }).loss,
        )(projections).gradients,
    )();
    const rows = matrix(gradients);
    for (let v = 0; v < V; v++) {
      const size = rows
        .slice(v * B, (v + 1) * B)
        .flat()
        .reduce((total, g) => total + Math.abs(g), 0);
      if (v === 1) expect(size).toBe(0);
      else expect(size).toBeGreaterThan(0.01);
    }
    const found = await evaluate(swappedPredictionLoss(projections, prototypes, options));
    expect(found.codes).toHaveLength(2);
  });

  it("has the gradient (p - Q) / τ B in the scores, codes held constant", async () => {
    const [rows, temperature] = [4, 0.1];
    const scores = [random(3, [rows, K]), random(4, [rows, K]), random(5, [rows, K])].map((array) =>
      mul(array, 0.3),
    );
    const codes = scores.slice(0, 2).map((s) => sinkhornKnopp(s));
    const gradients = valueAndGrad((given: readonly Tensor[]) =>
      swappedPrediction(
        given,
        given.slice(0, 2).map((s) => sinkhornKnopp(s)),
        { temperature },
      ),
    )(scores).gradients;
    const found = await evaluate({ gradients, codes, scores });
    for (let v = 0; v < 3; v++) {
      const expected = matrix(found.scores[v] as NDArray).map((row, b) => {
        const total = row.reduce((sum, s) => sum + Math.exp(s / temperature), 0);
        return row.map((s, k) =>
          [0, 1]
            .filter((a) => a !== v)
            .reduce((sum, a) => {
              const code = matrix(found.codes[a] as NDArray)[b]?.[k] as number;
              return sum + (Math.exp(s / temperature) / total - code) / (temperature * rows) / 4;
            }, 0),
        );
      });
      const got = toNumbers(found.gradients[v] as NDArray);
      expected.flat().forEach((value, i) => expect(got[i]).toBeCloseTo(value, 4));
    }
  });

  it("refuses crops and rows that do not fit", () => {
    const loss = (more: object) => () =>
      swappedPredictionLoss(projections, prototypes, { ...options, ...more });
    expect(loss({ nCrops: 1 })).toThrow(/nCrops must be an integer >= 2, got 1/);
    expect(loss({ nCrops: 5 })).toThrow(/5 crops of 3 images make 15 rows, got 12/);
    expect(loss({ cropsForAssign: [] })).toThrow(/different crops from 0 to 3, got \[\]/);
    expect(loss({ cropsForAssign: [0, 0] })).toThrow(/different crops/);
    expect(loss({ cropsForAssign: [4] })).toThrow(/different crops/);
    expect(loss({ temperature: -1 })).toThrow(/temperature must be > 0/);
  });
});
