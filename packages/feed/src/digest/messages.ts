import type { MailMessage } from "../people/mail-port.ts";
import type { Reader } from "../store/ports.ts";
import { choose, type IssueContent } from "./issue.ts";
import type { ReaderLinks } from "./links.ts";
import { digestHtml } from "./render-html.ts";
import { digestText } from "./render-text.ts";
import { subjectOf } from "./wording.ts";

/** Papers in a digest, unless the settings say otherwise. */
export const DIGEST_PAPERS = 20;

/** Headers by which programs know the list (RFC 2369, 2919) and end it with one click (RFC 8058). */
export function listHeaders(links: ReaderLinks, email: string): Readonly<Record<string, string>> {
  return {
    "List-Id": `Daily papers <daily-papers.${links.host}>`,
    "List-Unsubscribe": `<${links.unsubscribe(email)}>`,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Help": `<${links.url}/subscribe>`,
    Precedence: "bulk",
    "Auto-Submitted": "auto-generated",
  };
}

/**
 * The message of an issue to one reader: the same issue and the same wishes give the same message.
 *
 * @returns null where the issue has nothing for the reader
 */
export function digestMessage(
  content: IssueContent,
  reader: Pick<Reader, "email" | "topics" | "savedSearches">,
  links: ReaderLinks,
  options: { readonly messageId?: string; readonly papers?: number } = {},
): MailMessage | null {
  const choice = choose(content, reader, options.papers ?? DIGEST_PAPERS);
  if (choice === null) return null;
  const to = {
    site: links.url,
    manage: links.manage(reader.email),
    unsubscribe: links.unsubscribe(reader.email),
  };
  return {
    to: reader.email,
    subject: subjectOf(content, choice),
    text: digestText(content, choice, reader, to),
    html: digestHtml(content, choice, reader, to),
    headers: listHeaders(links, reader.email),
    messageId: options.messageId,
  };
}

/** Messages about subscriptions: nothing in them was typed by whoever filled in the form. */
const NOTICE_HEADERS = { "Auto-Submitted": "auto-generated" } as const;

/** Asks whether the digest is wanted. */
export function confirmationMessage(links: ReaderLinks, email: string, nonce: string): MailMessage {
  return {
    to: email,
    subject: "Do you want the Daily Papers digest?",
    text: `Hello,

somebody, we hope you, asked for the digest of Daily Papers at this
address. If you want it, confirm that here, within seven days:

${links.confirmation(email, nonce)}

You did not ask for it? Then do nothing: no digest will come, and this
was the only message.

-- 
Daily Papers, ${links.url}
`,
    headers: NOTICE_HEADERS,
  };
}

/** To somebody who asked for the digest and has it already. */
export function knownMessage(links: ReaderLinks, email: string, paused: boolean): MailMessage {
  return {
    to: email,
    subject: "Your Daily Papers digest",
    text: `Hello,

somebody, we hope you, asked for the digest of Daily Papers at this
address, which ${paused ? "has it already; it is paused" : "gets it already"}. Here you change how often and
about what it comes, pause it, or end it:

${links.manage(email)}

You did not ask? Then do nothing; nothing has changed.

-- 
Daily Papers, ${links.url}
`,
    headers: NOTICE_HEADERS,
  };
}
