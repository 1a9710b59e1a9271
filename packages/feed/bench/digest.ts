/**
 * Sends one digest of 300 papers to 10,000 readers in 50 domains, into a mail server on this machine that runs in a
 * process of its own, and prints messages a second, memory and what the longest turn of the event loop cost.
 *
 *   node --conditions=source packages/feed/bench/digest.ts [READERS] [CONNECTIONS]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DigestPublisher, DigestSender, latestSlot, ReaderLinks } from "../src/digest/index.ts";
import { openSqliteStore } from "../src/index.ts";
import { smtpMailer } from "../src/mail/index.ts";
import { secretHash } from "../src/people/index.ts";
import { SmtpSink } from "../test/digest/sink.ts";
import { papersOf, SITE, TIMES } from "../test/digest/support.ts";
import { measureTurns } from "./turns.ts";

async function serveSink(): Promise<void> {
  const sink = new SmtpSink();
  sink.keeps = false;
  process.stdout.write(`${await sink.listen()}\n`);
  process.stdin.resume();
  await once(process.stdin, "end");
  process.stdout.write(`${sink.count}\n`);
  process.exit(0);
}

async function measure(readers: number, connections: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "concord-digest-bench-"));
  const child = spawn(
    process.execPath,
    ["--conditions=source", "--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), "sink"],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  const store = openSqliteStore(join(folder, "store.sqlite"));
  try {
    await store.papers.upsert(papersOf(latestSlot("daily", TIMES, Date.now()).day, 300));
    const links = await ReaderLinks.of(store, () => SITE);
    for (let from = 0; from < readers; from += 500) {
      await store.transaction(async ({ subscriptions }) => {
        for (let n = from; n < Math.min(readers, from + 500); n++) {
          const email = `reader-${n}@domain-${n % 50}.example`;
          const consent = { form: "bench", addressHash: null };
          // A third of the readers chose topics.
          const topics = n % 3 === 0 ? ["cs.LG", "stat"] : [];
          await subscriptions.subscribe({
            email,
            cadence: "daily",
            topics,
            consent,
            tokens: links.hashes(email, ""),
          });
          await subscriptions.confirm(secretHash(links.token("confirm", email)));
        }
      });
    }
    const phase = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      const begun = performance.now();
      const cpu = process.cpuUsage();
      const { result, turns } = await measureTurns(work);
      const seconds = (performance.now() - begun) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      process.stdout.write(
        `${name}: ${seconds.toFixed(1)} s, CPU ${((user + system) / 1e6).toFixed(1)} s, ${Math.round(readers / seconds)}/s, turns of the event loop p99 ${turns.p99.toFixed(1)}, longest ${turns.longest.toFixed(1)} ms, RSS ${Math.round(process.memoryUsage().rss / 1e6)} MB, heap ${Math.round(process.memoryUsage().heapUsed / 1e6)} MB\n`,
      );
      return result;
    };
    const publisher = new DigestPublisher({ store, times: TIMES, host: () => links.host });
    const published = await phase("build and fill", () => publisher.publishDue());
    const mailer = smtpMailer({ url: first.toString().trim(), from: "papers@example.org", connections });
    const sender = new DigestSender({ store, mailer, links, connections, perMinute: 1e9 });
    const tally = await phase("send", () => sender.drain());
    await mailer.close();
    child.stdin.end();
    const [count] = (await once(child.stdout, "data")) as [Buffer];
    process.stdout.write(
      `${published[0]?.readers} rows, ${tally.sent} sent, ${count.toString().trim()} arrived, ${connections} connections\n`,
    );
  } finally {
    await store.close();
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

const [what = "10000", connections = "4"] = process.argv.slice(2);
if (what === "sink") await serveSink();
else await measure(Number(what), Number(connections));
