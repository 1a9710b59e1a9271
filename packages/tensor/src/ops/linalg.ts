export * from "./linalg/eigen.ts";
export * from "./linalg/newton-schulz.ts";
export * from "./linalg/triangular.ts";
