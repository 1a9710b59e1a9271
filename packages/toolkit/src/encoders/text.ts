import { join } from "node:path";
import { loadTokenizer, type TextTokenizer } from "@concord/data";
import { EncoderError, type EncoderItem } from "./encoder.ts";
import { fillFeed } from "./feeds.ts";
import type { Config, ModelFolder } from "./model-folder.ts";
import type { Preparer } from "./preparer.ts";
import { integerOf, section, shown, textOf } from "./settings.ts";
import type { ModelInput } from "./signature.ts";

/** Longest text that is looked at, in characters: no model reads more tokens than that. */
const MAX_CHARACTERS = 1_000_000;
/** Tokens of one run of the model, padding included. */
const TOKENS_PER_BATCH = 4096;
const BATCH = 64;
const WINDOW = 2048;
/** What tokenizers' files say when they mean 'no limit'. */
const NO_LIMIT = 1e9;
/** Tokens to which texts are cut when no file knows a limit. */
const DEFAULT_TOKENS = 512;

/** How texts become tokens. */
interface TextSettings {
  readonly maxTokens: number;
  /** Every text is padded to `maxTokens`, as the model was trained. */
  readonly padToMax: boolean;
  readonly padLeft: boolean;
  readonly padToken: string | undefined;
  readonly prompt: string;
}

/** The text that goes before every text: one that the folder names, or the caller's own. */
export function findPrompt(config: Config | null, wanted: string | undefined): string {
  const prompts = section(config, "prompts");
  const name = wanted ?? textOf(config, "default_prompt_name");
  if (name === undefined) return "";
  const known = Object.hasOwn(prompts, name) ? prompts[name] : undefined;
  if (typeof known === "string") return known;
  if (wanted !== undefined) return wanted;
  throw new EncoderError(
    `config_sentence_transformers.json: the default prompt ${shown(name)} is not among its prompts (${Object.keys(prompts).join(", ")})`,
  );
}

/** Positions that a model has; some count from after their padding token. */
function positionLimit(config: Config | null): number | undefined {
  const text = section(config, "text_config");
  const where = "config.json";
  const positions =
    integerOf(config, "max_position_embeddings", where) ?? integerOf(text, "max_position_embeddings", where);
  const roberta = /roberta|camembert|mpnet/.test(textOf(config, "model_type") ?? "");
  const offset = roberta ? (integerOf(config, "pad_token_id", where, { least: 0 }) ?? 1) + 1 : 0;
  return positions === undefined ? undefined : positions - offset;
}

async function readSettings(
  folder: ModelFolder,
  tokenizer: Config,
  ids: ModelInput,
  masked: boolean,
  prompt: string | undefined,
): Promise<TextSettings> {
  const [config, own, sentence, prompts] = (await Promise.all(
    [
      "config.json",
      "tokenizer_config.json",
      "sentence_bert_config.json",
      "config_sentence_transformers.json",
    ].map((path) => folder.config(path)),
  )) as [Config | null, Config | null, Config | null, Config | null];
  const stated = own?.model_max_length;
  const limits = [
    integerOf(sentence, "max_seq_length", "sentence_bert_config.json") ??
      (typeof stated === "number" && stated < NO_LIMIT
        ? integerOf(own, "model_max_length", "tokenizer_config.json")
        : undefined) ??
      integerOf(section(tokenizer, "truncation"), "max_length", "tokenizer.json"),
    positionLimit(config),
  ].filter((limit) => limit !== undefined);
  const axis = ids.shape[1];
  const fixedAxis = typeof axis === "number" ? axis : undefined;
  const padding = section(tokenizer, "padding");
  const fixed = integerOf(section(padding, "strategy"), "Fixed", "tokenizer.json");
  const siglip = /siglip/.test(textOf(config, "model_type") ?? "");
  const known = limits.length === 0 ? undefined : Math.min(...limits);
  const padToken = own?.pad_token;
  const named = typeof padToken === "string" ? padToken : textOf(section(own, "pad_token"), "content");
  return {
    maxTokens: fixedAxis ?? (masked || fixed === undefined ? (known ?? DEFAULT_TOKENS) : fixed),
    padToMax: fixedAxis !== undefined || (!masked && (siglip || fixed !== undefined)),
    padLeft: textOf(own, "padding_side") === "left" || textOf(padding, "direction") === "Left",
    padToken: named,
    prompt: findPrompt(prompts, prompt),
  };
}

async function readTokenizer(folder: ModelFolder, padToken: string | undefined): Promise<TextTokenizer> {
  try {
    return await loadTokenizer(
      join(folder.folder, "tokenizer.json"),
      padToken === undefined ? {} : { padToken },
    );
  } catch (error) {
    // A file may name a padding token that its vocabulary lacks; a usual one does then.
    if (padToken !== undefined) return readTokenizer(folder, undefined);
    throw new EncoderError((error as Error).message, { cause: error });
  }
}

/** Texts to token ids, padded to the longest of a batch. */
export async function textPreparer(
  folder: ModelFolder,
  inputs: readonly ModelInput[],
  options: { readonly prompt?: string | undefined },
): Promise<Preparer<readonly number[]>> {
  const json = await folder.config("tokenizer.json");
  if (json === null)
    throw new EncoderError(
      `${folder.name}: there is no tokenizer.json in ${folder.folder}, without which texts cannot become tokens`,
    );
  const ids = inputs.find(({ role }) => role === "ids") as ModelInput;
  const masked = inputs.some(({ role }) => role === "mask");
  const settings = await readSettings(folder, json, ids, masked, options.prompt);
  const tokenizer = await readTokenizer(folder, settings.padToken);
  const { maxTokens, padToMax, padLeft, prompt } = settings;

  return {
    settings: { ...settings, tokenizer: json },
    sample: { text: "a" },
    batch: BATCH,
    budget: TOKENS_PER_BATCH,
    window: WINDOW,
    async prepare(items, signal) {
      const ready: (readonly [number, readonly number[]])[] = [];
      const problems: { index: number; reason: string }[] = [];
      for (const [index, item] of items.entries()) {
        if (index % 256 === 0) signal?.throwIfAborted();
        const reason = textProblem(item);
        if (reason !== null) problems.push({ index, reason });
        else {
          const { text } = item as { readonly text: string };
          const tokens = tokenizer.encode(`${prompt}${text.slice(0, MAX_CHARACTERS)}`, maxTokens);
          if (tokens.length === 0) problems.push({ index, reason: "the text has no tokens" });
          else ready.push([index, tokens]);
        }
      }
      return { ready, problems };
    },
    sizeOf: (tokens) => (padToMax ? maxTokens : tokens.length),
    // Padding that a model cannot tell from text would change its vectors with the company that a text is in.
    together: (smaller, larger) => masked || padToMax || smaller === larger,
    collate(rows) {
      const longest = padToMax ? maxTokens : Math.max(...rows.map(({ length }) => length));
      const spans = rows.map(({ length }) =>
        padLeft ? { first: longest - length, end: longest } : { first: 0, end: length },
      );
      const place = (position: number) => {
        const row = Math.floor(position / longest);
        const { first, end } = spans[row] as { first: number; end: number };
        const t = position - row * longest;
        return { tokens: rows[row] as readonly number[], at: t - first, inside: t >= first && t < end };
      };
      const value = {
        ids: (position: number) => {
          const { tokens, at, inside } = place(position);
          return inside ? (tokens[at] as number) : tokenizer.padId;
        },
        mask: (position: number) => Number(place(position).inside),
        types: () => 0,
        positions: (position: number) => Math.max(0, place(position).at),
      };
      const feeds = inputs.map((input) => {
        const shape =
          input.role === "positions" && input.shape.length === 1 ? [longest] : [rows.length, longest];
        return [input.name, fillFeed(input, shape, value[input.role as keyof typeof value])] as const;
      });
      return { feeds: Object.fromEntries(feeds), spans };
    },
    close: async () => {},
  };
}

function textProblem(item: EncoderItem): string | null {
  if (!("text" in item)) return "expected a text";
  if (typeof item.text !== "string") return `expected a text, got ${shown(item.text)}`;
  return item.text.trim() === "" ? "the text is empty" : null;
}
