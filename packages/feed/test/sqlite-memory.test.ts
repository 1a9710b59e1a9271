import { IN_MEMORY, openSqliteStore } from "../src/index.ts";
import { conformance } from "./conformance/index.ts";

conformance("SQLite in memory", async (clock) => openSqliteStore(IN_MEMORY, { clock }));
