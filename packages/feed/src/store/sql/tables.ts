import type { Generated } from "kysely";

/** A moment as milliseconds, a truth value as 0 or 1, JSON as text: the same in every database. */
type Flag = 0 | 1;

export interface PaperTable {
  num: Generated<number>;
  id: string;
  slug: string | null;
  /** 12 hex digits of the normalised title. */
  title_key: string;
  /** YYYY-MM-DD; "" for undated papers, so that they sort last. */
  day: string;
  has_code: Flag;
  runnable: Flag;
  /** The `PaperRecord` as JSON. */
  record: string;
  text_hash: string;
  revision: number;
  added_at: number;
  upvotes: Generated<number>;
  comments: Generated<number>;
  bookmarks: Generated<number>;
  /** Trending key; NO_TREND without events. */
  trend: Generated<number>;
  /** Decayed sum at `heat_at`. */
  heat: Generated<number>;
  heat_at: Generated<number>;
}

export interface Tables {
  papers: PaperTable;
  aliases: { alias: string; num: number };
  /** kind: "c" categories and archives, "t" topics. */
  paper_terms: { kind: "c" | "t"; value: string; day: string; id: string; num: number };
  authors: { num: Generated<number>; key: string; name: string; papers: Generated<number> };
  paper_authors: { author: number; num: number };
  sequences: { name: string; value: number };

  vector_sets: {
    num: Generated<number>;
    version: string;
    dimensions: number;
    format: "f16" | "f32";
    active: Flag;
    created_at: number;
    activated_at: number | null;
  };
  vectors: {
    position: Generated<number>;
    set_num: number;
    num: number;
    text_hash: string;
    vector: Uint8Array;
  };

  accounts: {
    id: string;
    name: string;
    name_key: string;
    display_name: string;
    email: string | null;
    email_key: string | null;
    email_verified: Flag;
    role: "owner" | "moderator" | "member";
    state: "active" | "suspended";
    created_at: number;
  };
  credentials: {
    account: string;
    kind: "password" | "passkey";
    ref: string;
    secret: string;
    created_at: number;
    used_at: number | null;
  };
  sessions: {
    token_hash: string;
    account: string;
    csrf: string;
    label: string;
    created_at: number;
    seen_at: number;
    expires_at: number;
  };
  login_tokens: {
    token_hash: string;
    purpose: "login" | "verify-email" | "reset-password";
    email: string;
    account: string | null;
    created_at: number;
    expires_at: number;
  };
  api_keys: {
    id: string;
    key_hash: string;
    account: string;
    name: string;
    prefix: string;
    scopes: string;
    created_at: number;
    used_at: number | null;
    revoked_at: number | null;
  };
  rate_limits: { key: string; window_ms: number; uses: number; reset_at: number };

  activity: {
    num: number;
    kind: "upvote" | "bookmark" | "comment" | "run";
    account: string;
    at: number;
    weight: number;
    block: string | null;
  };
  /** Who was last active about what: sizes of communities. */
  topic_people: { topic: string; account: string; at: number };
  collections: {
    id: string;
    account: string;
    name: string;
    public: Flag;
    papers: Generated<number>;
    created_at: number;
  };
  collection_papers: { collection: string; num: number; at: number };

  comments: {
    id: string;
    num: number;
    parent: string | null;
    account: string | null;
    text: string;
    created_at: number;
    edited_at: number | null;
    edits: Generated<number>;
    state: "visible" | "removed" | "hidden";
  };
  comment_versions: { comment: string; version: number; text: string; written_at: number };
  reports: {
    id: string;
    comment: string;
    reporter: string | null;
    reason: string;
    created_at: number;
    state: "open" | "upheld" | "dismissed";
  };
  moderation: {
    id: string;
    at: number;
    moderator: string | null;
    action: string;
    subject: string;
    reason: string;
  };

  readers: {
    id: string;
    email: string;
    email_key: string;
    state: "pending" | "confirmed" | "paused" | "unsubscribed" | "suppressed";
    cadence: "daily" | "weekly";
    topics: string;
    saved_searches: string;
    created_at: number;
    confirmed_at: number | null;
    consent_at: number;
    consent_form: string;
    consent_address: string | null;
    token_confirm: string;
    token_manage: string;
    token_unsubscribe: string;
  };
  bounces: {
    num: Generated<number>;
    reader: string;
    at: number;
    kind: "soft" | "hard" | "complaint";
    code: string;
  };
  saved_searches: {
    id: string;
    account: string | null;
    name: string;
    query: string;
    filter: string;
    created_at: number;
  };

  issues: {
    id: string;
    kind: string;
    period: string;
    built_at: number;
    content: string;
    content_hash: string;
    state: "filling" | "open" | "paused";
    /** Id of the last reader who was given a row while filling. */
    filled_to: Generated<string>;
  };
  outbox: {
    id: string;
    issue: string;
    reader: string;
    state: "queued" | "sending" | "sent" | "failed" | "skipped" | "unknown";
    attempts: Generated<number>;
    message_id: string;
    last_code: string | null;
    run_at: number;
    lease: string | null;
    lease_until: number | null;
    sent_at: number | null;
  };

  jobs: {
    id: string;
    queue: string;
    key: string | null;
    payload: string;
    state: "waiting" | "running" | "done" | "failed";
    run_at: number;
    attempts: Generated<number>;
    max_attempts: number;
    last_error: string | null;
    created_at: number;
    finished_at: number | null;
    lease: string | null;
    lease_until: number | null;
  };

  sources: {
    source: string;
    cursor: string;
    etag: string | null;
    last_modified: string | null;
    succeeded_at: number | null;
    attempted_at: number | null;
    last_error: string | null;
    not_before: number | null;
  };
  rejections: {
    num: Generated<number>;
    source: string;
    ref: string;
    reason: string;
    sample: string;
    at: number;
  };

  settings: { key: string; value: string };
}
