import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { IN_MEMORY, openSqliteStore } from "@concord/feed";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { siteSettings } from "../src/config/settings.ts";
import { intakeService } from "../src/ops/intake.ts";
import { createLog } from "../src/ops/log.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-intake-"));
  vi.stubEnv("XDG_STATE_HOME", folder);
  // Half of the spread: nothing becomes due while the test runs.
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

it.each([true, false])("fetches papers at set times only when asked to (%s)", async (wanted) => {
  const store = openSqliteStore(IN_MEMORY);
  const log = createLog({ level: "silent", output: new PassThrough() });
  const settings = siteSettings.parse({ intake: { schedule: wanted, categories: ["cs.LG"] } });
  const service = intakeService(store, settings, log);
  try {
    await service.start();
    // What was missed is put into the queue, some minutes ahead: nothing is asked yet.
    if (wanted) await vi.waitFor(async () => expect((await store.jobs.list()).items).toHaveLength(3), 5000);
    else await new Promise((resolve) => setTimeout(resolve, 50));
    const waiting = (await store.jobs.list()).items.map(({ key, state }) => [key, state]).sort();
    expect(waiting).toEqual(
      wanted
        ? [
            ["arxiv-fill", "waiting"],
            ["arxiv-oai-cs.LG", "waiting"],
            ["arxiv-rss", "waiting"],
          ]
        : [],
    );
  } finally {
    await service.stop();
    await store.close();
  }
});

it("starts where the home of its user cannot be written to, and keeps its turns in the data folder", async () => {
  // A file where a folder should be: as little of a home as a service of its own user has.
  await writeFile(join(folder, "no-home"), "");
  vi.stubEnv("XDG_STATE_HOME", join(folder, "no-home"));
  const lines: string[] = [];
  const output = new PassThrough().on("data", (line) => lines.push(String(line)));
  const settings = siteSettings.parse({
    intake: { schedule: true, categories: ["cs.LG"] },
    data: { folder },
  });
  const store = openSqliteStore(IN_MEMORY);
  const service = intakeService(store, settings, createLog({ level: "warn", output }));
  try {
    await service.start();
    expect(existsSync(join(folder, "politeness.sqlite"))).toBe(true);
    expect(lines.join("")).toContain("turns of requests are kept in the data folder");
  } finally {
    vi.stubEnv("XDG_STATE_HOME", folder);
    await service.stop();
    await store.close();
  }
});
