export * from "./advice.ts";
export * from "./card.ts";
export * from "./catalogue.ts";
export * from "./harness/index.ts";
