import { FormatError } from "./item.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed JSON value is an object (no list, no null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A text field that is not blank. */
export function textAt(object: JsonObject, name: string): string | null {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

/** @throws FormatError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`expected JSON: ${(cause as Error).message}`, "", { cause });
  }
}
