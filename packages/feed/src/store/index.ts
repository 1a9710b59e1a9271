export * from "./catalogue.ts";
export * from "./ports.ts";
export { IN_MEMORY, openForReading } from "./sqlite/open.ts";
export { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from "./sqlite/store.ts";
