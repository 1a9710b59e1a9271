import { join } from "node:path";
import type { Store } from "@concord/feed";
import {
  DigestPublisher,
  DigestSender,
  type DigestTimes,
  ReaderLinks,
  Subscribers,
} from "@concord/feed/digest";
import { fileMailer, type Mailer, smtpMailer } from "@concord/feed/mail";
import type { SiteSettings } from "../config/settings.ts";
import type { Log } from "../ops/log.ts";
import { OUTBOX_FOLDER, type People } from "../people/service.ts";
import type { Service } from "../site-parts.ts";

/** The digest: its readers, and what leads to them. */
export interface Digest {
  readonly subscribers: Subscribers;
  readonly links: ReaderLinks;
  readonly times: DigestTimes;
}

const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/** When digests are due, as the settings say it. */
export function digestTimes({ time, weekday }: SiteSettings["digest"]): DigestTimes {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return { minute: hours * 60 + minutes, weekday: weekdays.indexOf(weekday) + 1 };
}

export async function createDigest(options: {
  readonly store: Store;
  readonly people: People;
  readonly settings: SiteSettings;
  readonly publicUrl: () => string;
}): Promise<Digest> {
  const { store, people, settings, publicUrl } = options;
  const links = await ReaderLinks.of(store, publicUrl);
  const { office, clock, secret } = people;
  return {
    subscribers: new Subscribers({ store, links, office, clock, secret }),
    links,
    times: digestTimes(settings.digest),
  };
}

/** Sends digests by the mail server of the settings, over several connections, or keeps them in the data folder. */
export function digestMailer({ mail, data, digest }: SiteSettings): Mailer {
  const { smtpUrl, from } = mail;
  return smtpUrl === undefined
    ? fileMailer({ folder: join(data.folder, OUTBOX_FOLDER), from })
    : smtpMailer({ url: smtpUrl, from, connections: digest.connections });
}

/** How digests are sent, as the settings say it. */
export const sendingOf = ({ digest }: SiteSettings) => ({
  connections: digest.connections,
  perMinute: digest.perMinute,
  papers: digest.papers,
  unknown: digest.unknown,
});

const LOOK_MS = 60_000;
const FIRST_LOOK_MS = 5000;

/** Builds digests when they are due and sends what is queued, as long as the site runs. */
export function digestService(
  parts: {
    readonly store: Store;
    readonly digest: Digest;
    readonly settings: SiteSettings;
    readonly log: Log;
  },
  timing: { readonly firstLookMs?: number; readonly lookMs?: number } = {},
): Service {
  const { store, digest, settings, log } = parts;
  if (!settings.digest.send) return { start() {}, async stop() {} };
  const { firstLookMs = FIRST_LOOK_MS, lookMs = LOOK_MS } = timing;
  const { links, times } = digest;
  if (settings.mail.smtpUrl !== undefined && settings.server.publicUrl === undefined)
    log.warn("digests carry the address that the server listens on: set CONCORD_PUBLIC_URL");
  const publisher = new DigestPublisher({ store, times, host: () => links.host });
  const mailer = digestMailer(settings);
  const sender = new DigestSender({
    ...sendingOf(settings),
    store,
    mailer,
    links,
    onTrouble: (what, details) => log.warn(details, what),
  });
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let looking: Promise<void> = Promise.resolve();
  const look = async () => {
    try {
      for (const issue of await publisher.publishDue()) {
        log.info(issue, "a digest was built");
        sender.nudge();
      }
    } catch (err) {
      log.error({ err }, "a digest could not be built");
    }
  };
  const schedule = (delay: number) => {
    if (stopped) return;
    timer = setTimeout(() => {
      looking = look().then(() => schedule(lookMs));
    }, delay);
    timer.unref();
  };
  return {
    start() {
      schedule(firstLookMs);
      sender.start();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await Promise.all([looking, sender.stop()]);
      await mailer.close();
    },
  };
}
