import { createTransport } from "nodemailer";
import { MailError, type Mailer, type MailMessage, type MailReceipt } from "../people/mail-port.ts";
import { checkedMessage } from "./message.ts";

export interface SmtpOptions {
  /** `smtp://host:port` or `smtps://user:password@host:port`. */
  readonly url: string;
  /** Sender, e.g. `Daily Papers <papers@example.org>`. */
  readonly from: string;
  /** Connections at once; default 2. */
  readonly connections?: number;
}

const CONNECT_MS = 15_000;
const ANSWER_MS = 60_000;

/** Hands messages to a mail server, over connections that are kept. Bodies come from text alone, never from files or URLs. */
export function smtpMailer(options: SmtpOptions): Mailer {
  const transport = createTransport({
    url: options.url,
    pool: true,
    maxConnections: options.connections ?? 2,
    // Whether a message goes out again is for whoever keeps count of it: the pool must not repeat one by itself.
    maxRequeues: 0,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: ANSWER_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    delivers: true,
    async send(message: MailMessage): Promise<MailReceipt> {
      const { messageId, response } = await transport
        .sendMail(checkedMessage(message, options.from))
        .catch((error: Error & { responseCode?: number }) => {
          // The server's words may repeat the address: they are for the caller, not for a log.
          throw new MailError(error.message, error.responseCode ?? null, { cause: error });
        });
      return { messageId, response };
    },
    async close() {
      transport.close();
    },
  };
}
