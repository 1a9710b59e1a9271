export * from "./lists.ts";
export * from "./record.ts";
export * from "./search.ts";
