import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadCatalogue } from "@concord/papers";
import type { PaperSource } from "../src/catalogue.ts";
import { type SiteSettings, siteSettings } from "../src/config/settings.ts";
import { toyExperiment } from "./toy-experiment.ts";

/** The real catalogue, in which one paper runs here: the toy. */
export const toyPapers: PaperSource = {
  cards: loadCatalogue,
  runs: async (slug) => slug === toyExperiment.slug,
  experiment: async () => toyExperiment,
};

/** Settings of a site whose files all lie below a folder, on a free port. */
export function testSettings(folder: string, server: Partial<SiteSettings["server"]> = {}): SiteSettings {
  return siteSettings.parse({
    server: { port: 0, ...server },
    data: { folder: join(folder, "data"), runs: join(folder, "runs") },
    log: { level: "error" },
  });
}

/** Command that executes runs of the toy experiment. */
export const toyCommand: readonly string[] = [
  process.execPath,
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  fileURLToPath(new URL("./toy-command.ts", import.meta.url)),
];

/** A folder that `remove` takes away again. */
export async function temporaryFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "concord-site-"));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Waits until `check` gives something. */
export async function eventually<T>(
  check: () => Promise<T | null | undefined | false>,
  what: string,
  ms = 20_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`Waited ${ms} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
