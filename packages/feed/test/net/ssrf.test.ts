import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSafeFetch, FetchError, type Resolve, type SafeFetch } from "../../src/net/index.ts";
import { body, JumpingClock, ReplayServer, redirect } from "./replay-server.ts";

const PUBLIC = "93.184.215.14";
const accept = ["text/plain"];
let inside: ReplayServer;
const opened: SafeFetch[] = [];

beforeEach(async () => {
  inside = await ReplayServer.start();
  inside.on("/secret", body("the secret"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fetch) => fetch.close()));
  await inside[Symbol.asyncDispose]();
});

/** The port of the inner server is allowed, so that it is the address alone that keeps it out. */
function fetcher(options: { resolve?: Resolve; reroute?: Record<string, string> } = {}): SafeFetch {
  const port = Number(new URL(inside.origin).port);
  const fetch = createSafeFetch({ clock: new JumpingClock(), ports: [port], connectMs: 300, ...options });
  opened.push(fetch);
  return fetch;
}

async function failureOf(promise: Promise<unknown>): Promise<FetchError> {
  const error = await promise.then(
    () => new Error("it went through"),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(FetchError);
  return error as FetchError;
}

describe("literal addresses", () => {
  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "169.254.169.254",
    "10.0.0.1",
    "100.100.100.200",
  ])("refuses %s", async (host) => {
    const { port } = new URL(inside.origin);
    const error = await failureOf(fetcher()(`http://${host}:${port}/secret`, { accept }));
    expect(error.failure).toBe("blocked");
    expect(inside.requests).toEqual([]);
  });

  it.each(["http://[fe80::1%25eth0]/", "http://[::1%25lo]/"])("takes %s for no URL", async (url) => {
    expect((await failureOf(fetcher()(url, { accept }))).failure).toBe("url");
  });
});

describe("names", () => {
  const localhost: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];

  it("are refused when they stand for an inner address", async () => {
    const { port } = new URL(inside.origin);
    const error = await failureOf(
      fetcher({ resolve: localhost })(`http://intern.example:${port}/secret`, { accept }),
    );
    expect(error.failure).toBe("blocked");
    expect(error.message).toContain("127.0.0.1");
    expect(inside.requests).toEqual([]);
  });

  it("are refused when one of several addresses is an inner one", async () => {
    const mixed: Resolve = async () => [
      { address: PUBLIC, family: 4 },
      { address: "::ffff:10.0.0.1", family: 6 },
    ];
    const error = await failureOf(fetcher({ resolve: mixed })("http://mixed.example/", { accept }));
    expect(error.failure).toBe("blocked");
  });

  it("are judged by the answer that the connection uses (rebinding)", async () => {
    let lookups = 0;
    const rebinding: Resolve = async () => [
      { address: ++lookups % 2 === 1 ? PUBLIC : "127.0.0.1", family: 4 },
    ];
    const { port } = new URL(inside.origin);
    const fetch = fetcher({ resolve: rebinding });
    // The first connection goes to the public address, where nobody answers here; the second would go inside.
    for (let request = 0; request < 2; request++) {
      const error = await failureOf(fetch(`http://turn.example:${port}/secret`, { accept, attempts: 1 }));
      expect(["blocked", "connect", "timeout", "reset"]).toContain(error.failure);
    }
    expect(lookups).toBe(2);
    expect(inside.requests).toEqual([]);
  });

  it("that nobody knows are named as such", async () => {
    const none: Resolve = async () => {
      throw Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" });
    };
    const error = await failureOf(
      fetcher({ resolve: none })("http://nobody.example/", { accept, attempts: 1 }),
    );
    expect(error.failure).toBe("dns");
    const empty = await failureOf(
      fetcher({ resolve: async () => [] })("http://empty.example/", { accept, attempts: 1 }),
    );
    expect(empty.failure).toBe("dns");
  });
});

describe("URLs", () => {
  it.each([
    ["file:///etc/passwd", "url"],
    ["ftp://example.org/", "url"],
    ["gopher://example.org/_x", "url"],
    ["data:text/plain,x", "url"],
    ["javascript:alert(1)", "url"],
    ["//example.org/", "url"],
    ["example.org", "url"],
    ["", "url"],
    ["http://", "url"],
    ["http://user@example.org/", "url"],
    ["http://user:secret@example.org/", "url"],
    ["http://example.org:22/", "blocked"],
    ["http://example.org:6379/", "blocked"],
    ["https://example.org:8443/", "blocked"],
    [`http://example.org/${"x".repeat(9000)}`, "url"],
  ] as const)("refuses %s", async (url, failure) => {
    const error = await failureOf(fetcher()(url, { accept }));
    expect(error.failure).toBe(failure);
    expect(error.message).not.toContain("secret");
  });
});

describe("redirects", () => {
  it("to inner addresses, other schemes, ports and users are refused", async () => {
    await using outside = await ReplayServer.start();
    const { port } = new URL(inside.origin);
    const fetch = fetcher({ reroute: { "http://example.org": outside.origin } });
    const targets: readonly (readonly [string, string])[] = [
      [`http://127.0.0.1:${port}/secret`, "blocked"],
      [`http://[::ffff:127.0.0.1]:${port}/secret`, "blocked"],
      [`http://2130706433:${port}/secret`, "blocked"],
      ["//169.254.169.254/latest/meta-data/", "blocked"],
      ["http://example.com:25/", "blocked"],
      ["file:///etc/passwd", "url"],
      ["http://a:b@example.com/", "url"],
      ["http://[", "redirect"],
    ];
    for (const [target, failure] of targets) {
      outside.on("/start", redirect(target));
      const error = await failureOf(fetch("http://example.org/start", { accept }));
      expect([target, error.failure]).toEqual([target, failure]);
    }
    expect(inside.requests).toEqual([]);
    expect(outside.requests).toHaveLength(targets.length);
  });

  it("from https to http are refused", async () => {
    await using outside = await ReplayServer.start();
    outside.on("/start", redirect("http://example.org/next")).on("/next", body("open"));
    const fetch = fetcher({
      reroute: { "https://example.org": outside.origin, "http://example.org": outside.origin },
    });
    expect((await failureOf(fetch("https://example.org/start", { accept }))).message).toContain(
      "from https to http",
    );
  });

  it("lose the caller's headers when they leave the origin, and keep them within", async () => {
    await using outside = await ReplayServer.start();
    const fetch = fetcher({
      reroute: { "http://a.example": outside.origin, "http://b.example": outside.origin },
    });
    outside
      .on("/start", redirect("/second"))
      .on("/second", redirect("http://b.example/third"))
      .on("/third", body("there"));
    const headers = { authorization: "Bearer secret", cookie: "id=1", "x-api-key": "secret" };
    expect((await fetch("http://a.example/start", { accept, headers })).text()).toBe("there");
    const [first, second, third] = outside.requests;
    expect(first?.headers).toMatchObject(headers);
    expect(second?.headers).toMatchObject(headers);
    for (const name of Object.keys(headers)) expect(third?.headers).not.toHaveProperty(name);
    expect(outside.requests.map((request) => request.headers.host)).toEqual([
      "a.example",
      "a.example",
      "b.example",
    ]);
  });

  it("do not send a body on to another origin, and turn into GET where browsers do so", async () => {
    await using outside = await ReplayServer.start();
    const fetch = fetcher({
      reroute: { "http://a.example": outside.origin, "http://b.example": outside.origin },
    });
    const post = { accept, method: "POST", body: "q=1" } as const;
    outside.on("/elsewhere", redirect("http://b.example/x", 307));
    expect((await failureOf(fetch("http://a.example/elsewhere", post))).failure).toBe("blocked");
    outside.on("/see", redirect("/done", 303)).on("/done", body("done"));
    await fetch("http://a.example/see", post);
    expect(outside.requests.at(-1)).toMatchObject({ method: "GET", body: "" });
    outside.on("/again", redirect("/done", 308));
    await fetch("http://a.example/again", post);
    expect(outside.requests.at(-1)).toMatchObject({ method: "POST", body: "q=1" });
  });

  it("in a loop end after five", async () => {
    await using outside = await ReplayServer.start();
    outside.on("/loop", redirect("/loop"));
    const fetch = fetcher({ reroute: { "http://a.example": outside.origin } });
    expect((await failureOf(fetch("http://a.example/loop", { accept }))).failure).toBe("redirect");
    expect(outside.requests).toHaveLength(6);
  });
});
