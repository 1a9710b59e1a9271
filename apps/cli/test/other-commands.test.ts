import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toyCommand } from "./toy-context.ts";

let runs: string;
beforeEach(async () => {
  runs = await mkdtemp(join(tmpdir(), "concord-cli-"));
});
afterEach(async () => {
  await rm(runs, { recursive: true, force: true });
});

it.each([
  [["papers", "--topic", "cooking"], "Known: image-text"],
  [["papers", "clip-refyne"], "Did you mean clip-refine?"],
  [["papers", "no", "such", "words"], "No paper matches"],
  [["start", "--port", "99999"], "Expected a port"],
  [["strat"], "Did you mean start?"],
])("refuses %j with exit code 2", async (args, message) => {
  const { code, stdout, stderr } = await toyCommand().run(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
  expect(stdout).toBe("");
});

describe("concord runs", () => {
  it("takes its folder from the environment, and says when there is nothing", async () => {
    const { code, stdout } = await toyCommand({ env: { CONCORD_RUNS: runs } }).run("runs");
    expect(code).toBe(0);
    expect(stdout).toContain(`No runs in ${runs}`);
  });

  it("lists what can be read and names what can not", async () => {
    const command = toyCommand({ env: { CONCORD_RUNS: runs } });
    await command.run("run", "toy", "--preset", "smoke");
    const [id] = (await readdir(runs)) as [string];
    const broken = id.replace(/[0-9a-f]{6}$/, (end) => (end === "000000" ? "000001" : "000000"));
    await mkdir(join(runs, broken));
    const { code, stdout, stderr } = await command.run("runs");
    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect(stderr).toMatch(new RegExp(`^Left out: .*${broken}`));
    expect(JSON.parse((await command.run("runs", "--json")).stdout)).toMatchObject([{ id, status: "done" }]);
    expect((await command.run("runs", broken)).code).toBe(1);
    expect(JSON.parse((await command.run("runs", id, "--json")).stdout)).toMatchObject({
      id,
      status: "done",
    });
  });

  it("asks for more of an id that several runs share", async () => {
    const command = toyCommand({ env: { CONCORD_RUNS: runs } });
    for (let k = 0; k < 2; k++) await command.run("run", "toy", "--preset", "smoke", "--queue");
    const { code, stderr } = await command.run("runs", "toy");
    expect(code).toBe(2);
    for (const id of await readdir(runs)) expect(stderr).toContain(id);
  });
});

describe("concord papers", () => {
  it("lists the catalogue, newest first, within the terminal's width", async () => {
    const { code, stdout } = await toyCommand().run("papers");
    expect(code).toBe(0);
    const dates = [...stdout.matchAll(/^\d{4}-\d\d-\d\d/gm)].map(([date]) => date);
    expect(dates.length).toBeGreaterThanOrEqual(24);
    expect(dates).toEqual([...dates].sort().reverse());
    expect(stdout).toMatch(/clip-refine .* yes$/m);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  it("finds papers by words and topic, and those that run", async () => {
    const slugs = async (...args: string[]): Promise<string[]> =>
      JSON.parse((await toyCommand().run("papers", ...args, "--json")).stdout).map(
        ({ slug }: { slug: string }) => slug,
      );
    expect(await slugs("adaptive", "HASHING")).toEqual(["prompthash"]);
    const audio = await slugs("--topic", "audio");
    expect(audio).toContain("cogenav");
    expect(audio).not.toContain("voco");
    expect(await slugs("--runs-here")).toContain("clip-refine");
  });

  it("shows every card within the terminal's width", async () => {
    const cards = JSON.parse((await toyCommand().run("papers", "--json")).stdout);
    expect(cards.length).toBeGreaterThanOrEqual(24);
    for (const { slug, arxivId } of cards) {
      const { stdout } = await toyCommand().run("papers", slug);
      expect(stdout).toContain(`https://arxiv.org/abs/${arxivId}`);
      // Addresses stay whole, so that they can be copied.
      const long = stdout.split("\n").filter((line) => line.length > 100 && !line.includes("https://"));
      expect(long).toEqual([]);
    }
  });

  it("shows claims, arms, presets, and published tables with how sure they are", async () => {
    const { stdout } = await toyCommand().run("papers", "clip-refine");
    const parts = ["Claims that a run tests", "margin -1.5", "rafa-no-noise", "54.69", "not confirmed"];
    for (const text of [...parts, "concord run clip-refine"]) expect(stdout).toContain(text);
    const card = JSON.parse((await toyCommand().run("papers", "clip-refine", "--json")).stdout);
    expect(card.experiment.claims.length).toBeGreaterThan(0);
  });
});

describe("concord start", () => {
  it("serves what was asked for, and closes when asked to stop", async () => {
    const started: unknown[] = [];
    let closed = 0;
    const command = toyCommand({
      startSite: async (options) => {
        started.push(options);
        setTimeout(() => command.requestStop(), 20);
        return {
          url: "http://127.0.0.1:7",
          close: async () => {
            closed++;
          },
        };
      },
    });
    const args = ["start", "--port", "7", "--runs", runs, "--allow-host", "a.example", "b.example"];
    const { code, stdout } = await command.run(...args);
    expect(code).toBe(0);
    expect(stdout).toContain("http://127.0.0.1:7");
    expect(stdout).toContain("Ctrl-C");
    expect(closed).toBe(1);
    expect(started).toMatchObject([
      {
        settings: {
          server: { port: 7, host: "127.0.0.1", allowHosts: ["a.example", "b.example"] },
          data: { runs },
        },
        command: ["node", "concord"],
      },
    ]);
  });

  it("says when the port is taken", async () => {
    const details = { code: "EADDRINUSE", address: "127.0.0.1", port: 7 };
    const taken = Object.assign(new Error("listen EADDRINUSE"), details);
    const { code, stderr } = await toyCommand({ startSite: () => Promise.reject(taken) }).run("start");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: 127\.0\.0\.1:7: the port is taken; choose another with --port.*\n$/);
  });
});
