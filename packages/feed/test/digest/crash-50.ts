/**
 * The long crash test: 50 kills during 2,000 messages, with one sender and with two at once.
 *
 *   node --conditions=source packages/feed/test/digest/crash-50.ts [KILLS] [READERS]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendWithKills } from "./crash.ts";

const [kills = "50", readers = "2000"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "concord-digest-crash-"));
let failed = false;
try {
  for (const workers of [1, 2]) {
    const connections = 4;
    const report = await sendWithKills(join(folder, `${workers}.db`), {
      ...{ readers: Number(readers), kills: Number(kills), connections, workers, seed: workers },
    });
    const bound = report.kills * connections;
    const fine = report.missed === 0 && report.differing === 0 && report.duplicates <= bound;
    failed ||= !fine;
    process.stdout.write(`${workers} at once: ${JSON.stringify({ ...report, bound, fine })}\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
