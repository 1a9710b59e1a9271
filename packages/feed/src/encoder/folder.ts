import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { TextTokenizer } from "@concord/data";
import { writeFileAtomic } from "@concord/papers/files";
import { cast, exportOnnx, gather, type NDArray } from "@concord/tensor";
import { LAST_FILE, type TrainingFigures } from "./figures.ts";
import { type SentenceEncoderParams, type SentenceEncoderShape, sentenceVectors } from "./model.ts";
import type { StemTable } from "./stems.ts";

const VERSION = /^concord-\d{8}-\d{6}$/;
/** Longest text in tokens; abstracts that are longer lose their end. */
export const MAX_TOKENS = 256;

/** A name for an encoder that is made now: sorts by time. */
export function newVersion(now: Date): string {
  const digits = now.toISOString().replace(/[-:]|\.\d+Z/g, "");
  return `concord-${digits.replace("T", "-")}`;
}

/**
 * Writes an encoder in the layout that Transformers.js and sentence-transformers read: `onnx/model.onnx` with inputs
 * `input_ids` and `attention_mask` [batch, tokens] and the output `sentence_embedding` [batch, D] of length 1,
 * `tokenizer.json` and `config.json`.
 */
export async function writeEncoder(
  folder: string,
  model: {
    readonly params: SentenceEncoderParams;
    readonly shape: SentenceEncoderShape;
    readonly tokenizer: TextTokenizer;
    readonly stems: StemTable;
    readonly name: string;
  },
): Promise<void> {
  const { params, shape, tokenizer, stems, name } = model;
  await mkdir(join(folder, "onnx"), { recursive: true });
  const onnx = exportOnnx(
    ({ stemOf, encoder }, { input_ids, attention_mask }) => ({
      sentence_embedding: sentenceVectors(
        encoder,
        gather(stemOf, input_ids),
        cast(attention_mask, "float32"),
      ),
    }),
    {
      inputs: {
        input_ids: { shape: ["batch", "tokens"], dtype: "int64" },
        attention_mask: { shape: ["batch", "tokens"], dtype: "int64" },
      },
      params: {
        encoder: params,
        stemOf: { dtype: "int32", shape: [stems.of.length], data: stems.of } satisfies NDArray<"int32">,
      },
      name,
    },
  );
  await writeFileAtomic(join(folder, "onnx", "model.onnx"), [onnx]);
  await tokenizer.save(join(folder, "tokenizer.json"));
  await writeFileAtomic(
    join(folder, "config.json"),
    json({
      model_type: "concord-sentence-encoder",
      architectures: ["ConcordSentenceEncoder"],
      vocab_size: tokenizer.vocabularySize,
      stems: shape.stems,
      hidden_size: shape.width,
      max_position_embeddings: MAX_TOKENS,
      pad_token_id: tokenizer.padId,
    }),
  );
  await writeFileAtomic(
    join(folder, "tokenizer_config.json"),
    json({
      tokenizer_class: "PreTrainedTokenizerFast",
      pad_token: "[PAD]",
      unk_token: "[UNK]",
      model_max_length: MAX_TOKENS,
    }),
  );
}

/** Writes the figures of a training beside its encoder: with them the folder is whole. */
export async function writeFigures(folder: string, figures: TrainingFigures): Promise<void> {
  await writeFileAtomic(join(folder, LAST_FILE), json(figures));
}

const json = (value: object) => [`${JSON.stringify(value, null, 2)}\n`];

/** Versions that are whole, oldest first. */
export async function encoderVersions(modelsFolder: string): Promise<string[]> {
  const names = await readdir(modelsFolder).catch(() => []);
  const whole = await Promise.all(
    names
      .filter((name) => VERSION.test(name))
      .map(async (name) => {
        const found = await stat(join(modelsFolder, name, LAST_FILE)).catch(() => null);
        return found === null ? [] : [name];
      }),
  );
  return whole.flat().sort();
}

/** Removes the folders of all versions but these. Other folders are left alone. */
export async function dropEncoders(modelsFolder: string, kept: ReadonlySet<string>): Promise<string[]> {
  const names = await readdir(modelsFolder).catch(() => []);
  const gone = names.filter((name) => VERSION.test(name) && !kept.has(name));
  for (const name of gone) await rm(join(modelsFolder, name), { recursive: true, force: true });
  return gone;
}
