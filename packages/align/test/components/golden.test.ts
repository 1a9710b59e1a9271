import { existsSync, readFileSync } from "node:fs";
import {
  argmax,
  cast,
  compile,
  greaterOrEqual,
  l2Normalize,
  logicalAnd,
  matmul,
  max,
  mul,
  type NDArray,
  narrow,
  oneHot,
  resize,
  softmax,
  sum,
  type Tensor,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  classMeans,
  cosineRamp,
  gumbelSoftmax,
  informationMaximization,
  linearRamp,
  meanPredictionEntropy,
  mix,
  mixup,
  mosaic,
  mosaicBoxes,
  prototypeAlignment,
  sinkhornCodes,
  swappedPrediction,
  updateBank,
  updatePrototypes,
  updateTeacher,
  whiten,
} from "../../src/index.ts";
import { expectClose, flags, gradientOf, integers, run, wide } from "./support.ts";

/** Expected values of papers' components, from a folder beside the repository that a checkout need not have. */
const folder = new URL("../../../../../shared/golden/", import.meta.url);

/** What the cases below read; the shape of each is its function's own. */
type Names =
  | "box_side"
  | "boxes"
  | "images"
  | "s"
  | "out_size"
  | "mosaic"
  | "resized"
  | "logits_unlabeled"
  | "gumbel"
  | "tau"
  | "soft_label"
  | "entropy"
  | "grad_logits"
  | "Q"
  | "at_epochs"
  | "at_iters"
  | "batch"
  | "batch_pool_index"
  | "batch_size"
  | "clip"
  | "crops_for_assign"
  | "epochs"
  | "eps"
  | "features"
  | "gamma"
  | "grad_batch"
  | "grad_features"
  | "grad_normalised_prototypes"
  | "grad_projections"
  | "grad_x"
  | "groups"
  | "iters"
  | "iters_per_epoch"
  | "labels"
  | "lam_raw"
  | "logits"
  | "loss"
  | "mask"
  | "memory"
  | "mix_ratio"
  | "mixed"
  | "momentum"
  | "momentum_end"
  | "momentum_start"
  | "n_class"
  | "n_classes"
  | "n_crops"
  | "new_emb"
  | "new_teacher_w3"
  | "old"
  | "other_background"
  | "perm"
  | "permutation"
  | "permutations"
  | "present"
  | "projections"
  | "prototypes"
  | "queue"
  | "scores"
  | "seen"
  | "source"
  | "source_valid"
  | "stop_gradient_through_matrix"
  | "target"
  | "target_valid"
  | "teacher_temp"
  | "teacher_w3"
  | "temp_end"
  | "temp_start"
  | "temp_warm_epochs"
  | "temperature"
  | "upstream"
  | "upstream_gradient"
  | "views"
  | "w3"
  | "x"
  | "x_mixed"
  | "y"
  | "y_mixed"
  | "y_views"
  | `loss${"" | "_cross_only"}`
  | `grad_source${"" | "_cross_only"}`
  | `threshold_${"hard" | "soft"}`
  | "hard"
  | "soft";
type Values = { readonly [K in Names]: never };

interface Case {
  readonly function: string;
  readonly inputs: Values;
  readonly expected: Values;
  readonly tolerance: number;
}

const present = existsSync(folder);

function cases(slug: string, name: string): readonly Case[] {
  const { cases: all } = JSON.parse(readFileSync(new URL(`${slug}.json`, folder), "utf8"));
  const found = (all as Case[]).filter((one) => one.function.includes(name));
  expect(found.length, `cases of ${name} in ${slug}.json`).toBeGreaterThan(0);
  return found;
}

interface Results {
  readonly means: NDArray;
  readonly present: NDArray;
  readonly prototypes: NDArray;
  readonly seen: NDArray;
}

describe.skipIf(!present)(
  "components against the papers' expected values (skipped without shared/golden)",
  () => {
    it("SwAV: codes", async () => {
      for (const { inputs, expected, tolerance } of cases("swav", "sinkhorn_knopp")) {
        const codes = (s: Tensor) => sinkhornCodes(s, { epsilon: inputs.eps, iterations: inputs.iters });
        expectClose(await run(codes, wide(inputs.scores)), expected.Q, tolerance);
      }
    });

    it("SwAV: swapped prediction, with and without queue", async () => {
      for (const { inputs, expected, tolerance } of cases("swav", "swapped_prediction_loss")) {
        const { n_crops: V, batch_size: B, temperature, eps: epsilon, iters: iterations } = inputs;
        const queue = inputs.queue as readonly (readonly (readonly number[])[])[] | undefined;
        const full = queue?.[0]?.at(-1)?.some((value) => value !== 0);
        const loss = (z: Tensor, c: Tensor, ...queues: Tensor[]) => {
          const scores = matmul(l2Normalize(z), c, { transposeB: true });
          const views = Array.from({ length: V }, (_, v) => narrow(scores, 0, v * B, B));
          const codes = (inputs.crops_for_assign as number[]).map((a) =>
            sinkhornCodes(views[a] as Tensor, {
              epsilon,
              iterations,
              ...(full && { queue: { scores: matmul(queues[a] as Tensor, c, { transposeB: true }) } }),
            }),
          );
          return swappedPrediction(views, codes, { temperature });
        };
        const unit = await run((c) => l2Normalize(c), wide(inputs.prototypes));
        const rest = (queue ?? []).map((rows) => wide(rows));
        const z = wide(inputs.projections);
        expectClose(await run(loss as never, z, unit, ...rest), [expected.loss], tolerance);
        expectClose(await gradientOf(loss as never, z, unit, ...rest), expected.grad_projections, tolerance);
        const byPrototypes = (c: Tensor, x: Tensor, ...queues: Tensor[]) => loss(x, c, ...queues);
        const slope = await gradientOf(byPrototypes as never, unit, z, ...rest);
        expectClose(slope, expected.grad_normalised_prototypes, tolerance);
      }
    });

    it("WhitenedCSE: shuffled group whitening", async () => {
      for (const { inputs, expected, tolerance } of cases("whitenedcse", "shuffled_group_whitening")) {
        const options = {
          groups: inputs.groups,
          ridge: 0,
          iterations: 30,
          stopMatrix: inputs.stop_gradient_through_matrix,
        };
        const white = (x: Tensor, p: Tensor) => whiten(x, { ...options, permutation: p });
        const score = (x: Tensor, p: Tensor, u: Tensor) => sum(mul(white(x, p), u));
        const [x, p] = [wide(inputs.x), integers(inputs.permutation)];
        expectClose(await run(white, x, p), expected.y, tolerance);
        expectClose(
          await gradientOf(score, x, p, wide(inputs.upstream_gradient)),
          expected.grad_x,
          tolerance,
        );
      }
      for (const { inputs, expected, tolerance } of cases("whitenedcse", "sgw_views")) {
        for (const [m, view] of (inputs.views as number[][][]).entries()) {
          const white = (x: Tensor, p: Tensor) =>
            whiten(x, { groups: inputs.groups, permutation: p, ridge: 0, iterations: 30 });
          const y = await run(
            white,
            wide(view),
            integers((inputs.permutations as number[][])[m] as number[]),
          );
          expectClose(y, (expected.y_views as number[][][])[m] as number[][], tolerance);
        }
      }
    });

    it("ProKD: class means, their moving average and alignment", async () => {
      for (const { inputs, expected, tolerance } of cases("prokd", "class_prototypes")) {
        const means = (f: Tensor, y: Tensor) => classMeans(f, y, { classes: inputs.n_classes });
        const args = [wide(inputs.features), integers(inputs.labels)] as const;
        const result = (await run(means, ...args)) as unknown as Results;
        expectClose(result.means, expected.prototypes, tolerance);
        expectClose(result.present, (expected.present as boolean[]).map(Number), 0);
        const score = (f: Tensor, y: Tensor, u: Tensor) => sum(mul(means(f, y).means, u));
        const slope = await gradientOf(score, ...args, wide(inputs.upstream));
        expectClose(slope, expected.grad_features, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("prokd", "pseudo_prototypes")) {
        for (const mode of ["hard", "soft"] as const) {
          const means = (f: Tensor, logits: Tensor, m: Tensor) => {
            const p = softmax(logits);
            const sure = greaterOrEqual(max(p, { axes: 1 }), inputs[`threshold_${mode}`] as number);
            return classMeans(f, mode === "soft" ? p : argmax(p, 1), { classes: p.shape[1] as number, valid: logicalAnd(sure, m) }); // biome-ignore format: one line
          };
          const want = expected[mode] as Values;
          const args = [wide(inputs.features), wide(inputs.logits), flags(inputs.mask)] as const;
          const result = (await run(means, ...args)) as unknown as Results;
          expectClose(result.means, want.prototypes as never, tolerance);
          const score = (f: Tensor, l: Tensor, m: Tensor, u: Tensor) => sum(mul(means(f, l, m).means, u));
          const slope = await gradientOf(score as never, ...args, wide(inputs.upstream));
          expectClose(slope, want.grad_features as never, tolerance);
        }
      }
      for (const { inputs, expected, tolerance } of cases("prokd", "update_prototypes")) {
        const update = (means: Tensor, prototypes: Tensor, seen: Tensor, there: Tensor) =>
          updatePrototypes({ prototypes, seen }, { means, present: there }, { momentum: inputs.momentum });
        const args = [wide(inputs.batch), wide(inputs.old), flags(inputs.seen), flags(inputs.present)] as const; // biome-ignore format: one line
        const result = (await run(update as never, ...args)) as unknown as Results;
        expectClose(result.prototypes, expected.prototypes, tolerance);
        expectClose(result.seen, (expected.seen as boolean[]).map(Number), 0);
        const score = (b: Tensor, o: Tensor, s: Tensor, p: Tensor, u: Tensor) =>
          sum(mul(update(b, o, s, p).prototypes, u));
        const slope = await gradientOf(score as never, ...args, wide(inputs.upstream));
        expectClose(slope, expected.grad_batch, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("prokd", "prototype_alignment_loss")) {
        const args = [wide(inputs.source), wide(inputs.target), flags(inputs.source_valid), flags(inputs.target_valid)] as const; // biome-ignore format: one line
        for (const [suffix, withinSides] of [
          ["", true],
          ["_cross_only", false],
        ] as const) {
          // biome-ignore format: one line
          const loss = (s: Tensor, t: Tensor, m: Tensor, n: Tensor) =>
          prototypeAlignment(s, t, { temperature: inputs.temperature, validSource: m, validTarget: n, withinSides }); // biome-ignore format: one line
          expectClose(await run(loss as never, ...args), [expected[`loss${suffix}`] as never], tolerance);
          expectClose(
            await gradientOf(loss as never, ...args),
            expected[`grad_source${suffix}`] as never,
            tolerance,
          );
        }
      }
    });

    it("LFTL: anchor memory and mixup", async () => {
      for (const { inputs, expected, tolerance } of cases("lftl", "visual_persistence_loss")) {
        const update = (bank: Tensor, at: Tensor, x: Tensor) =>
          updateBank(bank, at, x, { momentum: 1 - inputs.gamma });
        const args = [wide(inputs.memory), integers(inputs.batch_pool_index), wide(inputs.new_emb)] as const;
        expectClose(await run(update, ...args), expected.memory, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("lftl", "mixup")) {
        const weights = wide((inputs.lam_raw as number[]).map((lam) => Math.min(lam, 1 - lam)));
        const mixture = (x: Tensor, partners: Tensor, w: Tensor) => mixup(x, { partners, weights: w });
        const partners = integers(inputs.perm);
        expectClose(await run(mixture, wide(inputs.x), partners, weights), expected.x_mixed, tolerance);
        const labels = (y: Tensor, p: Tensor, w: Tensor) =>
          mixture(oneHot(cast(y, "int32"), inputs.n_class, "float64"), p, w);
        expectClose(await run(labels, wide(inputs.target), partners, weights), expected.y_mixed, tolerance);
      }
    });

    it("LFTL and CPL: entropies of predictions, Gumbel targets", async () => {
      for (const { inputs, expected, tolerance } of cases("lftl", "infomax_loss")) {
        const loss = (x: Tensor) => informationMaximization(x, { epsilon: inputs.eps });
        expectClose(await run(loss, wide(inputs.logits)), [expected.loss], tolerance);
        expectClose(await gradientOf(loss, wide(inputs.logits)), expected.grad_logits, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("cpl", "entropy_reg")) {
        const loss = (x: Tensor) => meanPredictionEntropy(x);
        expectClose(await run(loss, wide(inputs.logits)), [expected.entropy], tolerance);
        expectClose(await gradientOf(loss, wide(inputs.logits)), expected.grad_logits, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("cpl", "csp_loss")) {
        const targets = (z: Tensor, g: Tensor) => gumbelSoftmax(z, g, inputs.tau);
        const args = [wide(inputs.logits_unlabeled), wide(inputs.gumbel)] as const;
        expectClose(await run(targets, ...args), expected.soft_label, tolerance);
      }
    });

    it("CLIM: mosaics and their boxes", async () => {
      for (const { inputs, expected, tolerance } of cases("clim", "MosaicAssembly")) {
        if ("box_side" in inputs) expectClose(mosaicBoxes(inputs.box_side), expected.boxes, tolerance);
        if (!("images" in inputs)) continue;
        const assembled = (x: Tensor) => mosaic(x, inputs.s);
        const small = (x: Tensor) => resize(assembled(x), { size: inputs.out_size, mode: "cubic" });
        expectClose(await run(assembled, wide(inputs.images)), expected.mosaic, tolerance);
        expectClose(await run(small, wide(inputs.images)), expected.resized, tolerance);
      }
    });

    it("CoMix: background mixing; VoCo: momentum teacher; Alice: schedules", async () => {
      for (const { inputs, expected, tolerance } of cases("comix", "background_mix")) {
        if (!("mix_ratio" in inputs)) continue;
        const mixed = (x: Tensor, b: Tensor) => mix(x, b, inputs.mix_ratio);
        const value = await run(mixed, wide(inputs.clip), wide(inputs.other_background));
        expectClose(value, expected.mixed, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("voco", "ema")) {
        const update = (t: Tensor, s: Tensor) =>
          updateTeacher<Tensor>(t as never, s as never, inputs.momentum);
        const value = await run(update as never, wide(inputs.teacher_w3), wide(inputs.w3));
        expectClose(value, expected.new_teacher_w3, tolerance);
      }
      for (const { inputs, expected, tolerance } of cases("alice", "schedules")) {
        const steps = inputs.epochs * inputs.iters_per_epoch;
        const momentum = cosineRamp({ from: inputs.momentum_start, to: inputs.momentum_end, steps });
        const last = inputs.temp_warm_epochs - 1;
        const temperature = linearRamp({ from: inputs.temp_start, to: inputs.temp_end, steps: last });
        const value = compile((a: Tensor, b: Tensor) => ({
          momentum: momentum(a),
          temperature: temperature(b),
        }));
        for (const [i, at] of (inputs.at_iters as number[]).entries()) {
          const got = await value(at, (inputs.at_epochs as number[])[i] as number);
          expectClose(got.momentum, [(expected.momentum as number[])[i] as number], tolerance);
          expectClose(got.temperature, [(expected.teacher_temp as number[])[i] as number], tolerance);
        }
      }
    });
  },
);
