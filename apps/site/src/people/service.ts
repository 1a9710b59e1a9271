import { join } from "node:path";
import type { Clock, Store } from "@concord/feed";
import { fileMailer, type Mailer, smtpMailer } from "@concord/feed/mail";
import {
  Accounts,
  Discussion,
  newSecret,
  Passwords,
  PostOffice,
  type ScryptCost,
  Sessions,
} from "@concord/feed/people";
import type { SiteSettings } from "../config/settings.ts";
import type { Log } from "../ops/log.ts";

/** Accounts and what people do here, ready for routes. */
export interface People {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly discussion: Discussion;
  readonly passwords: Passwords;
  readonly office: PostOffice;
  readonly clock: Clock;
  /** Key of marks and of visitors' form tokens; made once and kept in the store. */
  readonly secret: string;
}

/** Name of the key in the store's settings. */
export const SECRET_SETTING = "people.secret";
/** Folder, within the data folder, of messages that are kept because no mail server is set. */
export const OUTBOX_FOLDER = "outbox";

/** Sends by the SMTP server of the settings, or keeps messages in the data folder. */
export function mailerOf(settings: SiteSettings): Mailer {
  const { smtpUrl, from } = settings.mail;
  return smtpUrl === undefined
    ? fileMailer({ folder: join(settings.data.folder, OUTBOX_FOLDER), from })
    : smtpMailer({ url: smtpUrl, from });
}

export async function createPeople(options: {
  readonly store: Store;
  readonly settings: SiteSettings;
  readonly mailer: Mailer;
  readonly log: Log;
  readonly publicUrl: () => string;
  readonly clock?: Clock;
  /** Cost of password hashes; tests take a low one. */
  readonly cost?: ScryptCost;
}): Promise<People> {
  const { store, settings, log, publicUrl, clock = Date.now } = options;
  const secret = await store.settings.setOnce(SECRET_SETTING, newSecret());
  if (typeof secret !== "string" || secret.length < 32)
    throw new Error(`The store's setting '${SECRET_SETTING}' is damaged: expected a text of 32 characters.`);
  const passwords = new Passwords(options.cost === undefined ? {} : { cost: options.cost });
  const office = new PostOffice(options.mailer, (error) => {
    // Words of mail servers repeat addresses: the log gets the kind of failure alone.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const kind = error instanceof Error ? error.name : "unknown";
    log.error({ kind, code }, "a message about an account could not be sent");
  });
  return {
    accounts: new Accounts({
      store,
      passwords,
      office,
      clock,
      secret,
      publicUrl,
      signUp: settings.people.signUp,
    }),
    sessions: new Sessions(store, clock),
    discussion: new Discussion(store, clock),
    passwords,
    office,
    clock,
    secret,
  };
}
