/**
 * Child process of the crash test: sends what is due until nothing is left.
 *
 *   node send-until-killed.ts STORE SMTP_URL CONNECTIONS LEASE_MS
 */
import { DigestSender, ReaderLinks } from "../../src/digest/index.ts";
import { smtpMailer } from "../../src/mail/index.ts";
import { openSqliteStore } from "../../src/store/index.ts";

const [file = "", url = "", connections = "4", leaseMs = "1000"] = process.argv.slice(2);
const store = openSqliteStore(file);
const mailer = smtpMailer({ url, from: "Papers <papers@example.org>", connections: Number(connections) });
const links = await ReaderLinks.of(store, () => "https://papers.example.org");
const sender = new DigestSender({
  ...{ store, mailer, links, perMinute: 1e9 },
  connections: Number(connections),
  leaseMs: Number(leaseMs),
});
process.on("SIGTERM", () => sender.stop());
const tally = await sender.drain();
await mailer.close();
await store.close();
process.stdout.write(`${JSON.stringify(tally)}\n`);
