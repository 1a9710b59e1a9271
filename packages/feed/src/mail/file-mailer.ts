import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import type { Mailer, MailMessage, MailReceipt } from "../people/mail-port.ts";
import { checkedMessage } from "./message.ts";

export interface FileMailerOptions {
  /** Made when the first message comes; readable by its owner alone, for messages hold links that sign people in. */
  readonly folder: string;
  readonly from: string;
  /** Older files go when there are more than this; default 500. */
  readonly most?: number;
  readonly clock?: () => number;
}

/** Keeps messages as `.eml` files, which mail programs open: for servers that send no mail. */
export function fileMailer(options: FileMailerOptions): Mailer {
  const { folder, from, most = 500, clock = Date.now } = options;
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    newline: "windows",
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    delivers: false,
    async send(message: MailMessage): Promise<MailReceipt> {
      const { message: bytes, messageId } = await transport.sendMail(checkedMessage(message, from));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const stamp = new Date(clock()).toISOString().replaceAll(/[-:]/g, "").replace(".", "-");
      const name = `${stamp}-${randomBytes(3).toString("hex")}.eml`;
      const temporary = join(folder, `.${name}.part`);
      await writeFile(temporary, bytes as Buffer, { mode: 0o600 });
      await rename(temporary, join(folder, name));
      const kept = (await readdir(folder)).filter((file) => file.endsWith(".eml")).sort();
      for (const old of kept.slice(0, Math.max(0, kept.length - most))) await rm(join(folder, old));
      return { messageId, response: name };
    },
    async close() {},
  };
}
