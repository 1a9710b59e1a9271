export { Accounts, type AccountsOptions, checkedDisplayName, checkedEmail, checkedName } from "./accounts.ts";
export { Discussion, isNewcomer, MAX_COMMENT, moderates } from "./discussion.ts";
export { PeopleError } from "./errors.ts";
export { limitRules, takeOrRefuse, type Whence } from "./limits.ts";
export { MailError, type Mailer, type MailMessage, type MailReceipt } from "./mail-port.ts";
export {
  DEFAULT_COST,
  PASSWORD_LENGTH,
  Passwords,
  PasswordsBusyError,
  passwordFault,
  type ScryptCost,
} from "./password.ts";
export { PostOffice } from "./post-office.ts";
export { recoveryLink } from "./recovery.ts";
export { deviceLabel, type OpenedSession, SESSION_MS, Sessions } from "./sessions.ts";
export {
  checkedArxivId,
  fetchSubmission,
  SUBMISSION_QUEUE,
  type Submission,
  submissionsOf,
  submitPaper,
} from "./submissions.ts";
export { keyedMark, newSecret, sameText, secretHash } from "./tokens.ts";
