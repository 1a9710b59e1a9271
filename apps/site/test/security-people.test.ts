import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { networkOf } from "../src/http/client-block.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";

const PASSWORD = "seven wooden kites";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function withAda(options: Parameters<typeof testApp>[1] = {}): Promise<TestApp> {
  const site = await testApp(folder.path, options);
  const account = await site.feed.people.create({
    name: "ada",
    email: "ada@example.org",
    emailVerified: true,
  });
  const secret = await site.people.passwords.hash(PASSWORD);
  await site.feed.people.setCredential({ accountId: account.id, kind: "password", ref: "", secret });
  return site;
}

/** Counts the calls of every port of the store from here on. */
function countCalls(site: TestApp): () => Record<string, number> {
  const counts: Record<string, number> = {};
  for (const port of ["people", "limits", "settings", "comments", "activity"] as const) {
    const target = site.feed[port] as unknown as Record<string, unknown>;
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) {
      const method = target[name];
      if (name === "constructor" || typeof method !== "function") continue;
      target[name] = (...given: unknown[]) => {
        const key = `${port}.${name}`;
        counts[key] = (counts[key] ?? 0) + 1;
        return method.apply(target, given);
      };
    }
  }
  return () => ({ ...counts });
}

/** What an answer shows, without what differs in every answer. */
async function shown(answer: Response): Promise<unknown> {
  const text = (await answer.text())
    .replaceAll(/name="(_csrf|_at)" value="[^"]+"/g, "")
    .replaceAll(/[\w.+-]+@example\.org/g, "ADDRESS")
    .replaceAll(/value="(?:ada|nobody)"/g, "NAME");
  const cookies = answer.headers.getSetCookie().map((line) => line.replace(/=[^;]+/, ""));
  return { status: answer.status, text, cookies, cache: answer.headers.get("cache-control") };
}

describe("whether an account exists", () => {
  it.each([
    ["/sign-in", { login: "ada" }, { login: "nobody" }],
    ["/sign-in", { login: "ada@example.org" }, { login: "nobody@example.org" }],
    ["/sign-in/link", { email: "ada@example.org" }, { email: "nobody@example.org" }],
    ["/sign-up", { email: "ada@example.org" }, { email: "nobody@example.org" }],
    ["/forgot", { email: "ada@example.org" }, { email: "nobody@example.org" }],
  ])(
    "cannot be told from what %s answers, nor from the work that it does before",
    async (path, known, unknown) => {
      let now = Date.UTC(2026, 10, 20);
      const site = await withAda({ clock: () => now });
      const results: unknown[] = [];
      for (const fields of [known, unknown]) {
        const visitor = new Visitor((to, init) => site.app.request(to, init));
        await visitor.get(path === "/sign-in/link" ? "/sign-in" : path);
        now += 5000;
        await site.people.office.idle();
        const derivations = site.people.passwords.derivations;
        // What happens behind the answer is held back, to count what happens before it.
        const later = site.people.office.later.bind(site.people.office);
        const held: Parameters<typeof later>[] = [];
        site.people.office.later = (...work) => void held.push(work);
        const calls = countCalls(site);
        const answer = await visitor.post(path, { password: "not the password", ...fields });
        results.push({
          ...((await shown(answer)) as object),
          calls: calls(),
          derivations: site.people.passwords.derivations - derivations,
          behind: held.length,
        });
        site.people.office.later = later;
        for (const work of held) later(...work);
        await site.people.office.idle();
      }
      expect(results[0]).toEqual(results[1]);
      const { derivations } = results[0] as { derivations: number };
      expect(derivations).toBe(path === "/sign-in" ? 1 : 0);
    },
  );

  it("is told to the address alone", async () => {
    const site = await withAda();
    const visitor = new Visitor((path, init) => site.app.request(path, init));
    await visitor.get("/sign-in");
    for (const email of ["ada@example.org", "nobody@example.org"])
      await visitor.post("/sign-in/link", { email });
    for (const email of ["ada@example.org", "nobody@example.org"]) await visitor.post("/forgot", { email });
    await site.people.office.idle();
    expect(site.mails.map(({ to, subject }) => `${to}: ${subject}`).sort()).toEqual([
      "ada@example.org: Choose a new password",
      "ada@example.org: Your link to sign in",
      "nobody@example.org: Finish your sign-up",
    ]);
  });

  it("limits unknown names like known ones", async () => {
    const site = await withAda();
    const after = async (login: string) => {
      const visitor = new Visitor((path, init) => site.app.request(path, init));
      await visitor.get("/sign-in");
      const statuses: number[] = [];
      for (let at = 0; at < 12; at++)
        statuses.push((await visitor.post("/sign-in", { login, password: "wrong" })).status);
      return statuses;
    };
    const known = await after("ada");
    expect(known).toEqual([...Array(10).fill(403), 429, 429]);
    expect(await after("nobody")).toEqual(known);
  });
});

describe("limits", () => {
  it("hold for a network, and not for the others", async () => {
    const site = await withAda({ proxies: ["127.0.0.1"] });
    const from = async (address: string) => {
      const visitor = new Visitor((path, init) => site.app.request(path, init), {
        "x-forwarded-for": address,
      });
      await visitor.get("/forgot");
      return (await visitor.post("/forgot", { email: "x@example.org" })).status;
    };
    for (let at = 0; at < 10; at++) expect(await from("203.0.113.7")).toBe(200);
    expect(await from("203.0.113.7")).toBe(429);
    expect(await from("203.0.113.8")).toBe(200);
    // A forged hop before the proxy's own changes nothing.
    expect(await from("198.51.100.1, 203.0.113.7")).toBe(429);
    // One subscriber has 2^64 addresses of version 6.
    for (let at = 0; at < 10; at++) expect(await from(`2001:db8:1:2::${at}`)).toBe(200);
    expect(await from("2001:db8:1:2:ffff::1")).toBe(429);
    expect(await from("2001:db8:1:3::1")).toBe(200);
  });

  it("know networks in all spellings", () => {
    expect(networkOf("203.0.113.7", "block")).toBe("203.0.113");
    expect(networkOf("2001:db8::1", "subscriber")).toBe("2001:db8:0:0::");
    expect(networkOf("2001:0db8:0000:0000:1::", "subscriber")).toBe("2001:db8:0:0::");
    expect(networkOf("2001:db8:1:2:3:4:5:6", "block")).toBe("2001:db8:1::");
    expect(networkOf("fe80::1%eth0", "block")).toBe("fe80:0:0::");
    expect(networkOf("::1", "subscriber")).toBe("0:0:0:0::");
  });

  it("say when to come again", async () => {
    const site = await withAda({ proxies: ["127.0.0.1"] });
    const visitor = new Visitor((path, init) => site.app.request(path, init));
    await visitor.get("/sign-in");
    await visitor.post("/sign-in", { login: "ada", password: PASSWORD });
    await visitor.get("/settings");
    let answer = await visitor.post("/papers/swav/vote", { up: "1" });
    for (let at = 0; at < 60 && answer.status !== 429; at++)
      answer = await visitor.post("/papers/swav/vote", { up: String(at % 2) });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});

describe("the log", () => {
  it("holds no passwords, links, cookies, tokens, keys or addresses, at its most talkative", async () => {
    const site = await withAda({ logLevel: "debug" });
    const visitor = new Visitor((path, init) => site.app.request(path, init));
    await visitor.get("/sign-in?next=/secret-place");
    await visitor.post("/sign-in", { login: "ada", password: "a wrong password" });
    await visitor.post("/sign-in/link", { email: "ada@example.org" });
    await site.people.office.idle();
    const link = /\/link\/([\w-]{43})/.exec(site.mails.at(-1)!.text)![1]!;
    await visitor.get(`/link/${link}`);
    await visitor.post("/sign-in", { login: "ada", password: PASSWORD });
    await visitor.get("/settings");
    const made = await (await visitor.post("/settings/keys", { keyName: "k", "scope-read": "1" })).text();
    const key = /concord_[\w-]{32}/.exec(made)![0];
    await site.app.request("/api/daily_papers", { headers: { authorization: `Bearer ${key}` } });
    await visitor.send("/search?q=my+private+question");
    // A message that cannot be sent: the server's own words repeat the address.
    site.people.office.later(async () => {
      throw new Error("550 ada@example.org refused");
    });
    await site.people.office.idle();
    const log = site.logged.join("");
    expect(site.logged.length).toBeGreaterThan(8);
    const secrets = [
      PASSWORD,
      "a wrong password",
      link,
      key,
      visitor.cookies.get("session")!,
      visitor.hidden.get("_csrf")!,
      "ada@example.org",
      "secret-place",
      "private",
      "127.0.0.1",
    ];
    for (const secret of secrets) expect(log.includes(secret), secret).toBe(false);
  });
});
