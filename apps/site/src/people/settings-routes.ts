import { exportPerson, personBibtex, personCsv } from "@concord/feed";
import { checkedDisplayName, checkedName, PeopleError } from "@concord/feed/people";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { createKey, KEY_SCOPES } from "../api/keys.ts";
import { signOut, whenceOf } from "../http/session.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { attempt, keepPrivate, readForm, signedIn, statusOf } from "./forms.ts";
import { type SettingsState, type SettingsView, settingsPage } from "./settings-pages.ts";

const MAX_KEYS = 20;

/** What may be said to have been done; addresses carry the name alone. */
const DONE: Readonly<Record<string, string>> = {
  profile: "Your profile is saved.",
  email: "A message with a link is on its way, if the address can be used here.",
  password: "Your password is changed, and other devices are signed out.",
  sessions: "Signed out.",
  revoked: "The key is revoked.",
};

/** One's account: name, address, password, devices, keys, data, deletion. */
export function settingsRoutes({ store, people }: SiteParts, render: Render): Hono<SiteEnv> {
  const { accounts, sessions } = people;
  const app = new Hono<SiteEnv>();

  async function show(
    context: SiteContext,
    more: { state?: SettingsState; newKey?: string } = {},
    status: 200 | 400 | 403 | 429 = 200,
  ) {
    const account = signedIn(context);
    const { session } = context.var;
    if (session === null) throw new HTTPException(403, { message: "Sign in first." });
    const view: SettingsView = {
      account,
      session,
      sessions: await store.people.sessions(account.id),
      keys: await store.people.apiKeys(account.id),
      hasPassword: await accounts.hasPassword(account.id),
      done: DONE[context.req.query("done") ?? ""] ?? null,
      newKey: more.newKey ?? null,
      state: more.state ?? {},
    };
    keepPrivate(context);
    const body = settingsPage(context, people, view);
    return context.html(render(context, { title: "Settings", section: "none", body }), status);
  }

  const failed = (context: SiteContext, form: SettingsState["form"], error: PeopleError, values = {}) =>
    show(context, { state: { ...(form && { form }), error, values } }, statusOf(error));
  const done = (context: SiteContext, what: string, place: string) =>
    context.redirect(`/settings?done=${what}#${place}`, 303);

  app.get("/settings", (context) => show(context));

  // Where password managers look for it.
  app.get("/.well-known/change-password", (context) => context.redirect("/settings#password", 302));

  app.post("/settings/profile", async (context) => {
    const account = signedIn(context);
    const values = await readForm(context);
    const tried = await attempt(async () => {
      const name = checkedName(values.name ?? "");
      const displayName = checkedDisplayName(values.displayName ?? "");
      const holder = await store.people.byName(name);
      if (holder !== null && holder.id !== account.id)
        throw new PeopleError("fault", "This name is taken.", { field: "name" });
      return store.people.update(account.id, { name, displayName });
    });
    if ("error" in tried) return failed(context, "profile", tried.error, values);
    return done(context, "profile", "profile");
  });

  app.post("/settings/email", async (context) => {
    const account = signedIn(context);
    const values = await readForm(context);
    const { email = "", current = "" } = values;
    const tried = await attempt(async () => {
      // The address that is there may be asked about again without more ado.
      if (email !== account.email) await accounts.confirmHolder(account.id, current);
      await accounts.requestEmail(account, email, whenceOf(context, people.secret));
    });
    if ("error" in tried) return failed(context, "email", tried.error, values);
    return done(context, "email", "email");
  });

  app.post("/settings/password", async (context) => {
    const account = signedIn(context);
    const { current = "", password = "" } = await readForm(context);
    const keep = context.var.session?.tokenHash ?? "";
    const tried = await attempt(() => accounts.changePassword(account, { current, password, keep }));
    if ("error" in tried) return failed(context, "password", tried.error);
    return done(context, "password", "password");
  });

  app.post("/settings/sessions/end", async (context) => {
    const account = signedIn(context);
    const { session } = await readForm(context);
    const own = await store.people.sessions(account.id);
    if (session === undefined)
      await store.people.closeSessions(account.id, { except: context.var.session?.tokenHash ?? "" });
    else if (own.some(({ tokenHash }) => tokenHash === session)) await store.people.closeSession(session);
    return done(context, "sessions", "sessions");
  });

  app.post("/settings/keys", async (context) => {
    const account = signedIn(context);
    const values = await readForm(context);
    const made = createKey();
    const tried = await attempt(async () => {
      const name = (values.keyName ?? "").trim();
      const scopes = KEY_SCOPES.filter((scope) => values[`scope-${scope}`] === "1");
      if (name.length < 1 || name.length > 100)
        throw new PeopleError("fault", "Say in 1 to 100 characters what the key is for.", {
          field: "keyName",
        });
      if (scopes.length === 0) throw new PeopleError("fault", "A key must be allowed something.");
      const live = (await store.people.apiKeys(account.id)).filter(({ revokedAt }) => revokedAt === null);
      if (live.length >= MAX_KEYS)
        throw new PeopleError("fault", `You have ${MAX_KEYS} keys. Revoke one that you no longer need.`);
      const { keyHash, prefix } = made;
      await store.people.addApiKey({ accountId: account.id, name, prefix, scopes, keyHash });
    });
    if ("error" in tried) return failed(context, "keys", tried.error, values);
    return show(context, { newKey: made.key });
  });

  app.post("/settings/keys/revoke", async (context) => {
    const account = signedIn(context);
    const { key = "" } = await readForm(context);
    await store.people.revokeApiKey(account.id, key);
    return done(context, "revoked", "keys");
  });

  app.post("/settings/delete", async (context) => {
    const account = signedIn(context);
    const { name = "", current = "" } = await readForm(context);
    const tried = await attempt(() => accounts.remove(account, { name, current }));
    if ("error" in tried) return failed(context, "delete", tried.error);
    await signOut(context, sessions);
    return context.redirect("/", 303);
  });

  const files = {
    "data.json": { type: "application/json", write: (data: PersonExport) => JSON.stringify(data, null, 2) },
    "papers.csv": { type: "text/csv; charset=utf-8", write: personCsv },
    "papers.bib": {
      type: "application/x-bibtex; charset=utf-8",
      write: (data: PersonExport) => personBibtex(store, data),
    },
  } as const;
  type PersonExport = Awaited<ReturnType<typeof exportPerson>>;

  app.get("/settings/export/:file{data\\.json|papers\\.csv|papers\\.bib}", async (context) => {
    const account = signedIn(context);
    const file = context.req.param("file") as keyof typeof files;
    keepPrivate(context);
    const data = await exportPerson(store, account.id, new Date(people.clock()));
    return context.body(await files[file].write(data), 200, {
      "Content-Type": files[file].type,
      "Content-Disposition": `attachment; filename="concord-${account.name}-${file}"`,
    });
  });

  return app;
}
