/** A message to one recipient. */
export interface MailMessage {
  /** One address. */
  readonly to: string;
  /** One line. */
  readonly subject: string;
  /** What readers without HTML see; always there. */
  readonly text: string;
  readonly html?: string | undefined;
  /** Further headers, e.g. `List-Unsubscribe`; names and values of one line each. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Fixed where a message may have to be sent again; otherwise made by the mailer. With its angle brackets. */
  readonly messageId?: string | undefined;
}

/** What became of a message. */
export interface MailReceipt {
  readonly messageId: string;
  /** Last line of the server, e.g. `250 2.0.0 Ok`; the name of the file where messages are kept. */
  readonly response: string;
}

/** The server refused or could not be reached. */
export class MailError extends Error {
  override readonly name = "MailError";
  /** SMTP status (421, 550, ...); null when the conversation did not get that far. */
  readonly code: number | null;
  /** Whether sending again can help: anything but a 5xx answer. */
  readonly temporary: boolean;

  constructor(message: string, code: number | null, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.temporary = code === null || code < 500;
  }
}

/** Sends mail, or keeps it. */
export interface Mailer {
  /** Whether messages leave this machine; false: they are kept in a folder for reading. */
  readonly delivers: boolean;
  /** @throws MailError */
  send(message: MailMessage): Promise<MailReceipt>;
  close(): Promise<void>;
}
