import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openSqliteStore } from "../src/index.ts";
import { conformance } from "./conformance/index.ts";

const folder = mkdtempSync(join(tmpdir(), "concord-store-"));
const empty = join(folder, "empty.db");
await openSqliteStore(empty).close();
let stores = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

conformance("SQLite in a file", async (clock) => {
  // Copying an empty store spares every test the schema.
  const path = join(folder, `${stores++}.db`);
  copyFileSync(empty, path);
  return openSqliteStore(path, { clock });
});
