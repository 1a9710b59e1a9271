import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSafeFetch, type SafeFetch } from "../../src/net/index.ts";
import { checkedArxivId, fetchSubmission, submissionsOf, submitPaper } from "../../src/people/index.ts";
import { IN_MEMORY, openSqliteStore, type SqliteStore } from "../../src/store/index.ts";
import * as fixtures from "../intake/fixtures.ts";
import { body, JumpingClock, ReplayServer } from "../net/replay-server.ts";

const ATOM = { type: "application/atom+xml; charset=utf-8" };

let clock: JumpingClock;
let server: ReplayServer;
let fetch: SafeFetch;
let store: SqliteStore;
let accountId: string;

beforeEach(async () => {
  clock = new JumpingClock();
  server = await ReplayServer.start(clock.now);
  fetch = createSafeFetch({
    clock,
    random: () => 0.5,
    reroute: { "https://export.arxiv.org": server.origin },
  });
  store = openSqliteStore(IN_MEMORY, { clock: clock.now });
  accountId = (await store.people.create({ name: "ada" })).id;
});
afterEach(async () => {
  await fetch.close();
  await server[Symbol.asyncDispose]();
  await store.close();
});

const submit = (text: string) => submitPaper(store, { text, accountId }, clock.now);
const work = () => fetchSubmission(store, { fetch, clock: clock.now });

describe("a submitted paper", () => {
  it("is asked for once and comes in", async () => {
    server.on("/api/query", body(fixtures.atomNew, ATOM));
    expect(await submit("https://arxiv.org/abs/2405.01234v2")).toEqual({ id: "2405.01234", here: false });
    await submit("arXiv:2405.01234");
    expect(await submissionsOf(store, accountId)).toMatchObject([{ id: "2405.01234", state: "waiting" }]);
    expect(await work()).toBe(true);
    expect(await work()).toBe(false);
    expect(server.requests).toHaveLength(1);
    expect(await submissionsOf(store, accountId)).toMatchObject([{ id: "2405.01234", state: "here" }]);
    expect(await submit("2405.01234")).toEqual({ id: "2405.01234", here: true });
  });

  it("that arXiv does not know is not taken in, and says why", async () => {
    server.on("/api/query", body(fixtures.atomNew, ATOM));
    await submit("2405.09999");
    await work();
    expect(await submissionsOf(store, accountId)).toMatchObject([
      { id: "2405.09999", state: "failed", reason: "id: arXiv knows no such paper" },
    ]);
    expect(await work()).toBe(false);
  });

  it("waits and is tried again when arXiv fails, and fails for good after five times", async () => {
    server.on("/api/query", body("nonsense", ATOM));
    await submit("2405.01234");
    for (let attempt = 1; attempt <= 5; attempt++) {
      expect(await work()).toBe(true);
      const [submission] = await submissionsOf(store, accountId);
      expect(submission).toMatchObject({ attempts: attempt, state: attempt < 5 ? "waiting" : "failed" });
      expect(await work(), "not before its time").toBe(false);
      await clock.sleep(24 * 3_600_000);
    }
    expect(await work()).toBe(false);
  });

  it("is one's own affair: others do not see it", async () => {
    const other = await store.people.create({ name: "grace" });
    await submit("2405.01234");
    expect(await submissionsOf(store, other.id)).toEqual([]);
  });

  it.each([
    "",
    "2405",
    "9999.99999",
    "https://example.org/2405.01234",
    "2405.01234; drop table",
    "../2405.01234",
  ])("cannot be %j", (text) => {
    expect(() => checkedArxivId(text)).toThrow(/Expected an arXiv id/);
  });

  it.each([
    ["math/0309136", "math/0309136"],
    ["math.GT/0309136v1", "math/0309136"],
    ["https://www.arxiv.org/pdf/2405.01234v2.pdf", "2405.01234"],
    ["https://arxiv.org/html/2405.01234v1#S1", "2405.01234"],
  ])("may be named %s", (text, id) => {
    expect(checkedArxivId(text)).toBe(id);
  });
});
