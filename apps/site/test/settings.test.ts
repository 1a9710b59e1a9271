import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadSettings, settingsTable } from "../src/config/load.ts";
import { temporaryFolder } from "./support.ts";

const page = new URL("../../../docs/running-a-site.md", import.meta.url);
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function file(text: string): Promise<string> {
  const path = join(folder.path, "concord.json");
  await writeFile(path, text);
  return path;
}

describe("settings", () => {
  it("have defaults", async () => {
    expect((await loadSettings({})).server).toMatchObject({ host: "127.0.0.1", port: 4100 });
  });

  it("come from a file, over it the environment, over it the command line", async () => {
    const settings = await loadSettings({
      file: await file('{ "server": { "port": 1, "host": "10.0.0.1" }, "intake": { "schedule": true } }'),
      env: { CONCORD_PORT: "2", CONCORD_CATEGORIES: "cs.CV, cs.LG", CONCORD_HOST: "" },
      over: { server: { port: 3 } },
    });
    expect(settings.server).toMatchObject({ port: 3, host: "10.0.0.1" });
    expect(settings.intake).toMatchObject({ schedule: true, categories: ["cs.CV", "cs.LG"] });
  });

  it.each([
    [{ CONCORD_PORT: "70000" }, /server\.port \(CONCORD_PORT in the environment\)/],
    [{ CONCORD_TRUSTED_PROXIES: "10.0.0.0/8 nonsense" }, /server\.trustedProxies/],
    [{ CONCORD_SMTP_URL: "http://mail.example" }, /mail\.smtpUrl/],
    [{ CONCORD_PUBLIC_URL: "papers.example" }, /server\.publicUrl/],
  ])("that are wrong are named with where they came from: %j", async (env, message) => {
    await expect(loadSettings({ env })).rejects.toThrow(message);
  });

  it("refuse a file that is none, and names that are no settings", async () => {
    await expect(loadSettings({ file: join(folder.path, "none.json") })).rejects.toThrow(/cannot be read/);
    await expect(loadSettings({ file: await file("{") })).rejects.toThrow(/is not JSON/);
    await expect(loadSettings({ file: await file("[]") })).rejects.toThrow(/expected an object/);
    await expect(loadSettings({ file: await file('{ "server": { "prot": 1 } }') })).rejects.toThrow(/prot/);
  });

  it("are all in the documentation, which says how to write its table anew", async () => {
    const text = await readFile(page, "utf8");
    const table = `<!-- settings -->\n${settingsTable()}\n<!-- /settings -->`;
    if (process.env.CONCORD_WRITE_DOCS) {
      await writeFile(
        page,
        text.replace(/<!-- settings -->[\s\S]*<!-- \/settings -->/, () => table),
      );
      return;
    }
    expect(text, "run this test with CONCORD_WRITE_DOCS=1").toContain(table);
  });
});
