import {
  type Account,
  type Collection,
  cleanText,
  type Page,
  type PageRequest,
  StoreError,
} from "@concord/feed";
import { limitRules, takeOrRefuse } from "@concord/feed/people";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { address } from "../daily/query.ts";
import { shownPapers } from "../daily/shown.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { keepPrivate, readForm, signedIn } from "./forms.ts";
import {
  collectionPage,
  commentList,
  emptyLists,
  type OwnTab,
  ownCollections,
  ownPage,
  paperList,
  personPage,
} from "./own-pages.ts";

const COMMENTS_A_PAGE = 30;

/** A page of a list, by the cursor of the address; the first one for a cursor that is none. */
async function asked<T>(
  context: SiteContext,
  read: (page: PageRequest) => Promise<Page<T>>,
  limit = 24,
): Promise<Page<T>> {
  const cursor = context.req.query("after");
  return read({ limit, cursor }).catch((error: unknown) => {
    if (cursor !== undefined && error instanceof StoreError && error.code === "invalid")
      return read({ limit });
    throw error;
  });
}

/** One's own lists, collections, and the public pages of people. */
export function ownRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { store, people } = parts;
  const app = new Hono<SiteEnv>();

  function show(context: SiteContext, account: Account, tab: OwnTab, body: Html, status: 200 | 400 = 200) {
    keepPrivate(context);
    return context.html(
      render(context, { title: account.displayName, section: "none", body: ownPage(account, tab, body) }),
      status,
    );
  }

  app.get("/you", (context) => context.redirect("/you/bookmarks", 302));

  app.get("/you/:tab{bookmarks|votes}", async (context) => {
    const account = signedIn(context);
    const tab = context.req.param("tab") as "bookmarks" | "votes";
    const page = await asked(context, (request) => store.activity[tab](account.id, request));
    const papers = await shownPapers(
      parts,
      context.var.viewer,
      page.items.map(({ paper }) => paper),
    );
    const next = page.next && address(`/you/${tab}`, { after: page.next });
    return show(context, account, tab, paperList(context, papers, { next, empty: emptyLists[tab] }));
  });

  app.get("/you/comments", async (context) => {
    const account = signedIn(context);
    const page = await asked(
      context,
      (request) => store.comments.ofAccount(account.id, request),
      COMMENTS_A_PAGE,
    );
    const next = page.next && address("/you/comments", { after: page.next });
    return show(context, account, "comments", commentList(page.items, await papersOf(page.items), next));
  });

  async function papersOf(comments: readonly { readonly paperId: string }[]) {
    const papers = await store.papers.getMany([...new Set(comments.map(({ paperId }) => paperId))]);
    return new Map(papers.map((paper) => [paper.id, paper]));
  }

  async function showCollections(context: SiteContext, fault: string | null) {
    const account = signedIn(context);
    const body = ownCollections(context, await store.activity.collections(account.id), fault);
    return show(context, account, "collections", body, fault === null ? 200 : 400);
  }

  app.get("/you/collections", (context) => showCollections(context, null));

  /** What a collection's form says; a text when it cannot be so. */
  function checkedCollection(form: Readonly<Record<string, string>>) {
    const name = cleanText((form.name ?? "").slice(0, 400));
    if (name.length < 1 || name.length > 100) return "A collection’s name has 1 to 100 characters.";
    return { name, public: form.public === "1" };
  }

  const faultOf = (error: unknown): string => {
    if (error instanceof StoreError && error.code === "conflict")
      return "You have a collection of this name already.";
    if (error instanceof StoreError && error.code === "invalid") return error.message;
    throw error;
  };

  app.post("/collections", async (context) => {
    const account = signedIn(context);
    const wanted = checkedCollection(await readForm(context));
    if (typeof wanted === "string") return showCollections(context, wanted);
    await takeOrRefuse(store.limits, limitRules.collect(account.id), people.clock());
    const made = await store.activity
      .createCollection({ accountId: account.id, ...wanted })
      .catch((error: unknown) => faultOf(error));
    return typeof made === "string"
      ? showCollections(context, made)
      : context.redirect(`/collections/${made.id}`, 303);
  });

  /** A collection that the viewer may see: private ones are as good as none to others. */
  async function visible(context: SiteContext): Promise<{ collection: Collection; own: boolean }> {
    const collection = await store.activity.collection(context.req.param("id") ?? "");
    const own = collection !== null && collection.accountId === context.var.account?.id;
    if (collection === null || !(own || collection.public))
      throw new HTTPException(404, { message: "There is no such collection, or it is private." });
    return { collection, own };
  }

  async function ownCollection(context: SiteContext): Promise<Collection> {
    signedIn(context);
    const { collection, own } = await visible(context);
    if (!own) throw new HTTPException(403, { message: "Only its owner can change a collection." });
    return collection;
  }

  async function showCollection(context: SiteContext, fault: string | null) {
    const { collection, own } = await visible(context);
    const page = await asked(context, (request) => store.activity.collected(collection.id, request));
    const papers = await shownPapers(
      parts,
      context.var.viewer,
      page.items.map(({ paper }) => paper),
    );
    const [owner] = await store.people.getMany([collection.accountId]);
    const next = page.next && address(`/collections/${collection.id}`, { after: page.next });
    const body = collectionPage(context, { collection, owner, own, papers, next, fault });
    if (!collection.public) keepPrivate(context);
    return context.html(
      render(context, { title: collection.name, section: "papers", body }),
      fault === null ? 200 : 400,
    );
  }

  app.get("/collections/:id", (context) => showCollection(context, null));

  app.post("/collections/:id", async (context) => {
    const { id } = await ownCollection(context);
    const wanted = checkedCollection(await readForm(context));
    const changed =
      typeof wanted === "string"
        ? wanted
        : await store.activity.updateCollection(id, wanted).catch((error: unknown) => faultOf(error));
    return typeof changed === "string"
      ? showCollection(context, changed)
      : context.redirect(`/collections/${id}`, 303);
  });

  app.post("/collections/:id/delete", async (context) => {
    await store.activity.removeCollection((await ownCollection(context)).id);
    return context.redirect("/you/collections", 303);
  });

  app.get("/people/:name", async (context) => {
    const account = await store.people.byName(context.req.param("name").slice(0, 64));
    if (account === null || account.state !== "active")
      throw new HTTPException(404, { message: "There is nobody of this name here." });
    const page = await asked(
      context,
      (request) => store.comments.ofAccount(account.id, request),
      COMMENTS_A_PAGE,
    );
    const body = personPage(context, {
      account,
      collections: (await store.activity.collections(account.id)).filter(({ public: open }) => open),
      comments: page.items,
      papers: await papersOf(page.items),
      next: page.next,
    });
    return context.html(render(context, { title: account.displayName, section: "none", body }));
  });

  return app;
}
