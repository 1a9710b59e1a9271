export { failureOf } from "./answers.ts";
export {
  type BounceOutcome,
  type BounceReport,
  MAX_REPORT,
  noteBounce,
  readBounce,
} from "./bounce-report.ts";
export { buildContent, choose, type IssueContent, type IssuePaper, readContent } from "./issue.ts";
export { READER_TOKEN, ReaderLinks } from "./links.ts";
export { confirmationMessage, DIGEST_PAPERS, digestMessage, knownMessage, listHeaders } from "./messages.ts";
export { DomainPace } from "./pace.ts";
export { DigestPublisher, type Published, type PublisherOptions, previewIssue } from "./publisher.ts";
export { firstSentences, readableFormula, readableText } from "./readable.ts";
export { DigestSender, RETRY_MS, type SenderOptions, type SenderTally } from "./sender.ts";
export { type DigestTimes, dayPlus, latestSlot, type Slot, slotOf, windowOf } from "./slots.ts";
export { plainAddress, Subscribers, type SubscriptionWish, type WantedSearch } from "./subscribers.ts";
export { issueTitle } from "./wording.ts";
