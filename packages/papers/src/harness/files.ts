// Files that are whole or not there, for rooms that keep runs of their own.
export { loadArrays, loadArraysMetadata, saveArrays } from "./array-file.ts";
export { TEMPORARY_SUFFIX, writeFileAtomic } from "./atomic-file.ts";
export { describeEnvironment } from "./environment.ts";
export { encodeNpy } from "./npy.ts";
export { acquireLock, type RunLock } from "./run-lock.ts";
