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
export {
  createSafeFetch,
  type SafeFetch,
  type SafeFetchOptions,
  type SafeFetchSettings,
  type SafeResponse,
  type Validators,
} from "./safe-fetch.ts";
