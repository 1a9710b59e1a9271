import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, paperRecord } from "@concord/feed";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toyCommand } from "./toy-context.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-commands-"));
const at = (name: string) => join(folder, name);
const store = at("concord.sqlite");
const { run } = toyCommand();

beforeAll(async () => {
  const made = openSqliteStore(store);
  await made.papers.upsert([paperRecord.parse({ id: "2601.00001", title: "A paper", abstract: "About." })]);
  const ada = await made.people.create({ name: "ada", email: "ada@example.org" });
  await made.activity.bookmark("2601.00001", { accountId: ada.id }, true);
  await made.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("concord backup and restore", () => {
  it("copy a store, check the copy and make a store of it", async () => {
    const made = await run("backup", at("copy.db"), "--data", folder);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(made.stdout).toMatch(/copy\.db: .* 1 papers, 1 accounts, 0 readers\. Checked\./);
    expect(await run("backup", "--verify", at("copy.db"))).toMatchObject({ code: 0 });
    expect((await run("restore", at("copy.db"), "--data", at("new"))).stdout).toContain("1 papers");
    const restored = openSqliteStore(at("new/concord.sqlite"));
    expect(await restored.papers.get("2601.00001")).toMatchObject({ title: "A paper", bookmarks: 1 });
    await restored.close();
  });

  it("never overwrite, and say so", async () => {
    await run("backup", at("twice.db"), "--store", store);
    const again = await run("backup", at("twice.db"), "--store", store);
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/twice\.db exists already and is not overwritten/);
    const onto = await run("restore", at("twice.db"), "--store", store);
    expect(onto.code).toBe(2);
    expect(onto.stderr).toMatch(/concord\.sqlite exists already/);
  });

  it("name what is missing", async () => {
    expect((await run("restore", at("none.db"), "--store", at("x.db"))).stderr).toMatch(/no file/);
    expect((await run("backup", at("y.db"), "--store", at("none.sqlite"))).stderr).toMatch(/no store/);
    expect(existsSync(at("none.sqlite"))).toBe(false);
  });
});

describe("concord export", () => {
  it("writes a store that restore reads", async () => {
    expect(await run("export", at("all.jsonl.gz"), "--store", store)).toMatchObject({ code: 0 });
    const read = await run("restore", at("all.jsonl.gz"), "--store", at("read.sqlite"));
    expect(read).toMatchObject({ code: 0 });
    expect(read.stdout).toContain("1 papers, 1 accounts");
  });

  it("writes a person's data in three formats", async () => {
    expect(
      await run("export", at("ada.json"), "--person", "ada@example.org", "--store", store),
    ).toMatchObject({ code: 0 });
    expect(JSON.parse(readFileSync(at("ada.json"), "utf8"))).toMatchObject({
      bookmarks: [{ id: "2601.00001" }],
    });
    const csv = await run("export", "-", "--person", "ada", "--format", "csv", "--store", store);
    expect(csv.stdout).toMatch(/^list,paper,title,added\r\nbookmarks,2601\.00001,A paper,/);
    const tex = await run("export", "-", "--person", "ada", "--format", "bibtex", "--store", store);
    expect(tex.stdout).toMatch(/^@/);
    const nobody = await run("export", "-", "--person", "bo", "--store", store);
    expect(nobody).toMatchObject({ code: 2 });
    expect(nobody.stderr).toContain('There is no account "bo".');
  });
});
