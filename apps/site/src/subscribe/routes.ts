import type { Delivery, Json, Reader, SavedSearch } from "@concord/feed";
import { latestSlot, READER_TOKEN } from "@concord/feed/digest";
import { PeopleError, takeOrRefuse } from "@concord/feed/people";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { filterQuery, paperFilter } from "../daily/query.ts";
import { Summaries } from "../daily/summary.ts";
import { whenceOf } from "../http/session.ts";
import type { Html } from "../pages/layout.ts";
import { attempt, type FormState, isTrapped, keepPrivate, signedIn, statusOf } from "../people/forms.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import {
  confirmedPage,
  confirmPage,
  deadLinkPage,
  deletedPage,
  leavePage,
  leftPage,
  managePage,
  requestedPage,
  type Sent,
  subscribePage,
} from "./pages.ts";
import { searchesPage } from "./searches-page.ts";
import { nextTime, timeWords } from "./times.ts";
import { formLists, readWish, type WishFields } from "./wish-form.ts";

/** Version of the form, kept as proof of what somebody agreed to. Change it with the form's words. */
const FORM = "form-2026-11";
const MAX_QUERY = 200;
const HISTORY = 60;

/** A search as the fields of a form or an address carry it. */
export function askedSearch(fields: Readonly<Record<string, string | undefined>>) {
  const parsed = filterQuery.safeParse(fields);
  const query = (fields.q ?? "").trim();
  if (!parsed.success || query.length > MAX_QUERY) return null;
  const given = Object.entries(parsed.data).filter((entry): entry is [string, string] => Boolean(entry[1]));
  if (query === "" && given.length === 0) return null;
  const values = given.map(([name, value]) =>
    name === "code" ? "has code" : name === "runs" ? "runs here" : value,
  );
  const label = [...(query === "" ? [] : [`“${query}”`]), ...values].join(", ");
  // Without what is undefined: the store keeps JSON.
  const filter = JSON.parse(JSON.stringify(paperFilter(parsed.data))) as Json;
  return {
    query,
    filter,
    label,
    fields: { ...(query !== "" && { q: query }), ...Object.fromEntries(given) },
  };
}

/** Subscribing to the digest, confirming, changing, leaving. */
export function subscribeRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { store, people, digest } = parts;
  const { subscribers, links, times } = digest;
  const app = new Hono<SiteEnv>();
  const summaries = new Summaries(store);
  const when = timeWords(times);

  const show = (
    context: SiteContext,
    title: string,
    body: Html,
    status: 200 | 400 | 403 | 404 | 410 | 429 = 200,
  ) => {
    keepPrivate(context);
    return context.html(render(context, { title, section: "none", body }), status);
  };
  const next = (reader: Reader) =>
    nextTime(reader.cadence, times, latestSlot(reader.cadence, times, people.clock()));

  const ownSearches = (context: SiteContext): Promise<SavedSearch[]> =>
    context.var.viewer === null
      ? Promise.resolve([])
      : store.subscriptions.savedSearches(context.var.viewer.id);

  async function showForm(
    context: SiteContext,
    wish: WishFields,
    state: FormState,
    asked: Readonly<Record<string, string | undefined>>,
  ) {
    const { categories, topics } = await summaries.summary();
    const offered = { categories, topics, searches: await ownSearches(context), when };
    const search = askedSearch(asked);
    const body = subscribePage(context, people, { state, wish, offered, search });
    return show(context, "Subscribe", body, state.error ? statusOf(state.error) : 200);
  }

  app.get("/subscribe", (context) => {
    const query = context.req.query();
    const wish = readWish(new Map(Object.entries(context.req.queries())));
    return showForm(context, wish, { values: {} }, query);
  });

  app.post("/subscribe", async (context) => {
    const form = await formLists(context);
    const values = Object.fromEntries([...form].map(([name, [first = ""]]) => [name, first]));
    const wish = readWish(form);
    const tried = await attempt(async () => {
      // Programs that fill in everything are told what everybody is told.
      if (isTrapped(people, values)) return;
      const own = new Set((await ownSearches(context)).map(({ id }) => id));
      const search = askedSearch(values);
      await subscribers.request(
        {
          email: values.email ?? "",
          cadence: wish.cadence,
          topics: wish.topics,
          savedSearches: wish.searches.filter((id) => own.has(id)),
          ...(search && { search: { query: search.query, filter: search.filter } }),
          form: FORM,
        },
        whenceOf(context, people.secret),
      );
    });
    if ("error" in tried) return showForm(context, wish, { values, error: tried.error }, values);
    return show(context, "Look into your mailbox", requestedPage(people));
  });

  app.get("/subscribe/confirm/:token", async (context) => {
    const reader = await subscribers.toConfirm(context.req.param("token"));
    if (!reader) return show(context, "This link is over", deadLinkPage(), 410);
    if (reader.state === "confirmed" || reader.state === "suppressed")
      return show(context, "Your digest", confirmedPage(reader, links.manage(reader.email), next(reader)));
    return show(context, "Your digest", confirmPage(context, reader));
  });

  app.post("/subscribe/confirm/:token", async (context) => {
    const reader = await subscribers.confirm(context.req.param("token"));
    if (!reader) return show(context, "This link is over", deadLinkPage(), 410);
    return show(
      context,
      "You are subscribed",
      confirmedPage(reader, links.manage(reader.email), next(reader)),
    );
  });

  const unknown = () =>
    new HTTPException(404, { message: "There is no digest behind this link. It may have been deleted." });

  async function managed(context: SiteContext): Promise<Reader> {
    const reader = await subscribers.manager(context.req.param("token") ?? "");
    if (!reader) throw unknown();
    return reader;
  }

  async function sentTo(reader: Reader): Promise<Sent[]> {
    const { items } = await store.outbox.ofReader(reader.id, { limit: HISTORY });
    const shown = items.filter(({ state }: Delivery) => state !== "skipped");
    const issues = new Map(
      await Promise.all(
        [...new Set(shown.map(({ issueId }) => issueId))].map(
          async (id) => [id, await store.outbox.issue(id)] as const,
        ),
      ),
    );
    return shown.flatMap((delivery) => {
      const issue = issues.get(delivery.issueId);
      return issue ? [{ issue, delivery }] : [];
    });
  }

  async function showManaged(context: SiteContext, reader: Reader, done: string | null) {
    const { categories, topics } = await summaries.summary();
    const saved = await Promise.all(reader.savedSearches.map((id) => store.subscriptions.savedSearch(id)));
    const kept = saved.filter((search) => search !== null);
    const own = (await ownSearches(context)).filter(({ id }) => !reader.savedSearches.includes(id));
    const body = managePage(context, {
      reader,
      wish: { cadence: reader.cadence, topics: reader.topics, searches: reader.savedSearches },
      offered: { categories, topics, searches: [...kept, ...own], when },
      sent: await sentTo(reader),
      done,
      next: next(reader),
    });
    return show(context, "Your digest", body);
  }

  app.get("/subscribe/manage/:token", async (context) => showManaged(context, await managed(context), null));

  app.post("/subscribe/manage/:token", async (context) => {
    const reader = await managed(context);
    const form = await formLists(context);
    const action = form.get("action")?.[0];
    if (action === "delete") {
      await store.subscriptions.remove(reader.id);
      return show(context, "Your data is deleted", deletedPage());
    }
    if (action === "unsubscribe") {
      await subscribers.unsubscribe(links.token("unsubscribe", reader.email));
      return show(context, "You are unsubscribed", leftPage(links.manage(reader.email)));
    }
    const active = reader.state === "confirmed" || reader.state === "paused";
    if (!active) return showManaged(context, reader, null);
    if (action === "pause" || action === "resume") {
      const after = await store.subscriptions.update(reader.id, {
        state: action === "pause" ? "paused" : "confirmed",
      });
      return showManaged(context, after, action === "pause" ? "Paused." : "It goes on.");
    }
    if (action !== "save") throw new HTTPException(400, { message: "The form cannot be read." });
    const wish = readWish(form);
    const allowed = new Set([...reader.savedSearches, ...(await ownSearches(context)).map(({ id }) => id)]);
    const after = await store.subscriptions.update(reader.id, {
      cadence: wish.cadence,
      topics: wish.topics,
      savedSearches: wish.searches.filter((id) => allowed.has(id)),
    });
    return showManaged(context, after, "Saved.");
  });

  // RFC 8058: mail programs POST here by themselves, without cookies; the token says who and what.
  app.get("/u/:token", (context) => {
    if (!READER_TOKEN.test(context.req.param("token"))) throw unknown();
    return show(context, "End the digest?", leavePage());
  });

  app.post("/u/:token", async (context) => {
    const token = context.req.param("token");
    if (!READER_TOKEN.test(token)) throw unknown();
    const reader = await subscribers.unsubscribe(token);
    // The same for readers who were deleted meanwhile: they get nothing, as they want.
    return show(context, "You are unsubscribed", leftPage(reader && links.manage(reader.email)));
  });

  app.get("/searches", async (context) => {
    signedIn(context);
    return show(context, "Saved searches", searchesPage(context, await ownSearches(context)));
  });

  app.post("/searches", async (context) => {
    const { viewer } = context.var;
    if (viewer === null) throw new HTTPException(403, { message: "Sign in to save searches." });
    const values = Object.fromEntries(
      [...(await formLists(context))].map(([name, [first = ""]]) => [name, first]),
    );
    const search = askedSearch(values);
    if (search === null)
      throw new HTTPException(400, {
        message: "There is nothing to save: the search is empty, or too long.",
      });
    await takeOrRefuse(
      store.limits,
      [{ key: `searches:${viewer.id}`, limit: 60, windowMs: 3_600_000 }],
      people.clock(),
    ).catch((error: unknown) => {
      if (error instanceof PeopleError) throw new HTTPException(429, { message: error.message });
      throw error;
    });
    const own = await store.subscriptions.savedSearches(viewer.id);
    const same = own.some(
      ({ query, filter }) =>
        query === search.query && JSON.stringify(filter) === JSON.stringify(search.filter),
    );
    if (!same) {
      await store.subscriptions.saveSearch({
        ...{ accountId: viewer.id, name: search.label.slice(0, 100).toWellFormed() },
        ...{ query: search.query, filter: search.filter },
      });
    }
    return context.redirect("/searches", 303);
  });

  app.post("/searches/:id/delete", async (context) => {
    const { viewer } = context.var;
    const search = await store.subscriptions.savedSearch(context.req.param("id"));
    if (viewer === null || search?.accountId !== viewer.id)
      throw new HTTPException(404, { message: "There is no such search." });
    await store.subscriptions.removeSavedSearch(search.id);
    return context.redirect("/searches", 303);
  });

  return app;
}
