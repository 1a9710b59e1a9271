import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openSqliteStore } from "@concord/feed";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { STORE_FILE } from "../src/index.ts";
import { createLog } from "../src/ops/log.ts";
import { realRecords } from "./real-records.ts";
import { temporaryFolder } from "./support.ts";
import { ownForm, type TestApp, testApp, Visitor } from "./support-app.ts";

const cli = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));

interface Running {
  readonly url: string;
  readonly pid: number;
  /** What it wrote to standard error so far. */
  readonly log: () => string;
  stop(): void;
  /** The status it ends with. */
  readonly ended: Promise<number | null>;
}

/** The command that operators use, in a process of its own. */
async function start(folder: string, env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const child = spawn(
    process.execPath,
    [
      ...["--conditions=source", "--disable-warning=ExperimentalWarning", cli],
      ...["start", "--port", "0", "--data", folder, "--runs", join(folder, "runs")],
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } },
  );
  const ended = once(child, "exit").then(([code]) => code as number | null);
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  let said = "";
  for await (const text of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    said += text;
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
    if (url !== undefined && child.pid !== undefined) {
      child.stdout.resume();
      return { url, pid: child.pid, log: () => log, stop: () => void child.kill("SIGTERM"), ended };
    }
  }
  throw new Error(`The site did not start:\n${said}${log}`);
}

describe("a site in a process of its own", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: Running;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const store = openSqliteStore(join(folder.path, STORE_FILE));
    await store.papers.upsert(realRecords());
    await store.close();
    site = await start(folder.path);
  });
  afterAll(async () => {
    site?.stop();
    await site?.ended;
    await folder?.remove();
  });

  it("answers every request that it took, also those under way when it is asked to stop, and ends with 0", async () => {
    let started = 0;
    let whole = 0;
    let refused = 0;
    const broken: string[] = [];
    let stopping = false;
    const client = async () => {
      for (;;) {
        started += 1;
        try {
          const answer = await fetch(`${site.url}/?after=&p=${started}`, {
            headers: { connection: "close" },
          });
          const text = await answer.text();
          if (answer.status === 200 && text.includes("</html>")) whole += 1;
          else broken.push(`status ${answer.status}, ${text.length} characters`);
        } catch (error) {
          const cause = (error as { cause?: { code?: string } }).cause;
          // A connection that was not taken is no lost answer; one that was taken and cut is.
          if (cause?.code === "ECONNREFUSED") refused += 1;
          else broken.push(String(cause?.code ?? error));
          if (stopping) return;
        }
        if (stopping && refused > 0) return;
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await sleep(1500);
    stopping = true;
    site.stop();
    await Promise.all(clients);
    expect(await site.ended).toBe(0);
    expect(whole).toBeGreaterThan(8);
    // The kernel takes connections for a listener that closes a moment later: at most one a client.
    expect(broken.filter((reason) => reason !== "ECONNRESET")).toEqual([]);
    expect(broken.length).toBeLessThanOrEqual(8);
    const log = site.log();
    const answered = log.split("\n").filter((line) => line.includes('"msg":"request"'));
    expect(answered.length, "no answer that the log tells of was lost").toBeLessThanOrEqual(whole);
  });

  it("stops although a reader holds a connection open and sends nothing", async () => {
    const again = await start(folder.path);
    const { hostname, port } = new URL(again.url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    socket.on("error", () => {});
    await sleep(100);
    const begin = performance.now();
    again.stop();
    expect(await again.ended).toBe(0);
    expect(performance.now() - begin).toBeLessThan(12_000);
    socket.destroy();
  });
});

describe("the log", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: TestApp;

  beforeAll(async () => {
    folder = await temporaryFolder();
    site = await testApp(folder.path, { logLevel: "trace" });
  });
  afterAll(() => folder.remove());

  it("has requests with method, route, status and time, and nothing that opens or tells of somebody", async () => {
    const secrets = {
      password: "correct horse battery staple",
      email: "reader.of.papers@example.org",
      search: "something-private-to-look-for",
      token: "T0ken-that-opens-a-door-0123456789abcdefghi",
    };
    const visitor = new Visitor((path, init) => site.app.request(path, init));
    await visitor.get("/sign-up");
    await visitor.post("/sign-up", { name: "reader", email: secrets.email, password: secrets.password });
    await visitor.post("/sign-in", { name: "reader", password: `${secrets.password}-wrong` });
    await visitor.send(`/search?q=${secrets.search}`);
    await visitor.send(`/u/${secrets.token}`);
    await visitor.send(`/link/${secrets.token}`);
    await visitor.send("/api/v1/papers", { headers: { authorization: `Bearer ${secrets.token}` } });
    await site.app.request("/subscribe", ownForm({ email: secrets.email }));
    await site.app.request("/metrics", { headers: { authorization: `Bearer ${secrets.token}` } });
    await site.app.request("/", {
      headers: { cookie: `session=${secrets.token}`, "x-forwarded-for": "203.0.113.77" },
    });
    const text = site.logged.join("");
    const requests = site.logged
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === "request");
    expect(requests.length).toBeGreaterThanOrEqual(9);
    for (const request of requests) {
      expect(request).toMatchObject({
        method: expect.any(String),
        status: expect.any(Number),
        ms: expect.any(Number),
      });
      expect(request.route).toMatch(/^\/|^\*/);
    }
    const cookies = [...visitor.cookies.values()];
    expect(cookies.length).toBeGreaterThan(0);
    for (const secret of [...Object.values(secrets), ...cookies, ...visitor.hidden.values(), "203.0.113.77"])
      expect(text).not.toContain(secret);
  });

  it("hides secrets that a careless line would bring", () => {
    const lines: string[] = [];
    const output = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    const secrets = { password: "p4ss", email: "a@b.example", token: "t0k" };
    createLog({ level: "info", output }).info({ ...secrets, cookie: "c00kie", account: secrets }, "careless");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("careless");
    expect(lines[0]).not.toMatch(/p4ss|a@b\.example|t0k|c00kie/);
  });
});

describe("health", () => {
  it("is 503 with the reason when the store cannot be used, and 200 before", async () => {
    const folder = await temporaryFolder();
    const site = await testApp(folder.path, { storeFile: join(folder.path, "store.sqlite") });
    expect((await site.app.request("/healthz")).status).toBe(200);
    await site.feed.close();
    const answer = await site.app.request("/healthz");
    expect(answer.status).toBe(503);
    const body = (await answer.json()) as { status: string; problem: string };
    expect(body.status).toBe("failing");
    expect(body.problem).toMatch(/\w/);
    await folder.remove();
  });

  it("metrics count requests by route, for this machine and for whoever has the token", async () => {
    const folder = await temporaryFolder();
    const site = await testApp(folder.path);
    const env = { incoming: { socket: { remoteAddress: "127.0.0.1" } } };
    await site.app.request("/papers/clip-refine?q=not-in-metrics", undefined, env);
    const answer = await site.app.request("/metrics", undefined, env);
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(text).toMatch(
      /concord_request_seconds_count\{method="GET",route="\/papers\/:id",status="200"\} 1/,
    );
    expect(text).toMatch(/^concord_papers 24$/m);
    expect(text).not.toContain("not-in-metrics");
    const elsewhere = { incoming: { socket: { remoteAddress: "203.0.113.9" } } };
    expect((await site.app.request("/metrics", undefined, elsewhere)).status).toBe(403);
    // A proxy on this machine that nobody named: whoever stands behind it is somewhere else.
    for (const name of ["x-forwarded-for", "forwarded", "x-real-ip", "via"]) {
      const passedOn = await site.app.request("/metrics", { headers: { [name]: "1.1 proxy" } }, env);
      expect(passedOn.status, name).toBe(403);
    }
    await folder.remove();
  });
});

describe("files for operators", () => {
  const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

  it("start what exists", async () => {
    const unit = await read("deploy/concord.service");
    const docker = await read("Dockerfile");
    for (const text of [unit, docker]) {
      const path = /(apps\/cli\/bin\/concord\.js)/.exec(text)?.[1];
      expect(existsSync(new URL(`../../../${path}`, import.meta.url))).toBe(true);
    }
    const lines = unit.split("\n").filter((line) => line !== "" && !/^[#;]/.test(line));
    for (const line of lines) expect(line).toMatch(/^(?:\[\w+\]|\w+=.*)$/);
    // Neither has a home to write to: what is kept for the user's programs goes where the data are.
    expect(unit).toMatch(/^Environment=XDG_STATE_HOME=\/var\/lib\/concord$/m);
    expect(docker).toMatch(/^ENV .*XDG_STATE_HOME=\/data$/m);
    expect(docker).toMatch(/^USER node$/m);
    expect(docker).toContain("/healthz");
  });
});
