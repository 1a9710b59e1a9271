export * from "./contract.ts";
export * from "./heads.ts";
export * from "./options.ts";
