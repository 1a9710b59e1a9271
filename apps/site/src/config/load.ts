import { readFile } from "node:fs/promises";
import { z } from "zod";
import { type SiteSettings, settingNotes, siteSettings } from "./settings.ts";

type Plain = { [name: string]: unknown };

export interface SettingsSources {
  /** A JSON file. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Sections with settings that win over all others. */
  readonly over?: Plain;
}

export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `server.port` of the settings by the name that the environment has for it. */
function settingPaths(): Map<string, readonly [section: string, name: string]> {
  const paths = new Map<string, readonly [string, string]>();
  for (const [section, wrapped] of Object.entries(siteSettings.shape)) {
    for (const [name, schema] of Object.entries(wrapped.unwrap().shape)) {
      const notes = settingNotes.get(schema as z.ZodType);
      if (notes) paths.set(notes.env, [section, name]);
    }
  }
  return paths;
}

function merge(base: Plain, over: Plain): Plain {
  const merged = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const below = merged[name];
    merged[name] = isPlain(below) && isPlain(value) ? merge(below, value) : value;
  }
  return merged;
}

/**
 * The settings of the site: a JSON file, over it the environment, over both what the caller gives (the command line).
 *
 * @throws SettingsError that names every wrong setting, where it came from and what was expected
 */
export async function loadSettings(sources: SettingsSources): Promise<SiteSettings> {
  const { file, env = {}, over = {} } = sources;
  let fromFile: unknown = {};
  if (file !== undefined) {
    const text = await readFile(file, "utf8").catch((error: Error) => {
      throw new SettingsError(`The settings cannot be read: ${error.message}`);
    });
    try {
      fromFile = JSON.parse(text);
    } catch (error) {
      throw new SettingsError(`${file} is not JSON: ${(error as Error).message}`);
    }
    if (!isPlain(fromFile))
      throw new SettingsError(`${file}: expected an object with sections such as "server".`);
  }
  const fromEnv: Plain = {};
  const names = settingPaths();
  for (const [variable, [section, name]] of names) {
    const value = env[variable];
    if (value !== undefined && value !== "")
      fromEnv[section] = { ...(fromEnv[section] as Plain), [name]: value };
  }
  const parsed = siteSettings.safeParse(merge(merge(fromFile as Plain, fromEnv), over));
  if (parsed.success) return parsed.data;
  const byPath = new Map([...names].map(([variable, path]) => [path.join("."), variable]));
  const lines = parsed.error.issues.map((issue) => {
    const path = issue.path.slice(0, 2).join(".");
    const variable = byPath.get(path);
    const origin =
      variable && env[variable] ? `${variable} in the environment` : (file ?? "the command line");
    return `  ${path || "settings"} (${origin}): ${issue.message}`;
  });
  throw new SettingsError(`The settings are wrong:\n${lines.join("\n")}`);
}

/** All settings as a Markdown table, for the documentation. */
export function settingsTable(): string {
  const rows = Object.entries(siteSettings.shape).flatMap(([section, wrapped]) =>
    Object.entries(wrapped.unwrap().shape).map(([name, schema]) => {
      const notes = settingNotes.get(schema as z.ZodType);
      const value = z.safeParse(schema as z.ZodType, undefined);
      const fallback = value.success && value.data !== undefined ? `\`${JSON.stringify(value.data)}\`` : "";
      return `| \`${section}.${name}\` | \`${notes?.env}\` | ${fallback} | ${notes?.description} |`;
    }),
  );
  return ["| setting | environment | default | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}
