import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { whenceOf } from "../http/session.ts";
import { formTicket, isTrapped } from "../people/forms.ts";
import type { SiteEnv } from "../site-env.ts";
import type { SiteParts } from "../site-parts.ts";
import { jsonAnswer, refusals } from "./common.ts";

const TAG = "Concord";
const PATH = "/api/v1/subscriptions";
/** Version of the call, kept as proof of what somebody agreed to. */
const FORM = "api-v1";

const wish = z
  .object({
    email: z.string().max(254).openapi({ example: "ada@example.org" }),
    cadence: z.enum(["daily", "weekly"]).default("daily"),
    topics: z
      .array(z.string().regex(/^[A-Za-z0-9.-]{1,64}$/, "expected a topic, a category or an archive"))
      .max(50)
      .default([])
      .openapi({ description: "Topics, categories (cs.CV), archives (cs); none: all papers." }),
    ticket: z
      .string()
      .max(100)
      .openapi({ description: `From GET ${PATH}/ticket; good from 1.5 s on, for 12 hours.` }),
    website: z
      .string()
      .max(2000)
      .default("")
      .openapi({ description: "Leave it empty: people see no such field." }),
  })
  .openapi("SubscriptionWish");

/** Subscribing to the digest from programs: the checks are those of the form. */
export function subscriptionApi(app: OpenAPIHono<SiteEnv>, { people, digest }: SiteParts): void {
  app.openapi(
    createRoute({
      method: "get",
      path: `${PATH}/ticket`,
      tags: [TAG],
      summary: "A ticket for a subscription, as every form carries one",
      responses: {
        200: jsonAnswer("The ticket", z.object({ ticket: z.string() })),
        ...refusals(429),
      },
    }),
    (context) => {
      context.header("Cache-Control", "no-store");
      return context.json({ ticket: formTicket(people) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: "post",
      path: PATH,
      tags: [TAG],
      summary: "Ask for the digest at an address; a message asks its owner to confirm",
      request: { body: { content: { "application/json": { schema: wish } }, required: true } },
      responses: {
        202: jsonAnswer(
          "The same for every address: if digests can be sent to it, a message is on its way",
          z.object({ status: z.literal("requested") }),
        ),
        ...refusals(400, 429),
      },
    }),
    async (context) => {
      const { email, cadence, topics, ticket, website } = context.req.valid("json");
      if (!isTrapped(people, { _at: ticket, website })) {
        await digest.subscribers.request(
          { email, cadence, topics, savedSearches: [], form: FORM },
          whenceOf(context, people.secret),
        );
      }
      return context.json({ status: "requested" as const }, 202);
    },
  );
}
