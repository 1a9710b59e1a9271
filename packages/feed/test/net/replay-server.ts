import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { Clock } from "../../src/net/index.ts";

/** A request as the server got it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** By the clock of the test. */
  readonly at: number;
}

export type Reply = (response: ServerResponse, request: SeenRequest) => void | Promise<void>;

export interface BodyOptions {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly gzip?: boolean;
}

/** A whole answer. */
export function body(content: string | Buffer, options: BodyOptions = {}): Reply {
  const bytes = options.gzip ? gzipSync(content) : Buffer.from(content);
  return (response) => {
    response.writeHead(options.status ?? 200, {
      "content-type": options.type ?? "text/plain",
      "content-length": bytes.length,
      ...(options.gzip ? { "content-encoding": "gzip" } : {}),
      ...options.headers,
    });
    response.end(bytes);
  };
}

export function redirect(location: string, status = 302): Reply {
  return (response) => {
    response.writeHead(status, { location }).end();
  };
}

/** Announces more than comes, and closes the connection. */
export function truncated(content: string | Buffer, sent: number, options: BodyOptions = {}): Reply {
  return (response) => {
    const bytes = Buffer.from(content);
    response.writeHead(200, { "content-type": options.type ?? "text/plain", "content-length": bytes.length });
    response.write(bytes.subarray(0, sent), () => response.socket?.destroy());
  };
}

/** Closes the connection without an answer. */
export const reset: Reply = (response) => {
  response.socket?.resetAndDestroy();
};

/** One byte at a time. */
export function drip(content: string, everyMs: number, options: BodyOptions = {}): Reply {
  return async (response) => {
    response.writeHead(200, { "content-type": options.type ?? "text/plain" });
    for (const byte of Buffer.from(content)) {
      if (response.destroyed) return;
      response.write(Buffer.from([byte]));
      await sleep(everyMs);
    }
    response.end();
  };
}

/** Takes the request and never answers. */
export const silence: Reply = () => {};

/** A server on this machine that answers with what a test wrote down. */
export class ReplayServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** Requests under way at once, at most so far. */
  mostAtOnce = 0;
  readonly #server;
  readonly #replies = new Map<string, Reply[]>();
  readonly #now: () => number;
  #open = 0;

  private constructor(now: () => number) {
    this.#now = now;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(now: () => number = Date.now): Promise<ReplayServer> {
    const replay = new ReplayServer(now);
    await new Promise<void>((resolve) => replay.#server.listen(0, "127.0.0.1", resolve));
    return replay;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a path answers, whatever the query: one reply after another, and then the last one for ever. */
  on(path: string, ...replies: Reply[]): this {
    this.#replies.set(path, replies);
    return this;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#open);
    response.on("close", () => this.#open--);
    response.on("error", () => {});
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const seen: SeenRequest = {
      method: request.method ?? "",
      url: request.url ?? "",
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
      at: this.#now(),
    };
    this.requests.push(seen);
    const replies = this.#replies.get(seen.url.split("?", 1)[0] ?? "") ?? [];
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    if (reply === undefined) response.writeHead(404).end();
    else await reply(response, seen);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A clock that jumps where others would wait. */
export class JumpingClock implements Clock {
  readonly waits: number[] = [];
  #now: number;

  constructor(start = Date.UTC(2026, 4, 14, 12)) {
    this.#now = start;
  }

  now = (): number => this.#now;

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.waits.push(milliseconds);
    this.#now += milliseconds;
    // Gives what is under way on real sockets the time to go on.
    await sleep(1);
  }
}
