import { EncoderError, type Pooling } from "./encoder.ts";
import type { Config, ModelFolder } from "./model-folder.ts";
import { flagOf, shown, textOf } from "./settings.ts";

/** What sentence-transformers' files add to a model. */
export interface SentenceSettings {
  /** undefined when no file says it. */
  readonly pooling: Pooling | undefined;
  /** Whether prompts take part in pooling. */
  readonly includePrompt: boolean;
  readonly normalize: boolean;
  /** Layers after pooling, which only models with an output `sentence_embedding` contain. */
  readonly dense: boolean;
}

const modes: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: "cls",
  pooling_mode_mean_tokens: "mean",
  pooling_mode_max_tokens: "max",
  pooling_mode_mean_sqrt_len_tokens: "mean-sqrt",
  pooling_mode_weightedmean_tokens: "weighted-mean",
  pooling_mode_lasttoken: "last",
};
const modeNames: Readonly<Record<string, Pooling>> = {
  cls: "cls",
  mean: "mean",
  max: "max",
  mean_sqrt_len_tokens: "mean-sqrt",
  weightedmean: "weighted-mean",
  lasttoken: "last",
};

function poolingOf(config: Config, where: string): Pooling {
  const named = textOf(config, "pooling_mode");
  const chosen =
    named === undefined
      ? Object.entries(modes).flatMap(([name, mode]) => (flagOf(config, name) ? [mode] : []))
      : [modeNames[named]];
  const [pooling] = chosen;
  if (pooling === undefined || chosen.length > 1)
    throw new EncoderError(
      `${where}: expected exactly one way of pooling, got ${named === undefined ? `${chosen.length} (${chosen.join(", ")})` : shown(named)}`,
    );
  return pooling;
}

/** Reads modules.json and 1_Pooling/config.json, where they are. @throws EncoderError when they ask for the unknown */
export async function readSentenceSettings(folder: ModelFolder): Promise<SentenceSettings> {
  const modules = (await folder.config("modules.json"))?.modules;
  const kinds = (Array.isArray(modules) ? modules : []).map((module: unknown) =>
    typeof module === "object" && module !== null && "type" in module
      ? String(module.type).split(".").at(-1)
      : "",
  );
  const where = "1_Pooling/config.json";
  const config = await folder.config(where);
  return {
    pooling: config === null ? undefined : poolingOf(config, where),
    includePrompt: flagOf(config, "include_prompt") ?? true,
    normalize: kinds.includes("Normalize"),
    dense: kinds.includes("Dense"),
  };
}
