import type { z } from "@hono/zod-openapi";
import { apiError } from "./v1-shapes.ts";

export function jsonAnswer<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

const refusalTexts = {
  400: "A parameter is malformed",
  401: "A key is needed, or the one given is unknown",
  403: "The key may not do this",
  404: "There is no such thing",
  429: "Too many requests; Retry-After says when to come again",
} as const;

type Refusal = keyof typeof refusalTexts;

/** Answers that refuse, for the description of a call. */
export function refusals<Status extends Refusal>(...statuses: readonly Status[]) {
  return Object.fromEntries(
    statuses.map((status) => [status, jsonAnswer(refusalTexts[status], apiError)]),
  ) as {
    [S in Status]: ReturnType<typeof jsonAnswer<typeof apiError>>;
  };
}
