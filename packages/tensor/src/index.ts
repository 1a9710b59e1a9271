export * from "./core/ndarray.ts";
export * from "./random/host.ts";
