import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { listMessages, readMessage } from "./messages.ts";
import { listPage, messagePage, missingPage, STYLE, VIEWS, type View } from "./pages.ts";

const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/** What a message may do: be looked at. No scripts, no forms, nothing loaded, no cookies; links open nothing here. */
const BODY_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

const LOCAL = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i;
const LIST_SHOWN = 50;

export interface MailViewer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Shows the messages of a folder, to this machine alone.
 *
 * @throws Error when the port is taken
 */
export async function startMailViewer(folder: string, port: number): Promise<MailViewer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: string, type = "text/html; charset=utf-8", policy = PAGE_POLICY) => {
      response.writeHead(status, {
        "Content-Type": type,
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
      });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    // A page elsewhere could point its own name at this machine, and read links that sign people in.
    if (!LOCAL.test(request.headers.host ?? "")) return send(421, "This name is not served.", "text/plain");
    if (request.method !== "GET" && request.method !== "HEAD")
      return send(405, "Messages are only looked at.", "text/plain");
    const url = new URL(request.url ?? "/", "http://localhost");
    if (url.pathname === "/style.css") return send(200, STYLE, "text/css; charset=utf-8");
    if (url.pathname === "/") {
      const ids = (await listMessages(folder)).slice(0, LIST_SHOWN);
      const messages = await Promise.all(ids.map((id) => readMessage(folder, id)));
      return send(
        200,
        listPage(
          messages.filter((message) => message !== null),
          folder,
        ),
      );
    }
    const match = /^\/([\w-]{1,100})(\/body)?$/.exec(url.pathname);
    const message = match?.[1] === undefined ? null : await readMessage(folder, match[1]);
    if (message === null) return send(404, missingPage());
    if (match?.[2] !== undefined)
      return send(200, message.email.html ?? "", "text/html; charset=utf-8", BODY_POLICY);
    const asked = url.searchParams.get("view");
    return send(200, messagePage(message, VIEWS.find((view): view is View => view === asked) ?? "html"));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500, { "Content-Type": "text/plain" });
      response.end("The message cannot be read.");
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new Error(`Port ${port} is taken by another program.`) : error),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
