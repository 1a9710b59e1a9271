export * from "./backup.ts";
export { type DumpProgress, dumpStore, loadStore } from "./dump.ts";
export * from "./person.ts";
