import type { Store } from "@concord/feed";
import { arxivSchedule, IntakeSchedule } from "@concord/feed/intake";
import { createSafeFetch, defaultGatePath, fileGate, type SafeFetch } from "@concord/feed/net";
import type { SiteSettings } from "../config/settings.ts";
import type { Service } from "../site-parts.ts";
import type { Log } from "./log.ts";

/** Fetches new papers at set times, where the settings say so. */
export function intakeService(store: Store, { intake }: SiteSettings, log: Log): Service {
  let running: {
    readonly schedule: IntakeSchedule;
    readonly fetch: SafeFetch;
    readonly gate: Disposable;
  } | null = null;
  return {
    start() {
      if (!intake.schedule) return;
      const gate = fileGate(defaultGatePath(process.env));
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
