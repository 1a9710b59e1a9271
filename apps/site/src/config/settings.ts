import { isIP } from "node:net";
import { z } from "zod";

/** What a setting is called in the environment, and what it means: the table of the documentation is made from this. */
interface SettingNotes {
  readonly env: string;
  readonly description: string;
  /** Never shown or logged. */
  readonly secret?: boolean;
}

/** Notes of every setting, by schema. */
export const settingNotes = z.registry<SettingNotes>();

function setting<Schema extends z.ZodType>(
  schema: Schema,
  env: string,
  description: string,
  secret = false,
): Schema {
  settingNotes.add(schema, { env, description, ...(secret && { secret }) });
  return schema;
}

/** From the environment everything comes as text; lists are separated by commas or blanks. */
const list = (item: z.ZodType<string, string> = z.string().min(1)) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(/[\s,]+/).filter(Boolean) : value),
    z.array(item).max(200),
  );
const flag = z.preprocess(
  (value) => (value === "true" || value === "1" ? true : value === "false" || value === "0" ? false : value),
  z.boolean(),
);
const count = (low: number, high: number) => z.coerce.number().int().min(low).max(high);

const address = z
  .string()
  .refine((text) => isIP(text) !== 0 || text === "localhost", "expected an IP address");
const addressRange = z
  .string()
  .refine(
    (text) => isIP(text.replace(/\/\d{1,3}$/, "")) !== 0,
    "expected an address or a range such as 10.0.0.0/8",
  );

/** All settings of the site. Every one has a default: `concord start` needs no configuration. */
export const siteSettings = z.strictObject({
  server: z
    .strictObject({
      host: setting(address.default("127.0.0.1"), "CONCORD_HOST", "Address to listen on."),
      port: setting(count(0, 65535).default(4100), "CONCORD_PORT", "Port to listen on; 0 takes a free one."),
      allowHosts: setting(
        list().default([]),
        "CONCORD_ALLOW_HOSTS",
        "Further names that requests may carry, e.g. of a reverse proxy.",
      ),
      publicUrl: setting(
        z.url({ protocol: /^https?$/ }).optional(),
        "CONCORD_PUBLIC_URL",
        "Where readers reach the site, e.g. https://papers.example.org: used in mails, feeds and links. Without it, the address that the server listens on.",
      ),
      trustedProxies: setting(
        list(addressRange).default([]),
        "CONCORD_TRUSTED_PROXIES",
        "Addresses or ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
      ),
    })
    .prefault({}),
  data: z
    .strictObject({
      folder: setting(
        z.string().min(1).default("concord-data"),
        "CONCORD_DATA",
        "Folder of the store, of search models and of messages kept for reading.",
      ),
      runs: setting(z.string().min(1).default("runs"), "CONCORD_RUNS", "Folder with one subfolder a run."),
    })
    .prefault({}),
  people: z
    .strictObject({
      signUp: setting(
        z.enum(["open", "closed"]).default("open"),
        "CONCORD_SIGN_UP",
        "Whether people may make accounts. The first account, the owner's, can always be made.",
      ),
      runs: setting(
        z.enum(["anyone", "members", "owner"]).optional(),
        "CONCORD_WHO_RUNS",
        "Who may start, stop and delete runs: `anyone`, `members` or `owner`. Without it, anyone where the server listens on a loopback address without proxy, public URL or further names; else members.",
      ),
    })
    .prefault({}),
  intake: z
    .strictObject({
      schedule: setting(
        flag.default(false),
        "CONCORD_INTAKE",
        "Whether the server fetches new papers by itself, every working day.",
      ),
      categories: setting(
        list().default(["cs.CV", "cs.CL", "cs.LG"]),
        "CONCORD_CATEGORIES",
        "arXiv categories that are fetched.",
      ),
      contact: setting(
        z.string().max(200).optional(),
        "CONCORD_CONTACT",
        "Address or URL that requests to arXiv carry, so that its operators can reach you.",
      ),
    })
    .prefault({}),
  mail: z
    .strictObject({
      smtpUrl: setting(
        z.url({ protocol: /^smtps?$/ }).optional(),
        "CONCORD_SMTP_URL",
        "Server that takes mail, e.g. smtps://user:password@mail.example.org. Without it messages are kept in the data folder, for reading.",
        true,
      ),
      from: setting(
        z.string().max(300).default("Daily Papers <papers@localhost>"),
        "CONCORD_MAIL_FROM",
        "Sender of all mail.",
      ),
    })
    .prefault({}),
  digest: z
    .strictObject({
      send: setting(
        flag.default(true),
        "CONCORD_DIGEST",
        "Whether the server builds and sends digests to those who subscribed.",
      ),
      time: setting(
        z
          .string()
          .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "expected a time such as 07:00")
          .default("07:00"),
        "CONCORD_DIGEST_TIME",
        "Time of day at which digests are built, UTC.",
      ),
      weekday: setting(
        z
          .enum(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
          .default("friday"),
        "CONCORD_DIGEST_WEEKDAY",
        "Day of the weekly digest.",
      ),
      papers: setting(count(3, 40).default(20), "CONCORD_DIGEST_PAPERS", "Most papers in a digest."),
      connections: setting(
        count(1, 20).default(4),
        "CONCORD_DIGEST_CONNECTIONS",
        "Messages that are handed to the mail server at once.",
      ),
      perMinute: setting(
        count(1, 1_000_000).default(300),
        "CONCORD_DIGEST_PER_MINUTE",
        "Most messages a minute to addresses of one domain.",
      ),
      unknown: setting(
        z.enum(["resend", "hold"]).default("resend"),
        "CONCORD_DIGEST_UNKNOWN",
        "What becomes of a message of which it is unknown, after a crash, whether the mail server took it: `resend` (again, under the same Message-ID) or `hold`.",
      ),
    })
    .prefault({}),
  search: z
    .strictObject({
      encoder: setting(
        z.string().optional(),
        "CONCORD_SEARCH_ENCODER",
        "Folder of a sentence encoder (ONNX, Hugging Face layout) to be used instead of the one that Concord trains on its own papers.",
      ),
      train: setting(
        flag.default(true),
        "CONCORD_SEARCH_TRAIN",
        "Whether the server trains that encoder by itself, in a process of its own: once there are 500 papers, and again when they have grown by half.",
      ),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: setting(
        z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
        "CONCORD_LOG_LEVEL",
        "Least level that is logged.",
      ),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      token: setting(
        z.string().min(16).optional(),
        "CONCORD_METRICS_TOKEN",
        "Bearer token that opens /metrics to others than this machine.",
        true,
      ),
    })
    .prefault({}),
});

export type SiteSettings = z.output<typeof siteSettings>;
