import { MailError } from "../people/mail-port.ts";

/**
 * What a failure to send means:
 * - `hard`: there is no such mailbox
 * - `refused`: this message is not wanted (policy, contents); the mailbox exists
 * - `later`: the mailbox may take it another time
 * - `server`: our mail server does not work, or not for us; the message was not tried
 * - `unknown`: the connection broke; the message may have been accepted
 */
export type Failure = "hard" | "refused" | "later" | "server" | "unknown";

/** Failures to reach the server at all, as nodemailer and Node name them. */
const UNREACHED =
  /^(?:ECONNREFUSED|ENOTFOUND|EDNS|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EAUTH|ETLS|ENOAUTH|EOAUTH2)$/;
/** Commands that come before the server hears of the recipient. */
const BEFORE_RECIPIENT = /^(?:EHLO|HELO|STARTTLS|AUTH|MAIL FROM)/;

interface SmtpFailure {
  readonly code?: unknown;
  readonly command?: unknown;
  readonly response?: unknown;
  readonly errno?: unknown;
  readonly syscall?: unknown;
}

/** Status codes alone, e.g. "550 5.1.1": a server's words may repeat the address. */
export function statusOf(response: string): string {
  return /^(\d{3})(?:[ -](\d\.\d{1,3}\.\d{1,3}))?/.exec(response)?.slice(1).filter(Boolean).join(" ") ?? "";
}

/** Whether an enhanced status (RFC 3463) of a 5xx answer speaks of the message or the system, not of the address. */
export function speaksOfPolicy(status: string): boolean {
  return /\b5\.[34567]\.\d/.test(status);
}

/** Whether an enhanced status speaks of the address or its mailbox. */
const speaksOfAddress = (status: string) => /\b5\.[12]\.\d/.test(status);

export function failureOf(error: unknown): { readonly failure: Failure; readonly status: string } {
  if (!(error instanceof MailError)) return { failure: "server", status: "" };
  const cause: SmtpFailure = typeof error.cause === "object" && error.cause !== null ? error.cause : {};
  const command = typeof cause.command === "string" ? cause.command : "";
  const status =
    statusOf(typeof cause.response === "string" ? cause.response : "") || String(error.code ?? "");
  if (error.code === null) {
    const names = [cause.code, cause.errno, (cause as { cause?: SmtpFailure }).cause?.code].map(String);
    const connecting = cause.syscall === "connect" || names.some((name) => UNREACHED.test(name));
    return { failure: connecting ? "server" : "unknown", status };
  }
  if (BEFORE_RECIPIENT.test(command) || cause.code === "EAUTH") return { failure: "server", status };
  // 421 closes the connection at any moment: the server is busy.
  if (error.code < 500) return { failure: "later", status };
  if (speaksOfAddress(status)) return { failure: "hard", status };
  // After the message it is about the message; and a server that does not relay for us says nothing of the mailbox.
  const ofMessage = command === "DATA" || /\brelay/i.test(String(cause.response ?? ""));
  return { failure: ofMessage || speaksOfPolicy(status) ? "refused" : "hard", status };
}
