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

/**
 * Why a person may not start, stop or delete runs here; null when they may. Somebody whose request a proxy passed on that
 * the settings do not name is no user of this machine, whatever the settings leave out.
 */
export function runRefusal(
  settings: Pick<SiteSettings, "people" | "server">,
  { viewer, passedOn }: { readonly viewer: Viewer | null; readonly passedOn: boolean },
): string | null {
  const open = whoRuns(settings);
  const who = open === "anyone" && settings.people.runs === undefined && passedOn ? "members" : open;
  if (who === "anyone" || (who === "members" && viewer !== null) || viewer?.role === "owner") return null;
  return who === "members"
    ? "Runs take this server’s whole machine, so starting, stopping and deleting them needs an account."
    : "Runs take this server’s whole machine; only its owner starts, stops and deletes them.";
}
