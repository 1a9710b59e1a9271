import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { type Logger, pino } from "pino";
import type { SiteEnv } from "../site-env.ts";

export type Log = Logger;

const QUIET_PATHS = new Set(["/healthz", "/metrics"]);
const LEVEL_NAMES: Readonly<Record<number, string>> = { 40: "warning", 50: "error", 60: "fatal" };

interface LogLine {
  readonly time: number;
  readonly level: number;
  readonly msg?: string;
  readonly err?: { readonly stack?: string; readonly message?: string };
  readonly [name: string]: unknown;
}

/** A record as one short line for people; errors with their stack. */
export function terminalLine(record: LogLine): string {
  const { time, level, msg = "", err, pid: _, hostname: __, ...rest } = record;
  const clock = new Date(time).toTimeString().slice(0, 8);
  const severity = LEVEL_NAMES[level];
  const details = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const stack = err ? `\n${err.stack ?? err.message}` : "";
  return `${[clock, severity && `${severity}:`, msg, ...details].filter(Boolean).join(" ")}${stack}\n`;
}

/**
 * The log of the site: one JSON object a line, or short lines where a person reads. What could open something
 * (passwords, tokens, cookies, addresses of readers) is not logged, and is taken out should it get there.
 */
export function createLog(options: {
  readonly level: string;
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}): Log {
  const { level, output } = options;
  const destination = output.isTTY
    ? { write: (line: string) => void output.write(terminalLine(JSON.parse(line) as LogLine)) }
    : { write: (line: string) => void output.write(line) };
  return pino(
    {
      level,
      redact: {
        paths: ["password", "token", "cookie", "authorization", "email", "*.password", "*.token", "*.email"],
        censor: "[hidden]",
      },
    },
    destination,
  );
}

/**
 * Logs every request: method, route, status, milliseconds. The route is the pattern ("/u/:token"), not the path,
 * and there is no query: addresses may carry secrets and what people look for.
 */
export function requestLog(log: Log): MiddlewareHandler<SiteEnv> {
  return async (context, next) => {
    const start = performance.now();
    await next();
    if (QUIET_PATHS.has(context.req.path)) return;
    const { status } = context.res;
    const record = {
      request: context.var.requestId,
      method: context.req.method,
      route: routePath(context, -1),
      status,
      ms: Math.round((performance.now() - start) * 10) / 10,
    };
    if (status >= 500) log.error(record, "request");
    else log.info(record, "request");
  };
}
