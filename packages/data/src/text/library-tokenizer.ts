import { Tokenizer } from "@huggingface/tokenizers";

/**
 * What is used of the tokenizer library. Its type declarations do not resolve under Node's module resolution
 * (their relative imports lack file extensions), so the part in use is stated here.
 */
export interface LibraryTokenizer {
  readonly normalizer: ((text: string) => string) | null;
  readonly pre_tokenizer: ((text: string) => string[]) | null;
  encode(
    text: string,
    options?: {
      readonly add_special_tokens?: boolean;
      readonly text_pair?: string;
      readonly return_token_type_ids?: boolean;
    },
  ): { readonly ids: number[]; readonly token_type_ids?: number[] };
  decode(ids: number[], options?: { readonly skip_special_tokens?: boolean }): string;
  token_to_id(token: string): number | undefined;
  get_vocab(): Map<string, number>;
}

/** @throws Error when the content is no `tokenizer.json` that the library can read */
export function libraryTokenizer(json: object): LibraryTokenizer {
  const Library: new (json: object, config: object) => LibraryTokenizer = Tokenizer;
  return new Library(json, {});
}

/** How often each word occurs, after the normalisation and the cutting that the tokenizer itself applies. */
export function countWords(tokenizer: LibraryTokenizer, texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    const normal = tokenizer.normalizer?.(text) ?? text;
    for (const word of tokenizer.pre_tokenizer?.(normal) ?? [normal])
      counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}
