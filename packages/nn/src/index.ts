export * from "./attention.ts";
export * from "./linear.ts";
export * from "./mlp.ts";
export * from "./text.ts";
export * from "./vision.ts";
