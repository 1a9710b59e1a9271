export { MailError, type Mailer, type MailMessage, type MailReceipt } from "../people/mail-port.ts";
export { type FileMailerOptions, fileMailer } from "./file-mailer.ts";
export { type SmtpOptions, smtpMailer } from "./smtp-mailer.ts";
