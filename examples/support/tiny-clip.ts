// Two small encoders, trained in seconds on generated pictures with captions, as a folder in the layout of Hugging Face's
// hub: what a real CLIP folder is to the examples that search pictures by text.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { infoNCE } from "@concord/align";
import { captionedBatches, captionedShapes, type TextTokenizer, trainWordTokenizer } from "@concord/data";
import { embedding, embeddingInit, linear, linearInit, mlp, mlpInit } from "@concord/nn";
import {
  adamw,
  cast,
  expandDims,
  exportOnnx,
  foldIn,
  l2Normalize,
  minimise,
  mul,
  randomKey,
  reshape,
  sum,
  type Tensor,
  type Traced,
} from "@concord/tensor";

const WIDTH = 24;
const STEPS = 200;
/** Pictures are standardised by these, in training and as preprocessor_config.json says. */
const MEAN = 0.5;
const DEVIATION = 0.25;

const key = randomKey(7);
export const world = captionedShapes({ captions: "narrow" });
const SIDE = world.split(key, "train", 1).item(0).image.shape[1] as number;

type ImageParams = ReturnType<typeof mlpInit>;

function textInit(vocabulary: number) {
  return {
    words: embeddingInit(foldIn(key, 2), { vocabulary, width: WIDTH, deviation: 0.2 }),
    out: linearInit(foldIn(key, 3), { inputs: WIDTH, outputs: WIDTH }),
  };
}

/** Pixels [B, 3, S, S] to unit vectors [B, D]. */
function encodeImage(params: Traced<ImageParams>, pixels: Tensor): Tensor {
  return l2Normalize(mlp(params, reshape(pixels, [pixels.shape[0] as number, 3 * SIDE * SIDE])));
}

/** Token ids and mask [B, T] to unit vectors [B, D]: a map of the sum of the words' vectors. */
function encodeText(params: Traced<ReturnType<typeof textInit>>, ids: Tensor, mask: Tensor): Tensor {
  const words = mul(embedding(params.words, ids), expandDims(cast(mask, "float32"), 2));
  return l2Normalize(linear(params.out, sum(words, { axes: 1 })));
}

export interface TinyClip {
  readonly tokenizer: TextTokenizer;
  /** The models' files. */
  readonly image: Uint8Array;
  readonly text: Uint8Array;
  readonly loss: number;
}

/** Trains both encoders by InfoNCE on captioned shapes. */
export async function trainTinyClip(): Promise<TinyClip> {
  const set = world.split(key, "train", 2000).collect();
  const tokenizer = trainWordTokenizer(set.captions.flat());
  const batches = captionedBatches(set, {
    key: foldIn(key, 1),
    batchSize: 100,
    tokenizer,
    statistics: { mean: [MEAN, MEAN, MEAN], deviation: [DEVIATION, DEVIATION, DEVIATION] },
  });
  const params = {
    image: mlpInit(foldIn(key, 4), [3 * SIDE * SIDE, 96, WIDTH]),
    text: textInit(tokenizer.vocabularySize),
  };
  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 3e-3 }),
    // Several pictures of a batch have one caption: their scores share the blame, which is noise enough to learn by.
    loss: (p, { images, tokens, mask }: { images: Tensor; tokens: Tensor; mask: Tensor }) =>
      infoNCE(encodeImage(p.image, images), encodeText(p.text, tokens, mask), { temperature: 0.1 }),
  });
  let loss = Number.NaN;
  for (let step = 0; step < STEPS; step++) {
    const { images, tokens, mask } = await batches.batch(step);
    ({ loss } = await trainer.step({ images, tokens, mask }));
  }
  const trained = trainer.state().params;
  await trainer.close();
  const ids = { shape: ["batch_size", "sequence_length"], dtype: "int64" } as const;
  return {
    tokenizer,
    loss,
    image: exportOnnx(
      (p, { pixel_values }: { pixel_values: Tensor }) => ({ image_embeds: encodeImage(p, pixel_values) }),
      {
        inputs: { pixel_values: { shape: ["batch_size", 3, SIDE, SIDE] } },
        params: trained.image,
      },
    ),
    text: exportOnnx(
      (p, { input_ids, attention_mask }: { input_ids: Tensor; attention_mask: Tensor }) => ({
        text_embeds: encodeText(p, input_ids, attention_mask),
      }),
      { inputs: { input_ids: ids, attention_mask: ids }, params: trained.text },
    ),
  };
}

/** Writes the encoders as transformers.js expects them. */
export async function writeTinyClip(folder: string, { tokenizer, image, text }: TinyClip): Promise<void> {
  await mkdir(join(folder, "onnx"), { recursive: true });
  const files: Readonly<Record<string, Uint8Array | object>> = {
    "config.json": { model_type: "clip" },
    "tokenizer.json": tokenizer.json,
    "tokenizer_config.json": { model_max_length: 16 },
    "preprocessor_config.json": {
      do_resize: true,
      size: { shortest_edge: SIDE },
      resample: 3,
      do_center_crop: true,
      crop_size: { height: SIDE, width: SIDE },
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [MEAN, MEAN, MEAN],
      image_deviation: [DEVIATION, DEVIATION, DEVIATION],
    },
    "onnx/vision_model.onnx": image,
    "onnx/text_model.onnx": text,
  };
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), content instanceof Uint8Array ? content : JSON.stringify(content));
}
