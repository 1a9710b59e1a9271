import { add, mul, type Tensor, type Traced } from "@concord/tensor";
import { type CodeMemory, codesAndTargets } from "./code-memory.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { ModalFeatures } from "./hash-features.ts";
import { hashDecoder } from "./hash-heads.ts";
import { hashLossGroup, reconstructionLoss, sharedLabels } from "./hash-loss.ts";
import type { ArmModel, ArmParams } from "./model.ts";
import { promptAffinityAlignment } from "./prompt-affinity-alignment.ts";

/** What the losses are computed from, besides features and parameters. */
export interface ObjectiveInputs {
  /** [B, C'] labels of the batch, and int32 [B] places of its items in the memory. */
  readonly labels: Tensor;
  readonly items: Tensor;
  /** [N, C'] labels of all training items. */
  readonly allLabels: Tensor;
  /** By number of bits. */
  readonly memories: Readonly<Record<string, Traced<CodeMemory>>>;
  /** Weights of global and local alignment; scalars, so that arms which differ in them share a graph. */
  readonly alignment: { readonly global: Tensor; readonly local: Tensor };
}

/**
 * Hashing losses of all lengths, reconstruction of the auxiliary code, and the alignment. Also gives the memories with
 * the batch's codes in them.
 */
export function objective(
  model: ArmModel,
  params: Traced<ArmParams>,
  features: ModalFeatures,
  inputs: ObjectiveInputs,
) {
  const { config } = model;
  const similarity = sharedLabels(inputs.allLabels, inputs.labels);
  const images = model.codes(params, features.image);
  const texts = model.codes(params, features.text);
  const auxiliary = String(config.auxiliaryBits);
  const groups = Object.keys(images).map((bits) => {
    const codes = { image: images[bits] as Tensor, text: texts[bits] as Tensor };
    const known = inputs.memories[bits] as Traced<CodeMemory>;
    const { memory, targets } = codesAndTargets(known, inputs.items, codes);
    const { loss } = hashLossGroup(
      {
        imageCodes: codes.image,
        textCodes: codes.text,
        imageBuffer: memory.image,
        textBuffer: memory.text,
        similarity,
        binaryTargets: targets,
      },
      {
        balance: config.balance,
        interWeight: config.interWeight,
        quantWeight: config.quantWeight,
        groupWeight: bits === auxiliary ? PAPER_DEFAULTS.auxiliaryWeight : 1,
      },
    );
    return { bits, codes, memory, targets, loss };
  });
  const long = groups.find(({ bits }) => bits === auxiliary) as (typeof groups)[number];
  const short = groups.filter((group) => group !== long);
  const reconstruction = mul(
    short
      .flatMap(({ bits, codes }) => {
        const decoder = params.hash.decoders[bits] as Traced<ArmParams["hash"]["decoders"][string]>;
        return [codes.image, codes.text].map((code) =>
          reconstructionLoss(hashDecoder(decoder, code), long.targets),
        );
      })
      .reduce(add),
    PAPER_DEFAULTS.auxiliaryWeight * config.reconWeight,
  );
  const hashing = short.map(({ loss }) => loss).reduce(add);
  const { prompt, image, text } = features;
  const aligned = promptAffinityAlignment(
    // Without a prompt the local part is not looked at, whatever stands in its place.
    { image, text, prompt: prompt ?? text },
    { globalWeight: 1, localWeight: 1 },
  );
  const global = mul(aligned.global, inputs.alignment.global);
  const local = prompt ? mul(aligned.local, inputs.alignment.local) : undefined;
  const parts = {
    hashing,
    auxiliary: long.loss,
    reconstruction,
    global,
    ...(local && { local }),
  };
  return {
    loss: Object.values(parts).reduce(add),
    parts,
    memories: Object.fromEntries(groups.map(({ bits, memory }) => [bits, memory])),
  };
}
