import { ingest } from "../../src/intake/index.ts";
import { createSafeFetch } from "../../src/net/index.ts";
import { openSqliteStore } from "../../src/store/index.ts";

const [file = "", path = ""] = process.argv.slice(2);
const store = openSqliteStore(file);
const fetch = createSafeFetch();
await ingest({ kind: "file", path }, store, {
  fetch,
  onProgress: ({ items }) => process.stdout.write(`${items}\n`),
});
await store.close();
await fetch.close();
