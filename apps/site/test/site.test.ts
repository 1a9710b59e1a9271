import { connect, type Socket } from "node:net";
import { RunStore } from "@concord/papers";
import { expect, it } from "vitest";
import { startSite } from "../src/index.ts";
import { eventually, temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";
import { Visitor } from "./support-app.ts";

it("serves, executes runs, and takes a run up again that was under way when it was closed", async () => {
  const folder = await temporaryFolder();
  const options = { settings: testSettings(folder.path), command: toyCommand, papers: toyPapers };
  const site = await startSite(options);
  expect(site.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(`${site.url}/healthz`)).json()).toEqual({ status: "ok" });
  await expect(
    startSite({ ...options, settings: testSettings(folder.path, { port: Number(new URL(site.url).port) }) }),
  ).rejects.toThrow(/Port \d+ .*is taken/);

  const visitor = new Visitor((path, init) => fetch(site.url + path, { ...init, redirect: "manual" }));
  await visitor.get("/papers/clip-refine");
  const answer = await visitor.post("/papers/clip-refine/runs", { preset: "default", seeds: "1" });
  const id = answer.headers.get("location")!.split("/").at(-1)!;
  const store = new RunStore(options.settings.data.runs);
  const half = await eventually(async () => {
    const run = await store.read(id);
    return run.results.length >= 2 && run;
  }, "two arms are done");
  expect(half.status).toBe("running");
  await site.close();
  expect((await store.read(id)).status).toBe("queued");
  await expect(fetch(site.url)).rejects.toThrow();

  const again = await startSite(options);
  const done = await eventually(async () => {
    const run = await store.read(id);
    return run.status === "done" && run;
  }, "the run is done");
  expect(done.resumes).toBe(1);
  expect(done.results).toHaveLength(5);
  expect(done.verdicts[0]!.interval).toBeNull();
  await again.close();
  await folder.remove();
});

it("answers those whose requests had come when it was asked to stop", async () => {
  const folder = await temporaryFolder();
  const site = await startSite({
    settings: testSettings(folder.path),
    command: toyCommand,
    papers: toyPapers,
  });
  const { hostname, port } = new URL(site.url);
  const sockets = await Promise.all(
    Array.from(
      { length: 12 },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect(Number(port), hostname, () => resolve(socket)).once("error", reject);
        }),
    ),
  );
  const received = sockets.map(async (socket) => {
    let answer = "";
    try {
      for await (const piece of socket) answer += String(piece);
      return answer;
    } catch (error) {
      return `${answer.slice(0, 100)} … ${answer.slice(-20)} ${error}`;
    }
  });
  // Sent, and not read yet: this turn of the event loop is ours.
  for (const socket of sockets) socket.write(`GET /trending HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  const closed = site.close();
  for (const answer of await Promise.all(received)) expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*<\/html>/);
  await closed;
  await folder.remove();
});
