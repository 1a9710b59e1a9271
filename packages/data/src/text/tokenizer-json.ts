/** The standard file `tokenizer.json`, as far as this package writes it. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: null;
  readonly padding: {
    readonly strategy: "BatchLongest";
    readonly direction: "Right";
    readonly pad_to_multiple_of: null;
    readonly pad_id: number;
    readonly pad_type_id: number;
    readonly pad_token: string;
  };
  readonly added_tokens: readonly {
    readonly id: number;
    readonly content: string;
    readonly single_word: boolean;
    readonly lstrip: boolean;
    readonly rstrip: boolean;
    readonly normalized: boolean;
    readonly special: boolean;
  }[];
  readonly normalizer: {
    readonly type: "Sequence";
    readonly normalizers: readonly { readonly type: "NFC" | "Lowercase" }[];
  };
  readonly pre_tokenizer: Readonly<Record<string, unknown>> & { readonly type: string };
  readonly post_processor: Readonly<Record<string, unknown>> | null;
  readonly decoder: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>> & { readonly vocab: Readonly<Record<string, number>> };
}

export const specialTokens = { pad: "[PAD]", unknown: "[UNK]", start: "[CLS]", end: "[SEP]" } as const;

/** Case and Unicode form are evened out before words are cut. */
export const normalizer: TokenizerJson["normalizer"] = {
  type: "Sequence",
  normalizers: [{ type: "NFC" }, { type: "Lowercase" }],
};

/**
 * A whole file from a model with its vocabulary and the special tokens that it begins with.
 *
 * @param boundaries put [CLS] before and [SEP] after each text
 */
export function tokenizerJson(parts: {
  readonly specials: readonly string[];
  readonly boundaries: boolean;
  readonly preTokenizer: TokenizerJson["pre_tokenizer"];
  readonly decoder: TokenizerJson["decoder"];
  readonly model: TokenizerJson["model"];
}): TokenizerJson {
  const { vocab } = parts.model;
  const id = (token: string): number => vocab[token] as number;
  const special = (token: string, type = 0) => ({ SpecialToken: { id: token, type_id: type } });
  const { start, end, pad } = specialTokens;
  const described = (token: string) => ({ id: token, ids: [id(token)], tokens: [token] });
  return {
    version: "1.0",
    truncation: null,
    padding: {
      strategy: "BatchLongest",
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: id(pad),
      pad_type_id: 0,
      pad_token: pad,
    },
    added_tokens: parts.specials.map((content) => ({
      id: id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer,
    pre_tokenizer: parts.preTokenizer,
    post_processor: parts.boundaries
      ? {
          type: "TemplateProcessing",
          single: [special(start), { Sequence: { id: "A", type_id: 0 } }, special(end)],
          pair: [
            special(start),
            { Sequence: { id: "A", type_id: 0 } },
            special(end),
            { Sequence: { id: "B", type_id: 1 } },
            special(end, 1),
          ],
          special_tokens: { [start]: described(start), [end]: described(end) },
        }
      : null,
    decoder: parts.decoder,
    model: parts.model,
  };
}

/** A vocabulary that numbers tokens in their order. */
export function numbered(tokens: readonly string[]): Record<string, number> {
  // Without a prototype, so that a word such as "__proto__" is a token like any other.
  const vocab: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    vocab[token] = id;
  });
  return vocab;
}
