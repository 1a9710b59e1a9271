import { lookup as systemLookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { Agent, buildConnector } from "undici";
import { isPublicAddress, literalAddress } from "./address.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export const systemResolve: Resolve = (hostname) => systemLookup(hostname, { all: true });

/** A connection that was refused before it was made. */
export class BlockedAddressError extends Error {
  override readonly name = "BlockedAddressError";
  readonly code = "CONCORD_BLOCKED";
}

/** A name that has no address. */
export class UnresolvedNameError extends Error {
  override readonly name = "UnresolvedNameError";
  readonly code = "CONCORD_UNRESOLVED";
}

function refuse(hostname: string, address: string): BlockedAddressError {
  const what = hostname === address ? address : `${hostname} (${address})`;
  return new BlockedAddressError(`${what} is not an address of the public Internet`);
}

/** A lookup for sockets that refuses a name as soon as one of its addresses is not public. */
function guardedLookup(resolve: Resolve): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname).then(
      (answers) => {
        const first = answers[0];
        const bad = answers.find(({ address }) => !isPublicAddress(address));
        if (first === undefined) done(new UnresolvedNameError(`${hostname} has no address`), "", 0);
        else if (bad !== undefined) done(refuse(hostname, bad.address), "", 0);
        else if (options.all) done(null, [...answers]);
        else done(null, first.address, first.family);
      },
      (cause: unknown) => done(new UnresolvedNameError(`${hostname} has no address`, { cause }), "", 0),
    );
  };
}

export interface AgentSettings {
  readonly connectMs: number;
  /** Longest pause before the headers and between two pieces of the body, in milliseconds. */
  readonly idleMs: number;
}

const common = ({ connectMs, idleMs }: AgentSettings) => ({
  headersTimeout: idleMs,
  bodyTimeout: idleMs,
  // One connection to an origin at a time, as arXiv's terms ask.
  connections: 1,
  pipelining: 1,
  allowH2: false,
  connectTimeout: connectMs,
});

/**
 * Connections to the public Internet alone.
 *
 * Addresses are judged where they are used, in the socket's own lookup, so a name that changes its answer between a
 * check and the connection (DNS rebinding) gains nothing. Sockets do not look up literal addresses: those are judged
 * before, and the far end of every connection once more when it stands.
 */
export function guardedAgent(resolve: Resolve, settings: AgentSettings): Agent {
  const connect = buildConnector({
    timeout: settings.connectMs,
    allowH2: false,
    lookup: guardedLookup(resolve),
  });
  return new Agent({
    ...common(settings),
    connect(options, done) {
      const literal = literalAddress(options.hostname);
      if (literal !== null && !isPublicAddress(literal)) {
        done(refuse(options.hostname, literal), null);
        return;
      }
      connect(options, (...[error, socket]) => {
        if (error !== null) {
          done(error, null);
          return;
        }
        const { remoteAddress } = socket;
        if (remoteAddress === undefined || !isPublicAddress(remoteAddress)) {
          socket.destroy();
          done(refuse(options.hostname, remoteAddress ?? "closed"), null);
          return;
        }
        done(null, socket);
      });
    },
  });
}

/** Connections to wherever the caller has been told to allow. */
export function openAgent(settings: AgentSettings): Agent {
  return new Agent({ ...common(settings), connect: { timeout: settings.connectMs, allowH2: false } });
}
