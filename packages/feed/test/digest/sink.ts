import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

/** A message as it went over the wire. */
export interface Caught {
  readonly to: string;
  readonly raw: Buffer;
}

/** What the sink answers to a recipient: null accepts. Counted from 1 for each address. */
export type Script = (email: string, attempt: number) => string | null;

/** A real SMTP server on this machine that keeps what it gets. */
export class SmtpSink {
  readonly caught: Caught[] = [];
  readonly #asked = new Map<string, number>();
  readonly #server: SMTPServer;
  /** Answers to RCPT TO, as "550 5.1.1 gone". */
  script: Script = () => null;
  /** Told of each message before it is acknowledged. */
  onMessage: (message: Caught) => void | Promise<void> = () => {};
  port = 0;
  /** Whether messages are kept; for measurements they are only counted. */
  keeps = true;
  count = 0;

  constructor() {
    const refusal = (answer: string) =>
      Object.assign(new Error(answer.slice(4)), { responseCode: Number(answer.slice(0, 3)) });
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["AUTH", "STARTTLS"],
      logger: false,
      onRcptTo: ({ address }, _session, done) => {
        const attempt = (this.#asked.get(address) ?? 0) + 1;
        this.#asked.set(address, attempt);
        const answer = this.script(address, attempt);
        done(answer === null ? null : refusal(answer));
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          const caught = { to: session.envelope.rcptTo[0]?.address ?? "", raw: Buffer.concat(chunks) };
          this.count += 1;
          if (this.keeps) this.caught.push(caught);
          Promise.resolve(this.onMessage(caught)).then(
            () => done(),
            (error: Error) => done(error),
          );
        });
      },
    });
    // Connections of processes that were killed end in errors.
    this.#server.on("error", () => {});
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.port = (this.#server.server.address() as AddressInfo).port;
    return `smtp://127.0.0.1:${this.port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** A header of a raw message, unfolded. */
export function headerOf(raw: Buffer, name: string): string | null {
  const head = raw.toString("latin1").split("\r\n\r\n")[0] ?? "";
  const match = new RegExp(`^${name}:[ \\t]*((?:.*)(?:\\r\\n[ \\t].*)*)`, "im").exec(head);
  return match?.[1]?.replace(/\r\n[ \t]+/g, " ") ?? null;
}
