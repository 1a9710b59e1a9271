import type { SiteSettings } from "../config/settings.ts";
import { isLoopbackHost } from "../http/security.ts";
import type { Viewer } from "../site-env.ts";

export type WhoRuns = "anyone" | "members" | "owner";

/**
 * Who may start, stop and delete runs. A run takes the whole machine: unless the operator says otherwise, `anyone` holds
 * only where nobody but this machine's users can come, which a proxy or a public name before the server ends.
 */
export function whoRuns({ people, server }: Pick<SiteSettings, "people" | "server">): WhoRuns {
  if (people.runs !== undefined) return people.runs;
  const published =
    server.publicUrl !== undefined || server.trustedProxies.length > 0 || server.allowHosts.length > 0;
  return isLoopbackHost(server.host) && !published ? "anyone" : "members";
}

/** Why a person may not start, stop or delete runs here; null when they may. */
export function runRefusal(
  settings: Pick<SiteSettings, "people" | "server">,
  viewer: Viewer | null,
): string | null {
  const who = whoRuns(settings);
  if (who === "anyone" || (who === "members" && viewer !== null) || viewer?.role === "owner") return null;
  return who === "members"
    ? "Runs take this server’s whole machine, so starting, stopping and deleting them needs an account."
    : "Runs take this server’s whole machine; only its owner starts, stops and deletes them.";
}
