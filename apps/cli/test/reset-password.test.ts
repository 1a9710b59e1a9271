import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "@concord/feed";
import { secretHash } from "@concord/feed/people";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toyCommand } from "./toy-context.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-reset-"));
const file = join(folder, "concord.sqlite");
const { run } = toyCommand();

beforeAll(async () => {
  const store = openSqliteStore(file);
  await store.people.create({ name: "ada" });
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("prints a link to a page of the site, good once and for a quarter of an hour", async () => {
  const made = await run("reset-password", "ada", "--data", folder, "--url", "https://papers.example.org/");
  expect(made.code).toBe(0);
  const secret = /^https:\/\/papers\.example\.org\/link\/([\w-]{43})\n$/.exec(made.stdout)![1]!;
  const store = openSqliteStore(file);
  const { id } = (await store.people.byName("ada"))!;
  const token = await store.people.takeLoginToken(secretHash(secret));
  expect(token).toMatchObject({ purpose: "reset-password", accountId: id });
  expect(token!.expiresAt - token!.createdAt).toBeLessThanOrEqual(15 * 60_000 + 1000);
  expect(await store.people.takeLoginToken(secretHash(secret))).toBeNull();
  await store.close();
});

it("says what is wrong: nobody of this name, no store, no address", async () => {
  expect((await run("reset-password", "eve", "--data", folder)).stderr).toContain('no account "eve"');
  expect((await run("reset-password", "ada", "--data", join(folder, "none"))).stderr).toContain("no store");
  expect((await run("reset-password", "ada", "--data", folder, "--url", "ftp://x")).stderr).toContain(
    "--url",
  );
});
