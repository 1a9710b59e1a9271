import { mkdtemp, rm } from "node:fs/promises";
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
