import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { safePath } from "../src/http/safe-path.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";
import { PASSWORD, signedIn } from "./support-people.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

describe("requests", () => {
  let site: TestApp;
  let ada: Visitor;
  beforeAll(async () => {
    site = await testApp(folder.path);
    ada = await signedIn(site, "ada");
  });

  it("of other methods are refused, and cannot pretend", async () => {
    for (const method of ["PUT", "PATCH", "DELETE", "PROPFIND"]) {
      const answer = await ada.send("/settings", { method, headers: { "sec-fetch-site": "same-origin" } });
      expect(answer.status, method).toBe(405);
    }
    const headers = { "x-http-method-override": "POST", "x-method-override": "DELETE" };
    expect((await ada.send("/settings/delete", { headers })).status).toBe(404);
    await ada.post("/settings/profile", { _method: "DELETE", name: "ada", displayName: "Ada" });
    expect(await site.feed.people.byName("ada")).not.toBeNull();
  });

  it("that are too large are refused, each route at its own limit", async () => {
    const big = "x".repeat(20_000);
    expect((await ada.post("/settings/profile", { displayName: big })).status).toBe(413);
    expect((await ada.post("/papers/swav/comments", { text: big })).status).toBe(400);
    expect((await ada.post("/papers/swav/comments", { text: "x".repeat(140_000) })).status).toBe(413);
    expect((await ada.post("/papers/swav/vote", { up: "1", text: big })).status).toBe(413);
  });

  it("with many or strange fields are answered, not failed", async () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`f${at}`, "1"]));
    expect((await ada.post("/settings/profile", many)).status).toBe(400);
    for (const name of ["__proto__", "constructor", "toString"])
      expect((await ada.post("/settings/profile", { [name]: "x" })).status).toBe(400);
    const answer = await ada.post("/settings/profile", { name: "ada", displayName: "a\0b\ud800c" });
    expect(answer.status).toBeLessThan(500);
    const broken = await ada.send("/settings/profile", {
      method: "POST",
      headers: { "sec-fetch-site": "same-origin", "content-type": "multipart/form-data; boundary=x" },
      body: "--y\r\nnonsense",
    });
    expect([400, 403]).toContain(broken.status);
  });

  it("lead back to this site only", async () => {
    const elsewhere = [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "javascript:alert(1)",
      "/\t/evil.example",
      "/%0d%0aSet-Cookie: x=y\r\nX: y",
      "\\\\evil.example",
      "/.//evil.example",
      "/a/..//evil.example",
      "evil.example",
      " //evil.example",
      "/\u0000",
      `/${"a".repeat(3000)}`,
    ];
    for (const path of elsewhere) {
      const location = (await ada.post("/papers/swav/vote", { up: "1", back: path })).headers.get(
        "location",
      )!;
      expect(new URL(location, "http://localhost").host, path).toBe("localhost");
      expect(location).not.toMatch(/[\r\n\t\\]/);
      const visitor = new Visitor((to, init) => site.app.request(to, init));
      await visitor.get("/sign-in");
      const signed = await visitor.post("/sign-in", { login: "ada", password: PASSWORD, next: path });
      expect(new URL(signed.headers.get("location")!, "http://localhost").host, path).toBe("localhost");
    }
    expect(safePath("/day/2026-11-20?topic=a#b")).toBe("/day/2026-11-20?topic=a#b");
    expect(safePath("/a/..//evil.example")).toBe("/");
    expect(safePath(undefined, "/x")).toBe("/x");
  });

  it("cannot write headers of answers or of mail", async () => {
    const evil = "x\r\nSet-Cookie: evil=1\r\n\r\n<b>";
    for (const path of ["/sign-in?next=", "/people/", "/collections/", "/link/", "/?topic="]) {
      const { headers } = await site.app.request(path + encodeURIComponent(evil));
      expect(headers.get("set-cookie") ?? "").not.toContain("evil=");
    }
    const before = site.mails.length;
    for (const email of [
      "a@example.org\r\nBcc: b@example.org",
      "a@example.org, b@example.org",
      "a@exam\u2028ple.org",
    ]) {
      await ada.get("/forgot");
      const answer = await ada.post("/forgot", { email });
      expect(answer.status, JSON.stringify(email)).toBe(400);
    }
    await site.people.office.idle();
    expect(site.mails).toHaveLength(before);
  });
});
