/** One value of an attribute, with the phrases that captions use for it; the first phrase is its name. */
export interface AttributeValue {
  readonly name: string;
  readonly phrases: readonly string[];
}

export const attributeNames = ["shape", "colour", "quadrant", "size", "background"] as const;
export type AttributeName = (typeof attributeNames)[number];

function values(...phrases: readonly (readonly [string, ...string[]])[]): readonly AttributeValue[] {
  return phrases.map((list) => ({ name: list[0], phrases: list }));
}

/**
 * What a picture of the world shows. The order of the values is the order of the class indices: quadrants run
 * row by row, stripe orientations rise in steps of 22.5 degrees from horizontal, counter-clockwise.
 */
export const captionedShapesAttributes: Readonly<Record<AttributeName, readonly AttributeValue[]>> = {
  shape: values(
    ["circle", "disc", "dot"],
    ["square", "box", "block"],
    ["triangle", "wedge", "pyramid"],
    ["diamond", "rhombus", "lozenge"],
    ["cross", "plus"],
    ["star", "pentagram"],
    ["ring", "hoop", "donut"],
    ["heart", "valentine"],
    ["crescent", "moon"],
    ["arrow", "pointer"],
  ),
  colour: values(
    ["red", "crimson", "scarlet"],
    ["orange", "tangerine"],
    ["yellow", "golden", "lemon"],
    ["green", "emerald"],
    ["cyan", "turquoise", "aqua"],
    ["blue", "cobalt", "sapphire"],
    ["purple", "violet"],
    ["pink", "rose", "fuchsia"],
  ),
  quadrant: values(
    ["top left", "upper left", "northwest"],
    ["top right", "upper right", "northeast"],
    ["bottom left", "lower left", "southwest"],
    ["bottom right", "lower right", "southeast"],
  ),
  size: values(["small", "little", "tiny"], ["large", "big", "huge"]),
  background: values(
    ["horizontal", "level", "flat"],
    ["climbing", "uphill"],
    ["rising", "ascending"],
    ["soaring", "rocketing"],
    ["vertical", "upright"],
    ["plunging", "diving"],
    ["falling", "descending"],
    ["sinking", "downhill"],
  ),
};

/** Number of different combinations of attribute values: 10 x 8 x 4 x 2 x 8 = 5120. */
export const captionedShapesCombinations = attributeNames.reduce(
  (product, name) => product * captionedShapesAttributes[name].length,
  1,
);

/** Words without a meaning for the picture, scattered over the captions. */
export const fillerWords: readonly string[] = [
  "a",
  "the",
  "photo",
  "picture",
  "image",
  "drawing",
  "of",
  "with",
  "on",
  "over",
  "in",
  "there",
  "is",
  "one",
  "some",
  "shows",
  "stripes",
  "striped",
  "and",
  "this",
];

/** One class of a zero-shot label set: the class index is its position in the set. */
export interface ZeroShotClass {
  readonly name: string;
  /** Texts whose mean unit feature is the class vector. */
  readonly prompts: readonly string[];
}

/**
 * The label set of an attribute for zero-shot classification.
 *
 * @param options.templates sentences with the placeholder `{value}`, default `["a photo of {value}"]`
 * @param options.phrases `name`: the one word of the value; `all`: every synonym gives a prompt. Default `name`
 * @throws RangeError when a template lacks the placeholder
 */
export function zeroShotClasses(
  attribute: AttributeName,
  options: { readonly templates?: readonly string[]; readonly phrases?: "name" | "all" } = {},
): ZeroShotClass[] {
  const templates = options.templates ?? ["a photo of {value}"];
  for (const template of templates) {
    if (!template.includes("{value}"))
      throw new RangeError(`zeroShotClasses: the template "${template}" lacks the placeholder {value}`);
  }
  return captionedShapesAttributes[attribute].map((value) => ({
    name: value.name,
    prompts: (options.phrases === "all" ? value.phrases : [value.name]).flatMap((phrase) =>
      templates.map((template) => template.replaceAll("{value}", () => phrase)),
    ),
  }));
}
