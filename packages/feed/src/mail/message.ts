import { MailError, type MailMessage } from "../people/mail-port.ts";

const MAX_SUBJECT = 500;
const MAX_HEADER = 2000;

/** RFC 5322, 2.1.1: a line has at most 998 characters. */
const MAX_LINE = 998;

const oneLine = (text: string) => !/[\r\n\0]/.test(text);

/**
 * A message in nodemailer's terms.
 *
 * @throws MailError for a recipient that is not exactly one address, and for line breaks in anything that becomes a header
 */
export function checkedMessage(message: MailMessage, from: string) {
  const { to, subject, text, html, headers = {}, messageId } = message;
  const refuse = (what: string): never => {
    throw new MailError(`The message was not sent: ${what}.`, 553);
  };
  if (!/^[^\s@<>",;:\p{Cc}]{1,64}@[^\s@<>",;:\p{Cc}]{1,253}$/u.test(to)) {
    refuse("expected one plain address as recipient");
  }
  if (!oneLine(subject) || subject.length > MAX_SUBJECT)
    refuse(`expected a subject of one line and at most ${MAX_SUBJECT} characters`);
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[A-Za-z][A-Za-z0-9-]{0,76}$/.test(name)) refuse("expected header names of letters and hyphens");
    if (!oneLine(value) || value.length > MAX_HEADER) refuse(`header ${name}: expected one line`);
    if (/^List-/i.test(name) && !(/^[ -~]*$/.test(value) && name.length + 2 + value.length <= MAX_LINE))
      refuse(`header ${name}: expected ASCII, at most ${MAX_LINE} characters`);
  }
  if (messageId !== undefined && !/^<[^\s<>@]{1,200}@[^\s<>@]{1,253}>$/.test(messageId))
    refuse("expected a message id such as <name@host>");
  return {
    from,
    // An object: an address list in text form could name several recipients.
    to: { name: "", address: to },
    subject,
    text,
    ...(html !== undefined && { html }),
    headers: Object.fromEntries(
      // Receivers act on these by themselves, and some signers fail on folded ones: they stay in one line.
      Object.entries(headers).map(([name, value]) => [
        name,
        /^List-/i.test(name) ? { prepared: true, value } : value,
      ]),
    ),
    ...(messageId !== undefined && { messageId }),
  };
}
