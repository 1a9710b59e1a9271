import { join } from "node:path";
import type { Store } from "@concord/feed";
import { arxivSchedule, IntakeSchedule } from "@concord/feed/intake";
import { createSafeFetch, defaultGatePath, fileGate, type SafeFetch } from "@concord/feed/net";
import type { SiteSettings } from "../config/settings.ts";
import type { Service } from "../site-parts.ts";
import type { Log } from "./log.ts";

/**
 * Where requests to other services take their turns: with everything else of this user on this machine or, where its home
 * cannot be written to, as is usual for services, in the data folder.
 */
export function outgoingGate(
  { data }: Pick<SiteSettings, "data">,
  log: Log,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ReturnType<typeof fileGate> {
  const usual = defaultGatePath(env);
  try {
    return fileGate(usual);
  } catch (err) {
    const path = join(data.folder, "politeness.sqlite");
    log.warn({ err, path }, "turns of requests are kept in the data folder: other programs do not see them");
    return fileGate(path);
  }
}

/** Fetches new papers at set times, where the settings say so. */
export function intakeService(store: Store, settings: SiteSettings, log: Log): Service {
  const { intake } = settings;
  let running: {
    readonly schedule: IntakeSchedule;
    readonly fetch: SafeFetch;
    readonly gate: Disposable;
  } | null = null;
  return {
    start() {
      if (!intake.schedule) return;
      const gate = outgoingGate(settings, log);
      const fetch = createSafeFetch({ contact: intake.contact, gate });
      const schedule = new IntakeSchedule({
        store,
        fetch,
        entries: arxivSchedule(intake.categories),
        onReport(source, { status, error, inserted, updated, rejected, seconds }) {
          log[error === null ? "info" : "warn"](
            { source, status, error, inserted, updated, rejected, seconds },
            "papers fetched",
          );
        },
        onError: (err) => log.error({ err }, "papers could not be fetched"),
      });
      running = { schedule, fetch, gate };
      schedule.start();
      log.info({ next: schedule.next()[0] }, "papers are fetched at set times");
    },
    async stop() {
      await running?.schedule.stop();
      await running?.fetch.close();
      running?.gate[Symbol.dispose]();
      running = null;
    },
  };
}
