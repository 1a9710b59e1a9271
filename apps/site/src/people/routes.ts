import { Hono } from "hono";
import type { SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { commentRoutes } from "./comment-routes.ts";
import { moderationRoutes } from "./moderation.ts";
import { ownRoutes } from "./own-routes.ts";
import { paperActRoutes } from "./paper-act-routes.ts";
import { settingsRoutes } from "./settings-routes.ts";
import { signInRoutes } from "./sign-in-routes.ts";
import { submitRoutes } from "./submit.ts";

/** Everything that people do here: accounts, votes, kept papers, collections, comments, moderation, submissions. */
export function peopleRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  return new Hono<SiteEnv>()
    .route("/", signInRoutes(parts, render))
    .route("/", settingsRoutes(parts, render))
    .route("/", paperActRoutes(parts))
    .route("/", commentRoutes(parts, render))
    .route("/", submitRoutes(parts, render))
    .route("/", ownRoutes(parts, render))
    .route("/", moderationRoutes(parts, render));
}
