import { createSafeFetch } from "@concord/feed/net";
import { fetchSubmission, type Submission, submissionsOf, submitPaper } from "@concord/feed/people";
import { Hono } from "hono";
import { html } from "hono/html";
import { plainTex } from "../daily/tex.ts";
import { outgoingGate } from "../ops/intake.ts";
import type { Log } from "../ops/log.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext, type SiteEnv } from "../site-env.ts";
import type { Render, Service, SiteParts } from "../site-parts.ts";
import {
  attempt,
  type FormState,
  field,
  formError,
  keepPrivate,
  notice,
  readForm,
  signedIn,
  statusOf,
} from "./forms.ts";
import { ownPage } from "./own-pages.ts";
import { gatePage } from "./sign-in-pages.ts";

const LOOK_MS = 5_000;

const stateNames: Readonly<Record<Submission["state"], string>> = {
  here: "here",
  waiting: "waiting",
  running: "being fetched",
  failed: "not taken in",
};
const stateBadges: Readonly<Record<Submission["state"], string>> = {
  here: "status-done",
  waiting: "",
  running: "status-running",
  failed: "status-failed",
};

/** Says what happens to a paper that somebody asks for. */
function howItComesIn(fetches: boolean): Html {
  return fetches
    ? html`We ask arXiv for it, at the pace that arXiv asks for: mostly within a minute.`
    : html`This server does not fetch papers by itself at the moment. What you submit waits until whoever runs it switches that on, or brings the paper in from a terminal.`;
}

/** Asking for papers by their arXiv id. */
export function submitRoutes({ store, people, settings }: SiteParts, render: Render): Hono<SiteEnv> {
  const app = new Hono<SiteEnv>();
  const fetches = settings.intake.schedule;

  function page(context: SiteContext, state: FormState): Html {
    return gatePage(
      "Submit a paper",
      howItComesIn(fetches),
      html`<form class="stack" method="post" action="/submit">${csrfField(context)}
${formError(state, ["id"])}
${field({ name: "id", label: "arXiv id or address", maxlength: 300, help: "Such as 2504.12717, arXiv:2504.12717v2 or https://arxiv.org/abs/2504.12717." }, state)}
<div class="form-foot"><button class="button button-primary">Submit</button><a class="small" href="/you/submissions">What you submitted</a></div></form>`,
    );
  }

  app.get("/submit", (context) => {
    signedIn(context);
    keepPrivate(context);
    return context.html(
      render(context, { title: "Submit a paper", section: "papers", body: page(context, {}) }),
    );
  });

  app.post("/submit", async (context) => {
    const account = signedIn(context);
    const values = await readForm(context);
    const tried = await attempt(() =>
      submitPaper(store, { text: values.id ?? "", accountId: account.id }, people.clock),
    );
    if ("error" in tried) {
      const body = page(context, { values, error: tried.error });
      return context.html(
        render(context, { title: "Submit a paper", section: "papers", body }),
        statusOf(tried.error),
      );
    }
    const { id, here } = tried.value;
    return context.redirect(here ? `/papers/${id}` : "/you/submissions?done=1", 303);
  });

  app.get("/you/submissions", async (context) => {
    const account = signedIn(context);
    const submissions = await submissionsOf(store, account.id);
    const papers = await store.papers.getMany(submissions.map(({ id }) => id));
    const titles = new Map(papers.map(({ id, title }) => [id, plainTex(title)]));
    const line = ({ id, state, reason, attempts }: Submission) =>
      html`<li><div>${state === "here" ? html`<a href="/papers/${id}">${titles.get(id)}</a>` : html`<strong>${id}</strong>`}
${reason === null || state === "here" ? "" : html`<div class="quiet small">${state === "waiting" ? `Attempt ${attempts} failed: ${reason}` : reason}</div>`}</div>
<span class="badge ${stateBadges[state]}">${stateNames[state]}</span></li>`;
    const waits = submissions.some(({ state }) => state === "waiting");
    const body = html`${context.req.query("done") === "1" ? notice("It is on the list.") : ""}
${waits ? html`<p class="section-lead">${howItComesIn(fetches)}</p>` : ""}
${submissions.length === 0 ? html`<div class="empty"><h2>Nothing submitted yet</h2><p>Papers that you miss here can be asked for by their arXiv id.</p></div>` : html`<ul class="rows">${submissions.map(line)}</ul>`}
<p class="more"><a class="button" href="/submit">Submit a paper</a></p>`;
    keepPrivate(context);
    return context.html(
      render(context, {
        title: "Submitted papers",
        section: "none",
        body: ownPage(account, "submissions", body),
      }),
    );
  });

  return app;
}

/** Fetches what people ask for, one paper after another; where the server may fetch by itself. */
export function submissionService({
  store,
  people,
  settings,
  log,
}: Pick<SiteParts, "store" | "people" | "settings"> & { readonly log: Log }): Service {
  if (!settings.intake.schedule) return { start() {}, async stop() {} };
  const ending = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();
  const gate = outgoingGate(settings, log);
  const fetch = createSafeFetch({
    ...(settings.intake.contact !== undefined && { contact: settings.intake.contact }),
    gate,
  });
  const work = async () => {
    try {
      while (
        !ending.signal.aborted &&
        (await fetchSubmission(store, { fetch, clock: people.clock, signal: ending.signal }))
      );
    } catch (err) {
      log.error({ err }, "a submitted paper could not be fetched");
    }
  };
  const schedule = () => {
    if (ending.signal.aborted) return;
    timer = setTimeout(() => {
      working = work().then(schedule);
    }, LOOK_MS);
    timer.unref();
  };
  return {
    start: schedule,
    async stop() {
      ending.abort();
      clearTimeout(timer);
      await working;
      await fetch.close();
      gate[Symbol.dispose]();
    },
  };
}
