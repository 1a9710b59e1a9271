export * from "./lists.ts";
export * from "./record.ts";
export * from "./record-merge.ts";
export * from "./search.ts";
export * from "./store/ports.ts";
export * from "./tex.ts";
