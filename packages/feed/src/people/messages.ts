import type { MailMessage } from "./mail-port.ts";

const WIDTH = 72;

/**
 * Lines of at most 72 characters where words allow. Longer ones would be encoded, and a link in a message that is kept as
 * a file could not be copied from it any more.
 */
function wrapped(text: string): string {
  const wrap = (line: string) => {
    const lines: string[] = [""];
    for (const word of line.split(" ")) {
      const last = lines.at(-1) ?? "";
      if (last === "" || last.length + 1 + word.length <= WIDTH)
        lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
      else lines.push(word);
    }
    return lines.join("\n");
  };
  return text
    .split("\n")
    .map((line) => (line === "-- " ? line : wrap(line)))
    .join("\n");
}

const signature = (site: string) => `\n-- \nDaily Papers, ${site}\n`;

/**
 * Messages about accounts. They hold no text that somebody typed: who asks for a message to a stranger's address must
 * not be able to write it.
 */
export const messages = {
  signIn: (to: string, link: string, site: string): MailMessage => ({
    to,
    subject: "Your link to sign in",
    text: wrapped(
      `Hello,\n\nthis link signs you in to Daily Papers. It works once, within 15 minutes:\n\n${link}\n\nYou did not ask for it? Then somebody typed your address by mistake, and you need do nothing.\n${signature(site)}`,
    ),
  }),
  signUp: (to: string, link: string, site: string): MailMessage => ({
    to,
    subject: "Finish your sign-up",
    text: wrapped(
      `Hello,\n\nsomebody, we hope you, wants an account at Daily Papers with this address. This link finishes the sign-up. It works once, within 24 hours:\n\n${link}\n\nYou did not ask for it? Then do nothing: no account is made, and we keep nothing.\n${signature(site)}`,
    ),
  }),
  reset: (to: string, link: string, site: string): MailMessage => ({
    to,
    subject: "Choose a new password",
    text: wrapped(
      `Hello,\n\nwith this link you choose a new password for Daily Papers. It works once, within 15 minutes:\n\n${link}\n\nYou did not ask for it? Then do nothing: your password stays as it is.\n${signature(site)}`,
    ),
  }),
  verify: (to: string, link: string, site: string): MailMessage => ({
    to,
    subject: "Is this your address?",
    text: wrapped(
      `Hello,\n\nan account at Daily Papers names this address as its own. If it is yours, confirm it, within 24 hours:\n\n${link}\n\nIf it is not, do nothing.\n${signature(site)}`,
    ),
  }),
  emailChanged: (to: string, site: string): MailMessage => ({
    to,
    subject: "The address of your account was changed",
    text: wrapped(
      `Hello,\n\nyour account at Daily Papers has another address from now on, and no messages come here any more.\n\nThat was not you? Then write to whoever runs ${site}.\n${signature(site)}`,
    ),
  }),
  passwordChanged: (to: string, site: string): MailMessage => ({
    to,
    subject: "Your password was changed",
    text: wrapped(
      `Hello,\n\nthe password of your account at Daily Papers was changed, and all other devices were signed out.\n\nThat was not you? Then choose a new one at ${site}/forgot.\n${signature(site)}`,
    ),
  }),
} as const;
