import type { SafeFetchOptions, SafeResponse } from "../../net/index.ts";
import { FormatError } from "../formats/item.ts";
import type { ReadContext } from "./source.ts";

/** How often a document that is not whole is asked for. */
const ATTEMPTS = 3;

export interface Fetched<T> {
  readonly response: SafeResponse;
  readonly value: T;
}

/**
 * Fetches a document and reads it. A document that arrives broken is asked for again; broken three times, it is the
 * server's.
 *
 * @returns null when it is the one of last time
 * @throws FetchError, FormatError naming the URL
 */
export async function fetchDocument<T>(
  context: ReadContext,
  url: string,
  options: Omit<SafeFetchOptions, "signal">,
  parse: (text: string, response: SafeResponse) => T,
): Promise<Fetched<T> | null> {
  for (let attempt = 1; ; attempt++) {
    const response = await context.fetch(url, { ...options, signal: context.signal });
    context.counted(response.notModified);
    if (response.notModified) return null;
    try {
      return { response, value: parse(response.text(), response) };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (attempt === ATTEMPTS) throw new FormatError(error.message, response.url, { cause: error });
    }
  }
}
