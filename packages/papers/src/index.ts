export * from "./card.ts";
export * from "./catalogue.ts";
