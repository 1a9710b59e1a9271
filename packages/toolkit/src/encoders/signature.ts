// What the inputs and outputs of a model mean, told by their names, types and number of axes.
import type { ModelValue } from "@concord/tensor";
import { EncoderError, type Modality, type Pooling } from "./encoder.ts";

/** What an input is for. */
export type InputRole =
  | "ids"
  | "mask"
  | "types"
  | "positions"
  | "pixels"
  | "pixel mask"
  | "voxels"
  | "samples"
  | "features"
  | "vector";

export interface ModelInput extends ModelValue {
  readonly type: string;
  readonly role: InputRole;
}

const namedRoles: readonly (readonly [RegExp, InputRole])[] = [
  [/^(input_ids|ids|token_ids|tokens|text|input_tokens)$/i, "ids"],
  [/^(attention_mask|mask|text_mask|input_mask)$/i, "mask"],
  [/^(token_type_ids|segment_ids|type_ids)$/i, "types"],
  [/^(position_ids|positions)$/i, "positions"],
  [/^(pixel_values|image|images|img|picture|pictures)$/i, "pixels"],
  [/^pixel_(attention_)?mask$/i, "pixel mask"],
  [/^(voxel_values|voxels|volumes?|scans?|crops)$/i, "voxels"],
  [/^(input_values|waveform|audio|samples)$/i, "samples"],
  [/^(input_features|mel|spectrogram)$/i, "features"],
  [/^(vector|vectors|embedding|embeddings|features|x)$/i, "vector"],
];

/** Axes that an input of a role has; 0 axes stand for a model that does not say. */
const ranks: Readonly<Record<InputRole, readonly number[]>> = {
  ids: [2],
  mask: [2],
  types: [2],
  positions: [1, 2],
  pixels: [4],
  "pixel mask": [3],
  voxels: [5],
  samples: [2, 3],
  features: [3, 4],
  vector: [2],
};

const floats = ["float32", "float16", "float64"];
const integers = ["int64", "int32"];

function roleOf({ name, type, shape }: ModelValue): InputRole | undefined {
  const fits = (role: InputRole): boolean => {
    if (type === null) return false;
    if (shape.length > 0 && !ranks[role].includes(shape.length)) return false;
    if (role === "ids" || role === "types" || role === "positions") return integers.includes(type);
    return floats.includes(type) || (role.endsWith("mask") && (integers.includes(type) || type === "bool"));
  };
  const named = namedRoles.find(([pattern, role]) => pattern.test(name) && fits(role));
  if (named) return named[1];
  const kind = type !== null && floats.includes(type) ? "float" : "integer";
  // Pictures of a film have five axes, too, and three channels.
  if (kind === "float" && shape.length === 5) return shape[1] === 1 ? "voxels" : undefined;
  if (kind === "float" && shape.length === 4) return fits("pixels") ? "pixels" : undefined;
  if (kind === "float" && shape.length === 2) return /mask/i.test(name) ? "mask" : "vector";
  if (kind === "integer" && shape.length === 2 && fits("ids")) {
    if (/mask/i.test(name)) return "mask";
    if (/type|segment/i.test(name)) return "types";
    return /position/i.test(name) ? "positions" : "ids";
  }
  return undefined;
}

const leading: Readonly<Record<string, Modality>> = {
  ids: "text",
  pixels: "image",
  voxels: "volume",
  samples: "audio",
  features: "audio",
  vector: "vector",
};

/** Inputs and outputs for messages: `input_ids int64 [batch, sequence]`. */
export function describeValues(values: readonly ModelValue[]): string {
  return values
    .map(({ name, type, shape }) => {
      const sizes =
        shape.length === 0 ? "" : ` [${shape.map((size) => (size === "" ? "?" : size)).join(", ")}]`;
      return `${name} ${type ?? "(no tensor)"}${sizes}`;
    })
    .join("; ");
}

export interface Signature {
  readonly modality: Modality;
  /** Inputs that carry the items and what goes with them. */
  readonly inputs: readonly ModelInput[];
  /** Inputs of the model's other towers, to be fed with zeros. */
  readonly idle: readonly ModelInput[];
}

/**
 * Which inputs carry items of which kind.
 *
 * @param wanted  undefined when the model has one kind of input only
 * @throws EncoderError listing the model's inputs when they cannot be told apart
 */
export function readSignature(
  name: string,
  inputs: readonly ModelValue[],
  wanted: Modality | undefined,
): Signature {
  const roles = inputs.map((input) => {
    const role = roleOf(input);
    if (role === undefined)
      throw new EncoderError(
        `${name}: it is not clear what the input '${input.name}' is for. The model takes ${describeValues(inputs)}; ` +
          "known are input_ids, attention_mask, token_type_ids, position_ids, pixel_values, voxels [batch, 1, x, y, z], " +
          "input_values, input_features and one matrix of vectors.",
      );
    return { ...input, type: input.type as string, role };
  });
  const modalities = [...new Set(roles.flatMap(({ role }) => leading[role] ?? []))];
  const [only] = modalities;
  const modality = wanted ?? (modalities.length === 1 ? only : undefined);
  if (only === undefined || modality === undefined || !modalities.includes(modality)) {
    const takes = `The model takes ${describeValues(inputs)}`;
    throw new EncoderError(
      wanted === undefined
        ? `${name}: say which kind of input is meant: ${modalities.join(" or ") || "none is known"}. ${takes}.`
        : `${name} takes no ${wanted}. ${takes}.`,
    );
  }
  const belongs: Readonly<Record<Modality, readonly InputRole[]>> = {
    text: ["ids", "mask", "types", "positions"],
    image: ["pixels", "pixel mask"],
    volume: ["voxels"],
    // An attention mask goes with sound unless there are texts that it can belong to.
    audio: modalities.includes("text") ? ["samples", "features"] : ["samples", "features", "mask"],
    vector: ["vector"],
  };
  const mine = roles.filter(({ role }) => belongs[modality].includes(role));
  const twice = mine.find(({ role }, i) => mine.some((other, j) => j < i && other.role === role));
  if (twice)
    throw new EncoderError(
      `${name}: '${twice.name}' and another input both look like the ${twice.role}. The model takes ${describeValues(inputs)}.`,
    );
  return { modality, inputs: mine, idle: roles.filter((input) => !mine.includes(input)) };
}

/** The output to read, and how its tokens become one vector. */
export interface ChosenOutput {
  readonly output: string;
  readonly pooling: Pooling;
}

const modalityOutputs: Readonly<Record<Modality, readonly string[]>> = {
  text: ["sentence_embedding", "text_embeds", "text_embedding"],
  image: ["image_embeds", "image_embedding", "sentence_embedding"],
  volume: ["volume_embeds", "volume_embedding", "image_embeds"],
  audio: ["audio_embeds", "audio_embedding", "sentence_embedding"],
  vector: [],
};
const wholeOutputs = ["embedding", "embeddings", "embeds", "vector", "sentence", "dense_vecs"];
const tokenOutputs = ["last_hidden_state", "token_embeddings", "hidden_states"];
/** Kinds of models whose `pooler_output` was trained to be compared. */
const TRAINED_POOLER = /clip|siglip|clap|align|blip|chinese_clip|dinov2|vit|resnet|convnext/i;

/**
 * Which output holds the embedding.
 *
 *   1. what the caller names
 *   2. `sentence_embedding`, `text_embeds`, `image_embeds`, `volume_embeds`, `audio_embeds`, by kind of input
 *   3. the tokens (`last_hidden_state`, `token_embeddings`), pooled as 1_Pooling/config.json says
 *   4. `pooler_output` of models that were trained by it (CLIP, SigLIP, vision models)
 *   5. `embedding` and the like, or the only matrix
 *   6. the tokens of a text, pooled by their mean; the first token of a picture; the mean of sound
 *
 * @param pooling  what the caller or 1_Pooling says; undefined when nobody does
 * @throws EncoderError listing the model's outputs when none is known
 */
export function chooseOutput(
  name: string,
  outputs: readonly ModelValue[],
  modality: Modality,
  choice: {
    readonly output?: string | undefined;
    readonly pooling?: Pooling | undefined;
    readonly modelType?: string | undefined;
  },
): ChosenOutput {
  const usual: Pooling = modality === "image" ? "cls" : "mean";
  const find = (names: readonly string[], ranks: readonly number[]) =>
    names
      .map((wanted) => outputs.find((output) => output.name === wanted && output.type !== null))
      .find((output) => output && (output.shape.length === 0 || ranks.includes(output.shape.length)));
  const make = ({ name: output, shape }: ModelValue): ChosenOutput => ({
    output,
    pooling: shape.length === 2 ? "none" : (choice.pooling ?? usual),
  });
  const fail = (what: string): never => {
    throw new EncoderError(`${name}: ${what}. The model gives ${describeValues(outputs)}.`);
  };
  if (choice.output !== undefined) {
    const found = outputs.find((output) => output.name === choice.output);
    return found ? make(found) : fail(`there is no output '${choice.output}'`);
  }
  const whole = find(modalityOutputs[modality], [2]);
  if (whole) return { output: whole.name, pooling: "none" };
  const tokens = find(tokenOutputs, [3, 4]);
  if (choice.pooling !== undefined && tokens) return make(tokens);
  const pooler = find(["pooler_output"], [2, 4]);
  if (pooler && (modality !== "text" || TRAINED_POOLER.test(choice.modelType ?? "") || !tokens)) {
    return { output: pooler.name, pooling: pooler.shape.length === 2 ? "none" : "mean" };
  }
  const matrices = outputs.filter(
    ({ type, shape }) => type !== null && floats.includes(type) && shape.length === 2,
  );
  const named =
    find(wholeOutputs, [2]) ?? (tokens ? undefined : matrices.length === 1 ? matrices[0] : undefined);
  if (named) return make(named);
  if (tokens) return make(tokens);
  const sequences = outputs.filter(
    ({ type, shape }) => type !== null && floats.includes(type) && (shape.length === 3 || shape.length === 4),
  );
  const [only] = sequences;
  if (only && sequences.length === 1 && matrices.length === 0) return make(only);
  return fail("it is not clear which output is the embedding; name one");
}
