/** What is true of an event. Each sensor shows a part of it. */
export const ATTRIBUTES = {
  shape: [
    ["circle", "disc"],
    ["square", "box"],
    ["triangle", "wedge"],
    ["diamond", "rhombus"],
    ["cross", "plus"],
    ["star", "pentagram"],
    ["ring", "hoop"],
    ["heart", "valentine"],
  ],
  colour: [
    ["red", "crimson"],
    ["yellow", "golden"],
    ["green", "emerald"],
    ["cyan", "turquoise"],
    ["blue", "cobalt"],
    ["pink", "magenta"],
  ],
  distance: [
    ["near", "close"],
    ["midway", "halfway"],
    ["far", "distant"],
  ],
  heat: [
    ["cold", "icy"],
    ["warm", "tepid"],
    ["hot", "burning"],
  ],
  sound: [
    ["humming", "droning"],
    ["whistling", "rising"],
    ["falling", "sighing"],
    ["ticking", "clicking"],
    ["ringing", "chiming"],
    ["wailing", "warbling"],
  ],
  change: [
    ["approaching", "looming"],
    ["receding", "leaving"],
    ["brightening", "kindling"],
    ["fading", "dimming"],
  ],
} as const satisfies Readonly<Record<string, readonly (readonly [string, string])[]>>;

export type Attribute = keyof typeof ATTRIBUTES;

/** In the order in which captions name them. */
export const attributeNames = Object.keys(ATTRIBUTES) as readonly Attribute[];

/** A class index for each attribute. */
export type EventAttributes = Readonly<Record<Attribute, number>>;

/** Words that say nothing of the event. Those that name sensors make templates such as "an infrared photo of" readable. */
export const FILLERS: readonly string[] = [
  ..."a an the of with and in there is one some this photo picture image depth infrared".split(" "),
  ..."video clip recording sound something".split(" "),
];

/** Sensors of the generated world; `rgb` is the one that the towers start from. */
export const WORLD_SENSORS = ["rgb", "video", "depth", "infrared", "audio"] as const;
export type WorldSensor = (typeof WORLD_SENSORS)[number];

/** What each sensor can show. */
export const VISIBLE: Readonly<Record<WorldSensor, readonly Attribute[]>> = {
  rgb: ["shape", "colour", "distance"],
  video: ["change", "shape", "colour"],
  depth: ["shape", "distance"],
  infrared: ["heat", "shape"],
  audio: ["sound", "distance"],
};

/** Prompts of a class, worded for the sensor. */
export const TEMPLATES: Readonly<Record<WorldSensor, readonly string[]>> = {
  rgb: ["a photo of {}", "a picture of {}"],
  video: ["a video of {}", "a video clip of {}"],
  depth: ["a depth photo of {}", "a depth picture of {}"],
  infrared: ["an infrared photo of {}", "an infrared picture of {}"],
  audio: ["a sound of {}", "a recording of {}"],
};

/** Prompts of all classes of an attribute, [C][P]: every template with every synonym. */
export function promptsOf(attribute: Attribute, sensor: WorldSensor): string[][] {
  return ATTRIBUTES[attribute].map((phrases) =>
    phrases.flatMap((phrase) => TEMPLATES[sensor].map((template) => template.replace("{}", phrase))),
  );
}
