import { PeopleError } from "@concord/feed/people";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { safePath } from "../http/safe-path.ts";
import { signIn, signOut, whenceOf } from "../http/session.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { attempt, type FormState, isTrapped, keepPrivate, readForm, statusOf } from "./forms.ts";
import {
  closedPage,
  confirmedPage,
  deadLinkPage,
  firstAccountPage,
  forgotPage,
  linkPage,
  sentPage,
  signInPage,
  signUpPage,
} from "./sign-in-pages.ts";

const SECRET = /^[\w-]{43}$/;

/** Making accounts, signing in and out, links in messages. */
export function signInRoutes({ people, settings }: SiteParts, render: Render): Hono<SiteEnv> {
  const { accounts, sessions, secret } = people;
  const app = new Hono<SiteEnv>();
  const closed = settings.people.signUp === "closed";

  const show = (
    context: SiteContext,
    title: string,
    body: Html,
    status: 200 | 400 | 403 | 410 | 429 = 200,
  ) => {
    keepPrivate(context);
    return context.html(render(context, { title, section: "none", body }), status);
  };
  const again = ({ error }: FormState) => (error ? statusOf(error) : 200);
  const whence = (context: SiteContext) => whenceOf(context, secret);

  function showSignIn(context: SiteContext, next: string, password: FormState = {}, link: FormState = {}) {
    const body = signInPage(context, people, { next, signUp: !closed, password, link });
    return show(context, "Sign in", body, Math.max(again(password), again(link)) as 200);
  }

  app.get("/sign-in", async (context) => {
    const next = safePath(context.req.query("next"));
    if (context.var.viewer) return context.redirect(next, 303);
    if (await accounts.isEmpty()) return context.redirect("/sign-up", 303);
    return showSignIn(context, next);
  });

  app.post("/sign-in", async (context) => {
    const values = await readForm(context);
    const next = safePath(values.next);
    const tried = await attempt(async () => {
      const account = await accounts.signIn(values.login ?? "", values.password ?? "", whence(context));
      if (account === null)
        throw new PeopleError(
          "refused",
          "Name or password is wrong. Both are kept as you wrote them: check capitals.",
        );
      return account;
    });
    if ("error" in tried) return showSignIn(context, next, { values, error: tried.error });
    await signIn(context, sessions, tried.value);
    return context.redirect(next, 303);
  });

  app.post("/sign-in/link", async (context) => {
    const values = await readForm(context);
    const tried = await attempt(() => accounts.requestLink(values.email ?? "", whence(context), "sign-in"));
    if ("error" in tried) return showSignIn(context, "/", {}, { values, error: tried.error });
    return show(context, "Look into your mailbox", sentPage(people, "sign-in"));
  });

  app.post("/sign-out", async (context) => {
    await signOut(context, sessions);
    return context.redirect("/", 303);
  });

  async function showSignUp(context: SiteContext, state: FormState = {}) {
    if (await accounts.isEmpty())
      return show(context, "Make the owner’s account", firstAccountPage(context, state), again(state));
    if (closed) return show(context, "Make an account", closedPage());
    return show(context, "Make an account", signUpPage(context, people, state), again(state));
  }

  app.get("/sign-up", async (context) =>
    context.var.viewer ? context.redirect("/settings", 303) : await showSignUp(context),
  );

  app.post("/sign-up", async (context) => {
    const values = await readForm(context);
    const { name = "", email = "", password = "" } = values;
    if (await accounts.isEmpty()) {
      const tried = await attempt(() => accounts.createFirst({ name, email, password }));
      if ("error" in tried) return showSignUp(context, { values, error: tried.error });
      if (tried.value.email !== null)
        await accounts.requestEmail(tried.value, tried.value.email, whence(context));
      await signIn(context, sessions, tried.value);
      return context.redirect("/settings", 303);
    }
    if (closed) throw new HTTPException(403, { message: "Sign-up is closed here." });
    const tried = await attempt(async () => {
      // A program that fell into the trap is told what a person is told.
      if (!isTrapped(people, values)) await accounts.requestLink(email, whence(context), "sign-up");
    });
    if ("error" in tried) return showSignUp(context, { values, error: tried.error });
    return show(context, "Look into your mailbox", sentPage(people, "sign-up"));
  });

  app.get("/forgot", (context) => show(context, "Choose a new password", forgotPage(context, people, {})));

  app.post("/forgot", async (context) => {
    const values = await readForm(context);
    const tried = await attempt(() => accounts.requestReset(values.email ?? "", whence(context)));
    if ("error" in tried) {
      const body = forgotPage(context, people, { values, error: tried.error });
      return show(context, "Choose a new password", body, statusOf(tried.error));
    }
    return show(context, "Look into your mailbox", sentPage(people, "reset"));
  });

  async function showLink(context: SiteContext, link: string, state: FormState = {}) {
    const found = SECRET.test(link) ? await accounts.peek(link) : null;
    if (found === null) return show(context, "This link is over", deadLinkPage(), 410);
    const body = linkPage(context, { token: found.token, name: found.account?.name ?? null, state });
    return show(context, "Your link", body, again(state));
  }

  app.get("/link/:secret", (context) => showLink(context, context.req.param("secret")));

  app.post("/link/:secret", async (context) => {
    const link = context.req.param("secret");
    const found = SECRET.test(link) ? await accounts.peek(link) : null;
    if (found === null) return show(context, "This link is over", deadLinkPage(), 410);
    const { purpose } = found.token;
    const values = await readForm(context);
    const { name = "", password = "" } = values;
    const tried = await attempt(() => {
      if (purpose === "verify-email") return accounts.confirmEmail(link);
      if (purpose === "reset-password") return accounts.resetByLink(link, password);
      return found.account === null
        ? accounts.signUpByLink(link, { name, password })
        : accounts.signInByLink(link);
    });
    if ("error" in tried) return showLink(context, link, { values, error: tried.error });
    if (purpose === "verify-email")
      return show(context, "Thank you", confirmedPage(tried.value.email ?? found.token.email));
    await signIn(context, sessions, tried.value);
    return context.redirect("/", 303);
  });

  return app;
}
