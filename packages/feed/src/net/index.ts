export { isPublicAddress } from "./address.ts";
export { type Clock, systemClock } from "./clock.ts";
export { FetchError, type FetchFailure, isTransient } from "./errors.ts";
export type { Resolve, ResolvedAddress } from "./guarded-agent.ts";
export {
  defaultGatePath,
  fileGate,
  memoryGate,
  type PolitenessGate,
  type PolitenessRule,
  politenessRule,
  type Turn,
} from "./politeness.ts";
export { createSafeFetch } from "./safe-fetch.ts";
export type {
  SafeFetch,
  SafeFetchOptions,
  SafeFetchSettings,
  SafeResponse,
  Validators,
} from "./types.ts";
