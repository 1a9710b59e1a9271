import type { LinearParams, TransformerLayerParams } from "@concord/nn";
import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  broadcastTo,
  concat,
  foldIn,
  less,
  narrow,
  ndarray,
  normalArray,
  reshape,
  stack,
  type Tensor,
  uniform,
  where,
  zerosLike,
} from "@concord/tensor";
import type { ArmRecipe } from "./arms.ts";
import type { HashingConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import type { DualEncoder, DualEncoderParams, FrozenParams, TunedParams } from "./encoders.ts";
import { type FusionParams, fusionInit } from "./fuse.ts";
import { type HashFeatureOptions, hashFeatures, type ModalFeatures } from "./hash-features.ts";
import { type DecoderParams, hashDecoderInit, hashHead, hashHeadInit } from "./hash-heads.ts";
import type { Protocol } from "./metrics.ts";
import { type ResBlockParams, resMlpInit } from "./res-mlp.ts";
import { textAffinityPrompt } from "./text-affinity-prompt.ts";

/** What an arm trains, by the learning rate it has. */
export interface ArmParams {
  readonly encoder: TunedParams & {
    /** The prompt transformer; starts as a copy of the last text blocks. */
    readonly promptBlocks?: readonly TransformerLayerParams[];
  };
  readonly fusion?: FusionParams;
  readonly hash: {
    /** [T, C]: what is learned of the prompt, the same for all items. */
    readonly promptContext?: NDArray;
    /** Scalar, where `promptStrength` asks for it. */
    readonly promptStrength?: NDArray;
    readonly residual: readonly ResBlockParams[];
    /** By number of bits. */
    readonly heads: Readonly<Record<string, LinearParams>>;
    readonly decoders: Readonly<Record<string, DecoderParams>>;
  };
}

/** Tokens of a batch of texts, and what a missing text is. */
export interface TextInputs {
  /** [B, T] and [B] */
  readonly tokens: Tensor;
  readonly ends: Tensor;
  /** [B, T], or [1, T] for one prompt for all */
  readonly prompts: Tensor;
  /** The empty text [1, T], its end [1] and the label-free prompt [1, T] beside it. */
  readonly emptyTokens: Tensor;
  readonly emptyEnds: Tensor;
  readonly emptyPrompt: Tensor;
}

/** Encoder features of a batch, [B, C] each. */
export interface Encoded extends ModalFeatures {
  /** [B, C]: the prompt feature of an image without a text. */
  readonly lonePrompt?: Tensor;
}

/** The model of one arm. */
export interface ArmModel {
  readonly recipe: ArmRecipe;
  readonly config: HashingConfig;
  /** What it is made of, settings included. Models of the same parts share their graphs. */
  readonly parts: { readonly training: string; readonly evaluation: string };
  /** Under which protocol codes are computed for each: one that differs in nothing stands for the other. */
  readonly protocols: Readonly<Record<Protocol, Protocol>>;
  init(key: Key, start: DualEncoderParams, context: number): ArmParams;
  encode(params: Traced<ArmParams>, frozen: Traced<FrozenParams>, images: Tensor, texts: TextInputs): Encoded;
  /** Features with both modalities at hand. */
  paired(params: Traced<ArmParams>, encoded: Encoded, options?: Dropping): ModalFeatures;
  /** Features of every modality by itself: a missing one is zero. */
  unimodal(params: Traced<ArmParams>, encoded: Encoded): ModalFeatures;
  /**
   * Features in training.
   *
   * @param keys     int32 [RANDOM_USES, 2], others in every step
   * @param missing  scalar: chance that a sample lacks a modality, unless the arm never leaves one out
   */
  training(params: Traced<ArmParams>, encoded: Encoded, keys: Tensor, missing: Tensor): ModalFeatures;
  /** Relaxed codes by number of bits. */
  codes(params: Traced<ArmParams>, features: Tensor): Record<string, Tensor>;
}

type Dropping = NonNullable<HashFeatureOptions["drop"]>;

/** Independent uses of random numbers in a step. */
const uses = { firstFusion: 0, secondFusion: 1, residual: 2, missing: 3 } as const;
export const RANDOM_USES = Object.keys(uses).length;
const initStreams = { context: 0, residual: 1, heads: 2, decoders: 3, fusion: 4 } as const;

/**
 * @param width  C
 */
export function armModel(
  dual: DualEncoder,
  width: number,
  config: HashingConfig,
  recipe: ArmRecipe,
): ArmModel {
  const { fusion } = config;
  const hasPrompt = recipe.prompt !== "none";
  const fuses = recipe.fusion !== "none";
  const leavesOut = fuses && recipe.missing !== "none";
  const options: HashFeatureOptions = { fusion: { heads: fusion.heads } };
  const finish = (params: Traced<ArmParams>, features: ModalFeatures, drop?: Dropping): ModalFeatures =>
    hashFeatures(
      { residual: params.hash.residual, ...(params.fusion && { fusion: params.fusion }) },
      features,
      drop ? { ...options, drop } : options,
    );
  const withPrompt = (image: Tensor, text: Tensor, prompt: Tensor | undefined): ModalFeatures =>
    prompt ? { image, text, prompt } : { image, text };
  /**
   * Images and texts by themselves where `alone` says so, a mask [2 B, 1], or everywhere: the view of an image lacks
   * its text, that of a text its image. Both views go through the fusion under each other.
   */
  const apart = (
    params: Traced<ArmParams>,
    { image, text, prompt, lonePrompt }: Encoded,
    alone: Tensor | null,
    drop?: Dropping,
  ): ModalFeatures => {
    const B = image.shape[0] as number;
    const [ofImages, ofTexts] = [
      (x: Tensor): Tensor => narrow(x, 0, 0, B),
      (x: Tensor): Tensor => narrow(x, 0, B, B),
    ];
    const both = (ofImage: Tensor, ofText: Tensor): Tensor => concat([ofImage, ofText], 0);
    const without = (mask: Tensor | null, x: Tensor, instead: Tensor): Tensor =>
      mask ? where(mask, instead, x) : instead;
    const noText = alone && ofImages(alone);
    const views = finish(
      params,
      withPrompt(
        both(image, without(alone && ofTexts(alone), image, zerosLike(image))),
        both(without(noText, text, zerosLike(text)), text),
        prompt && lonePrompt && both(without(noText, prompt, lonePrompt), prompt),
      ),
      drop,
    );
    return withPrompt(ofImages(views.image), ofTexts(views.text), views.prompt && ofTexts(views.prompt));
  };
  return {
    recipe,
    config,
    parts: {
      training: JSON.stringify([hasPrompt, recipe.fusion, leavesOut, config]),
      evaluation: JSON.stringify([hasPrompt, recipe.fusion, config]),
    },
    protocols: { p1: hasPrompt ? "p1" : fuses ? "p2" : "p3", p2: fuses ? "p2" : "p3", p3: "p3" },
    init(key, { tuned }, context) {
      const stream = (name: keyof typeof initStreams): Key => foldIn(key, initStreams[name]);
      const byBits = <T>(lengths: readonly number[], make: (bits: number) => T): Record<string, T> =>
        Object.fromEntries(lengths.map((bits) => [String(bits), make(bits)]));
      const { auxiliaryBits } = config;
      const lengths = PAPER_DEFAULTS.bits;
      return {
        encoder: { ...tuned, ...(hasPrompt && { promptBlocks: tuned.text.blocks }) },
        ...(fuses && {
          fusion: fusionInit(stream("fusion"), { width, ...fusion, selection: recipe.fusion === "full" }),
        }),
        hash: {
          ...(hasPrompt && {
            promptContext: normalArray(
              stream("context"),
              [context, width],
              0,
              PAPER_DEFAULTS.contextDeviation,
            ),
          }),
          ...(hasPrompt &&
            typeof config.promptStrength === "number" && {
              promptStrength: ndarray([config.promptStrength], { shape: [] }),
            }),
          residual: resMlpInit(stream("residual"), width),
          heads: byBits([...lengths, auxiliaryBits], (bits) =>
            hashHeadInit(foldIn(stream("heads"), bits), { width, bits }),
          ),
          decoders: byBits(lengths, (bits) =>
            hashDecoderInit(foldIn(stream("decoders"), bits), { bits, auxiliaryBits }),
          ),
        },
      };
    },
    encode({ encoder, hash }, frozen, images, texts) {
      const image = dual.images(frozen, encoder, images);
      const [B, T] = texts.tokens.shape as [number, number];
      if (!encoder.promptBlocks || !hash.promptContext) {
        return { image, text: dual.plainText(frozen, encoder, texts.tokens, texts.ends) };
      }
      // The empty text goes along as one more row.
      const tokens = dual.tokens(frozen, encoder, concat([texts.tokens, texts.emptyTokens], 0));
      const context = hash.promptContext;
      const [prompts, lone] = [texts.prompts, texts.emptyPrompt].map((ids) =>
        add(dual.embed(frozen, ids), context),
      ) as [Tensor, Tensor];
      const rows = concat([prompts.shape[0] === B ? prompts : broadcastTo(prompts, [B, T, width]), lone], 0);
      // Two tokens of each text are read: its end, and the prompt's at the same position.
      const ends = concat([texts.ends, texts.emptyEnds], 0);
      const { text, prompt } = textAffinityPrompt(
        dual.attend(encoder.promptBlocks, concat([tokens, rows], 1), stack([ends, add(ends, T)], 1)),
        {
          endIndex: zerosLike(ends),
          norm: encoder.text.norm,
          projection: encoder.text.projection,
          ...(hash.promptStrength && { strength: hash.promptStrength }),
        },
      );
      return {
        image,
        text: narrow(text, 0, 0, B),
        prompt: narrow(prompt, 0, 0, B),
        lonePrompt: broadcastTo(narrow(prompt, 0, B, 1), [B, width]),
      };
    },
    paired: finish,
    unimodal: (params, encoded) => (fuses ? apart(params, encoded, null) : finish(params, encoded)),
    training(params, encoded, keys, missing) {
      const key = (use: keyof typeof uses): Tensor => reshape(narrow(keys, 0, uses[use], 1), [2]);
      const drop = {
        keys: { first: key("firstFusion"), second: key("secondFusion"), residual: key("residual") },
        fusion: fusion.dropout,
        residual: config.residualDropout,
      };
      if (!leavesOut) return finish(params, encoded, drop);
      const views = 2 * (encoded.image.shape[0] as number);
      return apart(params, encoded, less(uniform(key("missing"), [views, 1]), missing), drop);
    },
    codes: ({ hash }, features) =>
      Object.fromEntries(Object.entries(hash.heads).map(([bits, head]) => [bits, hashHead(head, features)])),
  };
}
