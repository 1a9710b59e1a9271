import {
  type Account,
  type Collection,
  cleanText,
  type Store,
  type StoredPaper,
  StoreError,
} from "@concord/feed";
import { limitRules, takeOrRefuse } from "@concord/feed/people";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { askedPaper, findPaper, paperPath, paperRoutes } from "../daily/query.ts";
import { safePath } from "../http/safe-path.ts";
import { whenceOf } from "../http/session.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { SiteParts } from "../site-parts.ts";
import { readForm, signedIn } from "./forms.ts";

/** The paper of a route, or 404. */
export async function paperOf(context: SiteContext, store: Store): Promise<StoredPaper> {
  const paper = await findPaper(store.papers, askedPaper(context));
  if (!paper) throw new HTTPException(404, { message: "There is no such paper here." });
  return paper;
}

/** The account's collections, each with whether it holds the paper; by name. */
export async function collectionsWith(
  store: Store,
  account: Account | null,
  paper: StoredPaper,
): Promise<{ collection: Collection; holds: boolean }[]> {
  if (account === null) return [];
  const [collections, holding] = await Promise.all([
    store.activity.collections(account.id),
    store.activity.collectionsHolding(account.id, paper.id),
  ]);
  return collections.map((collection) => ({ collection, holds: holding.has(collection.id) }));
}

const wantsJson = (context: SiteContext) =>
  (context.req.header("accept") ?? "").startsWith("application/json");

/** Votes, bookmarks and collections of a paper. */
export function paperActRoutes({ store, people }: SiteParts): Hono<SiteEnv> {
  const app = new Hono<SiteEnv>();
  const actor = (context: SiteContext, account: Account) => ({
    accountId: account.id,
    block: whenceOf(context, people.secret).block,
  });

  app.on("POST", paperRoutes("/vote"), async (context) => {
    const account = signedIn(context);
    const paper = await paperOf(context, store);
    const { up, back } = await readForm(context);
    if (up !== "0" && up !== "1") throw new HTTPException(400, { message: "Expected a vote, or none." });
    await takeOrRefuse(store.limits, limitRules.vote(account.id), people.clock());
    const { upvotes } = await store.activity.vote(paper.id, actor(context, account), up === "1");
    return wantsJson(context)
      ? context.json({ on: up === "1", count: upvotes })
      : context.redirect(safePath(back, paperPath(paper)), 303);
  });

  app.on("POST", paperRoutes("/bookmark"), async (context) => {
    const account = signedIn(context);
    const paper = await paperOf(context, store);
    const { on, back } = await readForm(context);
    if (on !== "0" && on !== "1") throw new HTTPException(400, { message: "Expected to keep it, or not." });
    await takeOrRefuse(store.limits, limitRules.vote(account.id), people.clock());
    await store.activity.bookmark(paper.id, actor(context, account), on === "1");
    return wantsJson(context)
      ? context.json({ on: on === "1" })
      : context.redirect(safePath(back, paperPath(paper)), 303);
  });

  app.on("POST", paperRoutes("/collect"), async (context) => {
    const account = signedIn(context);
    const paper = await paperOf(context, store);
    const { collection: asked, name, on } = await readForm(context);
    await takeOrRefuse(store.limits, limitRules.collect(account.id), people.clock());
    let id: string;
    if (asked === undefined) id = (await newCollection(store, account, name ?? "")).id;
    else {
      const collection = await store.activity.collection(asked);
      if (collection?.accountId !== account.id)
        throw new HTTPException(404, { message: "You have no such collection." });
      id = collection.id;
    }
    await store.activity.collect(id, paper.id, on !== "0");
    return context.redirect(paperPath(paper), 303);
  });

  return app;
}

/** The account's collection of this name, made where there is none. */
async function newCollection(store: Store, account: Account, text: string): Promise<Collection> {
  const name = cleanText(text.slice(0, 400));
  if (name.length < 1 || name.length > 100)
    throw new HTTPException(400, { message: "A collection’s name has 1 to 100 characters." });
  const known = (await store.activity.collections(account.id)).find((collection) => collection.name === name);
  if (known) return known;
  try {
    return await store.activity.createCollection({ accountId: account.id, name, public: false });
  } catch (error) {
    if (error instanceof StoreError && error.code === "invalid")
      throw new HTTPException(400, { message: error.message });
    throw error;
  }
}
