import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createSafeFetch,
  FetchError,
  politenessRule,
  type SafeFetch,
  type SafeFetchSettings,
  systemClock,
} from "../../src/net/index.ts";
import {
  body,
  drip,
  JumpingClock,
  ReplayServer,
  redirect,
  reset,
  silence,
  truncated,
} from "./replay-server.ts";

const SITE = "https://export.arxiv.org";
const accept = ["text/plain", "application/xml"];
let clock: JumpingClock;
let server: ReplayServer;
const opened: SafeFetch[] = [];

beforeEach(async () => {
  clock = new JumpingClock();
  server = await ReplayServer.start(clock.now);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fetch) => fetch.close()));
  await server[Symbol.asyncDispose]();
});

function fetcher(settings: SafeFetchSettings = {}): SafeFetch {
  const reroute = {
    [SITE]: server.origin,
    "https://rss.arxiv.org": server.origin,
    "http://other.example": server.origin,
  };
  const fetch = createSafeFetch({ clock, random: () => 0.5, reroute, ...settings });
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

describe("an answer", () => {
  it("comes with its text, type, validators and final address", async () => {
    server.on("/a", redirect("/b?x=1", 301)).on(
      "/b",
      body("Größe", {
        type: "text/plain; charset=utf-8",
        headers: { etag: '"e1"', "last-modified": "Wed, 13 May 2026 04:00:00 GMT" },
      }),
    );
    const answer = await fetcher({ contact: "https://example.org/about" })(`${SITE}/a`, { accept });
    expect(answer).toMatchObject({
      url: `${SITE}/b?x=1`,
      status: 200,
      notModified: false,
      contentType: "text/plain; charset=utf-8",
      validators: { etag: '"e1"', lastModified: "Wed, 13 May 2026 04:00:00 GMT" },
    });
    expect(answer.text()).toBe("Größe");
    expect(server.requests[0]?.headers["user-agent"]).toMatch(
      /^Concord\/\d+\.\d+\.\d+ \(\+https:\/\/example\.org\/about\)$/,
    );
    expect(server.requests[0]?.headers.accept).toBe("text/plain, application/xml");
  });

  it("that has not changed is not sent again", async () => {
    server.on("/a", (response, { headers }) => {
      const known = headers["if-none-match"] === '"e1"' && headers["if-modified-since"] === "yesterday";
      response.writeHead(known ? 304 : 500, { etag: '"e1"' }).end();
    });
    const answer = await fetcher()(`${SITE}/a`, {
      accept,
      validators: { etag: '"e1"', lastModified: "yesterday" },
    });
    expect(answer).toMatchObject({ notModified: true, status: 304 });
    expect(answer.bytes).toHaveLength(0);
  });

  it.each([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ] as const)("in %s is unpacked", async (encoding, compress) => {
    server.on("/a", body(compress("packed"), { headers: { "content-encoding": encoding } }));
    expect((await fetcher()(`${SITE}/a`, { accept })).text()).toBe("packed");
  });

  it("may be in another encoding of text that it names", async () => {
    server
      .on("/header", body(Buffer.from("Gr\xf6\xdfe", "latin1"), { type: "text/plain; charset=ISO-8859-1" }))
      .on(
        "/xml",
        body(Buffer.from('<?xml version="1.0" encoding="iso-8859-1"?><a>\xf6</a>', "latin1"), {
          type: "application/xml",
        }),
      )
      .on("/mark", body(Buffer.from("\ufeffö", "utf16le"), { type: "text/plain" }));
    const fetch = fetcher();
    expect((await fetch(`${SITE}/header`, { accept })).text()).toBe("Größe");
    expect((await fetch(`${SITE}/xml`, { accept })).text()).toContain("<a>ö</a>");
    expect((await fetch(`${SITE}/mark`, { accept })).text()).toBe("ö");
  });

  it.each([
    ["no UTF-8", Buffer.from([0x61, 0xff, 0xfe]), "text/plain"],
    ["an unknown encoding", Buffer.from("a"), "text/plain; charset=klingon"],
  ])("in %s is refused as text", async (_, bytes, type) => {
    server.on("/a", body(bytes, { type }));
    const answer = await fetcher()(`${SITE}/a`, { accept });
    expect(() => answer.text()).toThrow(expect.objectContaining({ failure: "encoding" }));
  });

  it.each([["text/html"], ["application/json"], [""]])("of type %j is refused", async (type) => {
    server.on("/a", body("<html>", { type }));
    expect((await failureOf(fetcher()(`${SITE}/a`, { accept }))).failure).toBe("content-type");
    expect(server.requests).toHaveLength(1);
  });

  it("with a status that the caller wants comes with its body", async () => {
    server.on("/a", body("why", { status: 400 }));
    const fetch = fetcher();
    expect((await fetch(`${SITE}/a`, { accept, statuses: [400] })).text()).toBe("why");
    expect(await failureOf(fetch(`${SITE}/a`, { accept }))).toMatchObject({ failure: "status", status: 400 });
  });
});

describe("limits", () => {
  it("hold for announced, chunked and unpacked sizes", async () => {
    const maxBytes = 10_000;
    const large = "x".repeat(maxBytes + 1);
    server
      .on("/announced", body(large))
      .on("/chunked", (response) => {
        response.writeHead(200, { "content-type": "text/plain" });
        response.end(large);
      })
      .on("/packed", body(large, { gzip: true }))
      .on("/fits", body(large.slice(1), { gzip: true }));
    const fetch = fetcher();
    for (const path of ["/announced", "/chunked", "/packed"]) {
      expect((await failureOf(fetch(`${SITE}${path}`, { accept, maxBytes }))).failure).toBe("too-large");
    }
    expect((await fetch(`${SITE}/fits`, { accept, maxBytes })).bytes).toHaveLength(maxBytes);
  });

  it("stop a gzip bomb before it unpacks", async () => {
    // 1 GiB of zeros in 1 MB: a thousand members of 1 MiB each.
    const member = gzipSync(Buffer.alloc(2 ** 20));
    server.on(
      "/bomb",
      body(Buffer.concat(Array.from({ length: 1024 }, () => member)), {
        headers: { "content-encoding": "gzip" },
      }),
    );
    const before = process.memoryUsage().rss;
    expect((await failureOf(fetcher()(`${SITE}/bomb`, { accept }))).failure).toBe("too-large");
    // The default limit of 15 MiB, with room for the collector's delays.
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  it("end a slow drip, a silence and a pause", async () => {
    server.on("/drip", drip("x".repeat(1000), 20)).on("/silence", silence);
    server.on("/pause", (response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      response.write("x");
    });
    const fetch = fetcher({ idleMs: 400 });
    const drips = await failureOf(fetch(`${SITE}/drip`, { accept, deadlineMs: 200, attempts: 1 }));
    expect(drips).toMatchObject({ failure: "timeout" });
    expect(drips.message).toContain("200 ms");
    for (const path of ["/silence", "/pause"]) {
      const started = performance.now();
      expect((await failureOf(fetch(`${SITE}${path}`, { accept, attempts: 1 }))).failure).toBe("timeout");
      // undici checks its timers about once a second.
      expect(performance.now() - started).toBeLessThan(5000);
    }
  });
});

describe("failures", () => {
  it.each([
    ["a reset", reset, "reset"],
    ["a truncated answer", truncated("x".repeat(1000), 100), "reset"],
    [
      "truncated gzip",
      body(gzipSync("x".repeat(1000)).subarray(0, 20), { headers: { "content-encoding": "gzip" } }),
      "truncated",
    ],
  ] as const)("%s is tried again, and named when it stays", async (_, reply, failure) => {
    server.on("/a", reply);
    const error = await failureOf(fetcher()(`${SITE}/a`, { accept }));
    expect([failure, "truncated"]).toContain(error.failure);
    expect(server.requests).toHaveLength(4);
    server.on("/b", reply, body("well"));
    expect((await fetcher()(`${SITE}/b`, { accept })).text()).toBe("well");
  });

  it("that will not pass are not tried again", async () => {
    server
      .on("/gone", body("", { status: 404 }))
      .on("/forbidden", body("", { status: 403 }))
      .on("/garbage", body("no gzip", { headers: { "content-encoding": "gzip" } }))
      .on("/zstd", body("?", { headers: { "content-encoding": "zstd" } }));
    const fetch = fetcher();
    for (const path of ["/gone", "/forbidden", "/garbage", "/zstd"])
      await failureOf(fetch(`${SITE}${path}`, { accept }));
    expect(server.requests).toHaveLength(4);
  });

  it.each([429, 500, 502, 503, 504])("status %i is tried again with growing waits", async (status) => {
    server.on("/a", body("", { status }));
    expect(await failureOf(fetcher()(`${SITE}/a`, { accept }))).toMatchObject({ failure: "status", status });
    // With random() = 0.5 the waits are 3, 6 and 12 seconds, no shorter than the gate's own.
    expect(server.requests.map(({ at }) => at - (server.requests[0]?.at ?? 0))).toEqual([
      0, 3000, 9000, 21_000,
    ]);
  });

  it("obey Retry-After in seconds and as a date", async () => {
    server.on("/seconds", body("", { status: 429, headers: { "retry-after": "17" } }), body("well"));
    const fetch = fetcher();
    expect((await fetch(`${SITE}/seconds`, { accept })).text()).toBe("well");
    expect((server.requests[1]?.at ?? 0) - (server.requests[0]?.at ?? 0)).toBe(17_000);
    const until = Math.ceil(clock.now() / 1000) * 1000 + 40_000;
    server.on(
      "/date",
      body("", { status: 503, headers: { "retry-after": new Date(until).toUTCString() } }),
      body("well"),
    );
    expect((await fetch(`${SITE}/date`, { accept })).text()).toBe("well");
    expect(server.requests[3]?.at).toBe(until);
  });

  it("keep others of the group away for as long as the server asked", async () => {
    server
      .on("/busy", body("", { status: 429, headers: { "retry-after": "60" } }))
      .on("/rss", body("listing"));
    const fetch = fetcher();
    const error = await failureOf(fetch(`${SITE}/busy`, { accept, attempts: 1 }));
    expect(error.retryAfterMs).toBe(60_000);
    await fetch("https://rss.arxiv.org/rss", { accept });
    expect((server.requests[1]?.at ?? 0) - (server.requests[0]?.at ?? 0)).toBe(60_000);
  });

  it("do not wait longer than the caller wants", async () => {
    server.on("/a", body("", { status: 429, headers: { "retry-after": "86400" } }));
    const fetch = fetcher();
    const error = await failureOf(fetch(`${SITE}/a`, { accept }));
    expect(error).toMatchObject({ status: 429, retryAfterMs: 86_400_000 });
    expect((await failureOf(fetch(`${SITE}/a`, { accept }))).retryAfterMs).toBeGreaterThan(86_000_000);
    expect(server.requests).toHaveLength(1);
    expect(clock.waits).toEqual([]);
  });

  it("end with the signal's reason when the caller stops", async () => {
    server.on("/a", silence);
    const stop = new AbortController();
    const reason = new Error("stopped by the user");
    const answer = fetcher()(`${SITE}/a`, { accept, signal: stop.signal });
    setTimeout(() => stop.abort(reason), 50);
    await expect(answer).rejects.toBe(reason);
    await expect(fetcher()(`${SITE}/a`, { accept, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("politeness", () => {
  it("asks all of arXiv in one queue, one request at a time, and others apart from it", async () => {
    // Of real time, with a shorter interval: requests under way do not follow a clock that jumps.
    const intervalMs = 80;
    await using real = await ReplayServer.start();
    real.on("/a", body("a")).on("/b", body("b"));
    const reroute = Object.fromEntries(
      [SITE, "https://rss.arxiv.org", "https://oaipmh.arxiv.org", "http://other.example"].map((origin) => [
        origin,
        real.origin,
      ]),
    );
    const fetch = fetcher({
      clock: systemClock,
      reroute,
      politeness: (hostname) => ({ ...politenessRule(hostname), intervalMs }),
    });
    const urls = [
      `${SITE}/a`,
      "https://rss.arxiv.org/b",
      "https://oaipmh.arxiv.org/b",
      "https://rss.arxiv.org/a",
    ];
    await Promise.all(urls.map((url) => fetch(url, { accept })));
    const times = real.requests.map(({ at }) => at);
    // A request may arrive some milliseconds after its turn began.
    for (let i = 1; i < times.length; i++)
      expect((times[i] ?? 0) - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(intervalMs - 30);
    expect((times[3] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(3 * intervalMs - 30);
    expect(real.mostAtOnce).toBe(1);
  });

  it("leaves three seconds between requests to arXiv, and none to the first of another host", async () => {
    server.on("/a", body("a"));
    const fetch = fetcher();
    for (const origin of [SITE, "https://rss.arxiv.org", SITE, "http://other.example"])
      await fetch(`${origin}/a`, { accept });
    const [first = 0, ...rest] = server.requests.map(({ at }) => at);
    expect(rest.map((at) => at - first)).toEqual([3000, 6000, 6000]);
  });
});

describe("the contact", () => {
  it.each(["two words", "a\r\nX-Evil: 1", "https://example.org/(x)", "ü@example.org"])(
    "refuses %j",
    (contact) => {
      expect(() => createSafeFetch({ contact })).toThrow("User-Agent");
    },
  );
});
