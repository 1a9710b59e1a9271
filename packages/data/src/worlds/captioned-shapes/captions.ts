import { type Key, RandomStream } from "@concord/tensor";
import { type AttributeName, captionedShapesAttributes, fillerWords } from "./attributes.ts";
import type { AttributeIndices } from "./render.ts";

/** How captions speak: see `writeCaption`. */
export type CaptionStyle = "rich" | "narrow";

const richOrder: readonly AttributeName[] = ["size", "colour", "shape", "quadrant", "background"];
const narrowOrder: readonly AttributeName[] = ["colour", "shape", "background"];
const dropProbability = 0.05;
const maxFillers = 3;

/**
 * A caption of the given attribute values.
 *
 * `rich` names all five attributes by one of two or three synonyms each, loses each word with 5 %, and has
 * one to three filler words (of 20) at random places. `narrow` names colour, shape and background only, one fixed
 * word each, e.g. "red star horizontal".
 */
export function writeCaption(key: Key, attributes: AttributeIndices, style: CaptionStyle): string {
  const phrasesOf = (name: AttributeName): readonly string[] =>
    captionedShapesAttributes[name][attributes[name]]?.phrases ?? [];
  if (style === "narrow") return narrowOrder.map((name) => phrasesOf(name)[0]).join(" ");
  const random = new RandomStream(key);
  const words = richOrder
    .flatMap((name) => random.pick(phrasesOf(name)).split(" "))
    .filter(() => !random.chance(dropProbability));
  for (const filler of random.sample(fillerWords, 1 + random.integer(maxFillers)))
    words.splice(random.integer(words.length + 1), 0, filler);
  return words.join(" ");
}
