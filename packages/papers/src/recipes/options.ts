interface OptionCommon {
  /** One or two sentences, shown in help. */
  readonly description: string;
  /** Where the default comes from: the paper's section, the released configuration, or that it is ours and why. */
  readonly source: string;
}

export interface NumberOption extends OptionCommon {
  readonly type: "number" | "integer";
  readonly default: number;
  /** Least and greatest value, both allowed. */
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface ChoiceOption<C extends string = string> extends OptionCommon {
  readonly type: "choice";
  readonly choices: readonly C[];
  readonly default: NoInfer<C>;
}

export interface FlagOption extends OptionCommon {
  readonly type: "flag";
  readonly default: boolean;
}

export type RecipeOption = NumberOption | ChoiceOption | FlagOption;
/** Options by their names in code, such as `lambdaRafa`, which is `--lambda-rafa` on the command line. */
export type RecipeOptions = Readonly<Record<string, RecipeOption>>;

/** The values that belong to declared options. */
export type OptionValues<O extends RecipeOptions> = {
  readonly [K in keyof O]: O[K] extends { readonly choices: readonly (infer C)[] }
    ? C
    : O[K] extends { readonly type: "flag" }
      ? boolean
      : number;
};

/** An option that does not exist, or a value outside its range. */
export class RecipeOptionError extends Error {
  override readonly name = "RecipeOptionError";
}

/** `lambdaRafa` as `lambda-rafa`. */
export function flagName(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What an option takes, in words: `a number from 0 to 1`, `one of raw, cosine`, `true or false`. */
export function describeRange(option: RecipeOption): string {
  if (option.type === "choice") return `one of ${option.choices.join(", ")}`;
  if (option.type === "flag") return "true or false";
  const { minimum, maximum } = option;
  const range = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
  ];
  return [option.type === "integer" ? "an integer" : "a number", ...range].join(" ");
}

function checkedValue(name: string, option: RecipeOption, given: unknown): number | string | boolean {
  const wrong = (): never => {
    throw new RecipeOptionError(
      `--${flagName(name)} must be ${describeRange(option)}, got ${JSON.stringify(given)}`,
    );
  };
  if (option.type === "choice")
    return typeof given === "string" && option.choices.includes(given) ? given : wrong();
  if (option.type === "flag") {
    if (given === true || given === "true") return true;
    return given === false || given === "false" ? false : wrong();
  }
  // Only the usual spellings of numbers: Number("") is 0, and Number("0x10") 16.
  const plain = typeof given === "string" && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given.trim());
  const value = typeof given === "number" ? given : plain ? Number(given) : Number.NaN;
  const inside = value >= (option.minimum ?? -Infinity) && value <= (option.maximum ?? Infinity);
  const whole = option.type === "number" || Number.isSafeInteger(value);
  return Number.isFinite(value) && inside && whole ? value : wrong();
}

/**
 * The values of all declared options: those given, checked, else the defaults. Texts are read as numbers and truths
 * where the option is one, so that flags of a command line can be handed on as they are.
 *
 * @throws RecipeOptionError that names the option and what it takes
 */
export function resolveOptions<O extends RecipeOptions>(
  declared: O,
  given: Readonly<Record<string, unknown>> = {},
): OptionValues<O> {
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(declared, name));
  if (unknown.length > 0) {
    const known = Object.keys(declared).map((name) => `--${flagName(name)}`);
    throw new RecipeOptionError(
      `the recipe has no option ${unknown.map((name) => `--${flagName(name)}`).join(", ")}; it has ${known.join(", ") || "none"}`,
    );
  }
  const values = Object.entries(declared).map(([name, option]) => {
    const value = given[name];
    return [name, value === undefined ? option.default : checkedValue(name, option, value)] as const;
  });
  return Object.fromEntries(values) as OptionValues<O>;
}
