import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { paperRecord } from "@concord/feed";
import { latestSlot } from "@concord/feed/digest";
import { secretHash } from "@concord/feed/people";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { siteSettings } from "../src/config/settings.ts";
import { createLog } from "../src/ops/log.ts";
import { OUTBOX_FOLDER } from "../src/people/service.ts";
import { digestService, digestTimes } from "../src/subscribe/service.ts";
import { eventually, temporaryFolder } from "./support.ts";
import { testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const log = createLog({ level: "silent", output: process.stderr });

async function siteWithReader() {
  const site = await testApp(folder.path);
  const { links, times } = site.digest;
  const email = "ada@example.org";
  await site.feed.subscriptions.subscribe({
    ...{ email, cadence: "daily", consent: { form: "test", addressHash: null } },
    tokens: links.hashes(email, ""),
  });
  await site.feed.subscriptions.confirm(secretHash(links.token("confirm", email)));
  const { day } = latestSlot("daily", times, Date.now());
  await site.feed.papers.upsert([
    paperRecord.parse({
      id: "2511.00001",
      title: "Spaces",
      abstract: "Agree.",
      announced: day,
      sources: ["test"],
    }),
  ]);
  return site;
}

const kept = async (data: string) =>
  (await readdir(join(data, OUTBOX_FOLDER)).catch(() => [])).filter((name) => name.endsWith(".eml"));

describe("the server", () => {
  it("builds what is due, sends it, and does so once however often it starts", async () => {
    const { feed: store, digest } = await siteWithReader();
    const data = join(folder.path, "sends");
    const settings = siteSettings.parse({ data: { folder: data } });
    for (const start of [1, 2]) {
      const service = digestService({ store, digest, settings, log }, { firstLookMs: 1, lookMs: 20 });
      await service.start();
      if (start === 1) await eventually(async () => (await kept(data)).length > 0, "a message in the outbox");
      else await new Promise((resolve) => setTimeout(resolve, 200));
      await service.stop();
    }
    expect(await kept(data)).toHaveLength(1);
    const [issue] = (await store.outbox.issues()).items;
    expect(await store.outbox.progress(issue?.id ?? "")).toMatchObject({ sent: 1, queued: 0, sending: 0 });
  });

  it("sends nothing where that is switched off", async () => {
    const { feed: store, digest } = await siteWithReader();
    const settings = siteSettings.parse({
      data: { folder: join(folder.path, "off") },
      digest: { send: false },
    });
    const service = digestService({ store, digest, settings, log }, { firstLookMs: 1 });
    await service.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await service.stop();
    expect((await store.outbox.issues()).items).toEqual([]);
  });

  it("reads its times from the settings", () => {
    const { digest } = siteSettings.parse({ digest: { time: "18:45", weekday: "sunday" } });
    expect(digestTimes(digest)).toEqual({ minute: 18 * 60 + 45, weekday: 7 });
    expect(() => siteSettings.parse({ digest: { time: "24:00" } })).toThrow(/07:00/);
  });
});
