import {
  addEvent,
  BLOCK_WINDOW_MS,
  COMMUNITY_WINDOW_MS,
  eventWeight,
  heatOf,
  trendingKey,
  withdrawEvent,
} from "../../ranking/trending.ts";
import type { PaperRecord } from "../../record.ts";
import { type Actor, type EventKind, StoreError } from "../ports.ts";
import type { Db } from "./gate.ts";
import { NO_TREND } from "./paper-rows.ts";
import { fromJson } from "./values.ts";

const COUNTERS = { upvote: "upvotes", bookmark: "bookmarks", comment: null, run: null } as const;

/** The community in which a paper is compared: its primary category, else its first topic, else everybody. */
function communityOf(record: PaperRecord): string {
  return record.primaryCategory ?? record.categories[0] ?? record.topics[0] ?? "";
}

/** Notes an event in the caller's transaction; false when this person's event of the kind is there already. */
export async function noteEvent(
  db: Db,
  num: number,
  kind: EventKind,
  actor: Actor,
  now: number,
): Promise<boolean> {
  const account = await db
    .selectFrom("accounts")
    .select("created_at")
    .where("id", "=", actor.accountId)
    .executeTakeFirst();
  if (!account) throw new StoreError("not-found", "There is no such account.");
  const known = await db
    .selectFrom("activity")
    .select("at")
    .where("num", "=", num)
    .where("kind", "=", kind)
    .where("account", "=", actor.accountId)
    .executeTakeFirst();
  if (known) return false;
  const paper = await db
    .selectFrom("papers")
    .select(["record", "heat", "heat_at"])
    .where("num", "=", num)
    .executeTakeFirstOrThrow();
  const community = communityOf(fromJson<PaperRecord>(paper.record));
  const { people } = await db
    .selectFrom("topic_people")
    .select(({ fn }) => fn.countAll<number>().as("people"))
    .where("topic", "=", community)
    .where("at", ">", now - COMMUNITY_WINDOW_MS)
    .where("account", "!=", actor.accountId)
    .executeTakeFirstOrThrow();
  const block = actor.block ?? null;
  const neighbour =
    kind === "upvote" && block !== null
      ? await db
          .selectFrom("activity")
          .select("at")
          .where("num", "=", num)
          .where("at", ">", now - BLOCK_WINDOW_MS)
          .where("kind", "=", kind)
          .where("block", "=", block)
          .where("weight", ">", 0)
          .executeTakeFirst()
      : undefined;
  const weight = eventWeight(kind, {
    accountAgeMs: now - account.created_at,
    people: Number(people),
    sameBlock: neighbour !== undefined,
  });
  await db
    .insertInto("activity")
    .values({ num, kind, account: actor.accountId, at: now, weight, block })
    .execute();
  await db
    .insertInto("topic_people")
    .values({ topic: community, account: actor.accountId, at: now })
    .onConflict((conflict) => conflict.columns(["topic", "account"]).doUpdateSet({ at: now }))
    .execute();
  const heat = addEvent({ value: paper.heat, at: paper.heat_at }, weight, now);
  const counter = COUNTERS[kind];
  await db
    .updateTable("papers")
    .set((eb) => ({
      heat: heat.value,
      heat_at: heat.at,
      trend: trendingKey(heat),
      ...(counter && { [counter]: eb(counter, "+", 1) }),
    }))
    .where("num", "=", num)
    .execute();
  return true;
}

/** Withdraws a person's event; false when there is none. */
export async function withdrawNoted(
  db: Db,
  num: number,
  kind: EventKind,
  accountId: string,
  now: number,
): Promise<boolean> {
  const [event] = await db
    .deleteFrom("activity")
    .where("num", "=", num)
    .where("kind", "=", kind)
    .where("account", "=", accountId)
    .returning(["at", "weight"])
    .execute();
  if (!event) return false;
  const paper = await db
    .selectFrom("papers")
    .select(["heat", "heat_at"])
    .where("num", "=", num)
    .executeTakeFirstOrThrow();
  const heat = withdrawEvent({ value: paper.heat, at: paper.heat_at }, event.weight, event.at, now);
  const left = await db
    .selectFrom("activity")
    .select("at")
    .where("num", "=", num)
    .limit(1)
    .executeTakeFirst();
  const counter = COUNTERS[kind];
  await db
    .updateTable("papers")
    .set((eb) => ({
      heat: left ? heat.value : 0,
      heat_at: left ? heat.at : 0,
      trend: left ? trendingKey(heat) : NO_TREND,
      ...(counter && { [counter]: eb(counter, "-", 1) }),
    }))
    .where("num", "=", num)
    .execute();
  return true;
}

/** Counters and trending key of a paper from its rows: after rows were moved or went with their account. */
export async function recount(db: Db, num: number): Promise<void> {
  const events = await db
    .selectFrom("activity")
    .select(["kind", "at", "weight"])
    .where("num", "=", num)
    .execute();
  const { comments } = await db
    .selectFrom("comments")
    .select(({ fn }) => fn.countAll<number>().as("comments"))
    .where("num", "=", num)
    .where("state", "=", "visible")
    .executeTakeFirstOrThrow();
  const last = events.reduce((latest, { at }) => Math.max(latest, at), 0);
  const heat = heatOf(events, last);
  await db
    .updateTable("papers")
    .set({
      upvotes: events.filter(({ kind }) => kind === "upvote").length,
      bookmarks: events.filter(({ kind }) => kind === "bookmark").length,
      comments: Number(comments),
      heat: heat.value,
      heat_at: events.length === 0 ? 0 : last,
      trend: events.length === 0 ? NO_TREND : trendingKey(heat),
    })
    .where("num", "=", num)
    .execute();
}
