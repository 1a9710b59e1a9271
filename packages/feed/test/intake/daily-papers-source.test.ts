import { describe, expect, it } from "vitest";
import { body } from "../net/replay-server.ts";
import * as fixtures from "./fixtures.ts";
import { counts, replayedSources } from "./support.ts";

const JSON_TYPE = { type: "application/json; charset=utf-8" };
const sources = replayedSources();
const { read, query } = sources;

describe("Daily Papers", () => {
  it("are read day by day, and only what is new the next time", async () => {
    const [item] = JSON.parse(fixtures.hfDaily) as readonly { readonly paper: object }[];
    const list = (day: string) =>
      JSON.stringify([{ ...item, paper: { ...item?.paper, submittedOnDailyAt: `${day}T01:00:00Z` } }]);
    sources.server.on("/api/daily_papers", (response, request) =>
      body(list(new URL(request.url, "http://x").searchParams.get("date") ?? ""), JSON_TYPE)(
        response,
        request,
      ),
    );
    const report = await read({ kind: "hf-daily", from: "2026-05-12", to: "2026-05-14" });
    expect(counts(report)).toEqual([1, 0, 2, 0]);
    expect(sources.server.requests.map((_, index) => query(index).get("date"))).toEqual([
      "2026-05-12",
      "2026-05-13",
      "2026-05-14",
    ]);
    expect((await sources.store.papers.get("2405.01234"))?.announced).toBe("2026-05-12");
    await read({ kind: "hf-daily" });
    await sources.clock.sleep(86_400_000);
    await read({ kind: "hf-daily" });
    expect(sources.server.requests.slice(3).map((_, index) => query(index + 3).get("date"))).toEqual([
      "2026-05-14",
      "2026-05-14",
      "2026-05-15",
    ]);
  });

  it("name what cannot be read", async () => {
    sources.server.on("/api/daily_papers", body(fixtures.hfDaily, JSON_TYPE));
    expect(counts(await read({ kind: "hf-daily" }))).toEqual([1, 0, 0, 3]);
    sources.server.on("/api/daily_papers", body("[{", JSON_TYPE));
    expect((await read({ kind: "hf-daily" })).error).toContain("expected JSON");
  });
});
