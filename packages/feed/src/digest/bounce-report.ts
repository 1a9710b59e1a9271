import PostalMime, { type Email } from "postal-mime";
import { secretHash } from "../people/tokens.ts";
import type { Bounce, Reader, Store } from "../store/ports.ts";
import { speaksOfPolicy } from "./answers.ts";
import { READER_TOKEN } from "./links.ts";

/** Reports are small; what is larger is none. */
export const MAX_REPORT = 2 * 1024 * 1024;

/** What a message that came back says. */
export interface BounceReport {
  readonly kind: Bounce["kind"];
  /** e.g. "5.1.1", or "abuse". */
  readonly code: string;
  /** Whom the report names; lower case, "" where it names nobody. */
  readonly recipient: string;
  /** Token of the message that it is about: proof that it answers one of ours. null: the report does not hold it. */
  readonly token: string | null;
}

/** Fields such as `Status: 5.1.1`, in groups that blank lines divide (RFC 3464, 2.1). Folded lines are joined. */
function fieldGroups(text: string): Map<string, string>[] {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/\n[ \t]+/g, " ")
    .split(/\n{2,}/)
    .map((group) => {
      const fields = new Map<string, string>();
      for (const line of group.split("\n")) {
        const match = /^([A-Za-z][A-Za-z0-9-]{0,60}):[ \t]*(.*)$/.exec(line);
        if (match?.[1]) fields.set(match[1].toLowerCase(), (match[2] ?? "").trim());
      }
      return fields;
    })
    .filter((fields) => fields.size > 0);
}

/** `rfc822; ada@example.org` → `ada@example.org` */
const addressOf = (field: string | undefined) =>
  (field ?? "")
    .replace(/^[^;]*;/, "")
    .replace(/[<>\s]/g, "")
    .toLowerCase();

/** The parts of a report as texts, by type. */
function partsOf(email: Email): { readonly type: string; readonly text: string }[] {
  const decoder = new TextDecoder();
  return email.attachments.map(({ mimeType, content }) => ({
    type: mimeType.toLowerCase(),
    text: typeof content === "string" ? content : decoder.decode(content),
  }));
}

/**
 * Reads a delivery status notification (RFC 3464) or a complaint (RFC 5965).
 *
 * @returns null for any other message, and for notices of delay or success
 * @throws Error for more than 2 MiB
 */
export async function readBounce(message: Uint8Array): Promise<BounceReport | null> {
  if (message.byteLength > MAX_REPORT)
    throw new Error(`expected at most ${MAX_REPORT} bytes, found ${message.byteLength}`);
  const email = await PostalMime.parse(message, {
    forceRfc822Attachments: true,
    maxNestingDepth: 20,
  });
  const parts = partsOf(email);
  const returned = parts
    .filter(
      ({ type }) => type === "message/rfc822" || type === "text/rfc822-headers" || type === "message/global",
    )
    .map(({ text }) => fieldGroups(text)[0])[0];
  const listed = /\/u\/([\w-]+)>/.exec(returned?.get("list-unsubscribe") ?? "")?.[1];
  const token = listed !== undefined && READER_TOKEN.test(listed) ? listed : null;

  const feedback = parts.find(({ type }) => type === "message/feedback-report");
  if (feedback) {
    const fields = fieldGroups(feedback.text)[0];
    const type = fields?.get("feedback-type")?.toLowerCase() ?? "";
    if (type === "not-spam") return null;
    const recipient = addressOf(fields?.get("original-rcpt-to") ?? returned?.get("to"));
    return { kind: "complaint", code: type.slice(0, 40) || "abuse", recipient, token };
  }
  const status = parts.find(
    ({ type }) => type === "message/delivery-status" || type === "message/global-delivery-status",
  );
  if (!status) return null;
  // The first group is about the message, each further one about a recipient; our messages have one.
  const fields = fieldGroups(status.text).find(
    (group) => group.has("final-recipient") || group.has("action"),
  );
  if (fields?.get("action")?.toLowerCase() !== "failed") return null;
  const code = /\b[245]\.\d{1,3}\.\d{1,3}\b/.exec(fields.get("status") ?? "")?.[0] ?? "";
  // A full mailbox (5.2.2) is emptied one day; policy and trouble of systems say nothing about the address.
  const hard = code.startsWith("5.") && code !== "5.2.2" && !speaksOfPolicy(code);
  const recipient = addressOf(fields.get("original-recipient") ?? fields.get("final-recipient"));
  return { kind: hard ? "hard" : "soft", code: code || "failed", recipient, token };
}

export type BounceOutcome =
  | { readonly outcome: "noted"; readonly kind: Bounce["kind"]; readonly state: Reader["state"] }
  | { readonly outcome: "no-report" | "unknown-reader" | "unproven" };

/**
 * Notes what came back. A hard bounce or a complaint suppresses the reader at once, the third soft one within 14 days
 * pauses. A report must hold the token of the message that it is about: else anybody could write one about anybody.
 *
 * @param options.trust  take reports without token by the address that they name: for mailboxes that hold them unchanged
 */
export async function noteBounce(
  store: Store,
  message: Uint8Array,
  options: { readonly trust?: boolean } = {},
): Promise<BounceOutcome> {
  const report = await readBounce(message);
  if (report === null) return { outcome: "no-report" };
  const { kind, code, recipient, token } = report;
  if (token === null && !options.trust) return { outcome: "unproven" };
  const reader =
    token !== null
      ? await store.subscriptions.byToken("unsubscribe", secretHash(token))
      : await store.subscriptions.byEmail(recipient);
  if (!reader) return { outcome: "unknown-reader" };
  const after = await store.subscriptions.bounced(reader.id, { kind, code });
  return { outcome: "noted", kind, state: after?.state ?? reader.state };
}
