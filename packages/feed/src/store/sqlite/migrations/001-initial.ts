/** The first schema. Times are milliseconds, truth values 0 or 1, days YYYY-MM-DD; JSON is kept as text. */
export const initialSchema = /* sql */ `
create table papers (
  num integer primary key,
  id text not null unique,
  slug text unique,
  title_key text not null,
  day text not null,
  has_code integer not null,
  runnable integer not null,
  record text not null,
  text_hash text not null,
  revision integer not null unique,
  added_at integer not null,
  upvotes integer not null default 0,
  comments integer not null default 0,
  bookmarks integer not null default 0,
  trend real not null default -1e9,
  heat real not null default 0,
  heat_at integer not null default 0
) strict;
create index papers_newest on papers (day, id);
create index papers_trending on papers (trend, id) where trend > -1e9;
create index papers_top on papers (upvotes, trend, id);
create index papers_title on papers (title_key);
create index papers_code on papers (day, id) where has_code = 1;
create index papers_runnable on papers (day, id) where runnable = 1;

create table aliases (alias text primary key, num integer not null references papers on delete cascade) strict, without rowid;
create index aliases_num on aliases (num);

create table paper_terms (
  kind text not null,
  value text not null,
  day text not null,
  id text not null,
  num integer not null,
  primary key (kind, value, day, id)
) strict, without rowid;

create table authors (
  num integer primary key,
  key text not null unique,
  name text not null,
  papers integer not null default 0
) strict;
create table paper_authors (author integer not null, num integer not null, primary key (author, num)) strict, without rowid;

create virtual table paper_text using fts5(
  title, authors, abstract,
  content='', contentless_delete=1, tokenize="unicode61 remove_diacritics 2", prefix='3'
);
create virtual table paper_words using fts5vocab('paper_text', 'row');
create virtual table author_text using fts5(
  name, content='', contentless_delete=1, tokenize="trigram case_sensitive 0", detail='none'
);
create virtual table author_trigrams using fts5vocab('author_text', 'row');

create table sequences (name text primary key, value integer not null) strict, without rowid;
insert into sequences values ('revision', 0), ('flush', 0), ('health', 0);

create table vector_sets (
  num integer primary key,
  version text not null unique,
  dimensions integer not null,
  format text not null,
  active integer not null default 0,
  created_at integer not null,
  activated_at integer
) strict;
create unique index vector_sets_active on vector_sets (active) where active = 1;
create table vectors (
  position integer primary key autoincrement,
  set_num integer not null references vector_sets,
  num integer not null references papers on delete cascade,
  text_hash text not null,
  vector blob not null,
  unique (num, set_num)
) strict;
create index vectors_set on vectors (set_num);

create table accounts (
  id text primary key,
  name text not null,
  name_key text not null unique,
  display_name text not null,
  email text,
  email_key text unique,
  email_verified integer not null,
  role text not null,
  state text not null,
  created_at integer not null
) strict, without rowid;
create index accounts_age on accounts (created_at, id);
create table credentials (
  account text not null references accounts on delete cascade,
  kind text not null,
  ref text not null,
  secret text not null,
  created_at integer not null,
  used_at integer,
  primary key (account, kind, ref)
) strict, without rowid;
create table sessions (
  token_hash text primary key,
  account text not null references accounts on delete cascade,
  csrf text not null,
  label text not null,
  created_at integer not null,
  seen_at integer not null,
  expires_at integer not null
) strict, without rowid;
create index sessions_account on sessions (account);
create index sessions_expiry on sessions (expires_at);
create table login_tokens (
  token_hash text primary key,
  purpose text not null,
  email text not null,
  account text references accounts on delete cascade,
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;
create index login_tokens_expiry on login_tokens (expires_at);
create index login_tokens_account on login_tokens (account);
create table api_keys (
  id text primary key,
  key_hash text not null unique,
  account text not null references accounts on delete cascade,
  name text not null,
  prefix text not null,
  scopes text not null,
  created_at integer not null,
  used_at integer,
  revoked_at integer
) strict, without rowid;
create index api_keys_account on api_keys (account);
create table rate_limits (
  key text not null,
  window_ms integer not null,
  uses integer not null,
  reset_at integer not null,
  primary key (key, window_ms)
) strict, without rowid;
create index rate_limits_reset on rate_limits (reset_at);

create table activity (
  num integer not null references papers on delete cascade,
  kind text not null,
  account text not null references accounts on delete cascade,
  at integer not null,
  weight real not null,
  block text,
  primary key (num, kind, account)
) strict, without rowid;
create index activity_account on activity (account, kind, at, num);
create index activity_recent on activity (num, at);
create index activity_block on activity (at) where block is not null;
create table topic_people (
  topic text not null,
  account text not null references accounts on delete cascade,
  at integer not null,
  primary key (topic, account)
) strict, without rowid;
create index topic_people_at on topic_people (topic, at);
create index topic_people_account on topic_people (account);
create table collections (
  id text primary key,
  account text not null references accounts on delete cascade,
  name text not null,
  public integer not null,
  papers integer not null default 0,
  created_at integer not null,
  unique (account, name)
) strict, without rowid;
create table collection_papers (
  collection text not null references collections on delete cascade,
  num integer not null references papers on delete cascade,
  at integer not null,
  primary key (collection, num)
) strict, without rowid;
create index collection_papers_at on collection_papers (collection, at, num);
create index collection_papers_num on collection_papers (num);

create table comments (
  id text primary key,
  num integer not null references papers on delete cascade,
  parent text references comments on delete cascade,
  account text references accounts on delete set null,
  text text not null,
  created_at integer not null,
  edited_at integer,
  edits integer not null default 0,
  state text not null
) strict, without rowid;
create index comments_paper on comments (num, created_at, id);
create index comments_account on comments (account, created_at, id);
create index comments_latest on comments (created_at, id);
create index comments_parent on comments (parent);
create table comment_versions (
  comment text not null references comments on delete cascade,
  version integer not null,
  text text not null,
  written_at integer not null,
  primary key (comment, version)
) strict, without rowid;
create table reports (
  id text primary key,
  comment text not null references comments on delete cascade,
  reporter text references accounts on delete set null,
  reason text not null,
  created_at integer not null,
  state text not null
) strict, without rowid;
create unique index reports_open on reports (comment, reporter) where state = 'open';
create index reports_age on reports (created_at, id);
create index reports_reporter on reports (reporter);
create table moderation (
  id text primary key,
  at integer not null,
  moderator text references accounts on delete set null,
  action text not null,
  subject text not null,
  reason text not null
) strict, without rowid;
create index moderation_at on moderation (at, id);
create index moderation_moderator on moderation (moderator);

create table readers (
  id text primary key,
  email text not null,
  email_key text not null unique,
  state text not null,
  cadence text not null,
  topics text not null,
  saved_searches text not null,
  created_at integer not null,
  confirmed_at integer,
  consent_at integer not null,
  consent_form text not null,
  consent_address text,
  token_confirm text not null unique,
  token_manage text not null unique,
  token_unsubscribe text not null unique
) strict, without rowid;
create index readers_state on readers (state, cadence, id);
create table bounces (
  num integer primary key,
  reader text not null references readers on delete cascade,
  at integer not null,
  kind text not null,
  code text not null
) strict;
create index bounces_reader on bounces (reader, at);
create table saved_searches (
  id text primary key,
  account text references accounts on delete cascade,
  name text not null,
  query text not null,
  filter text not null,
  created_at integer not null
) strict, without rowid;
create index saved_searches_account on saved_searches (account, created_at, id);

create table issues (
  id text primary key,
  kind text not null,
  period text not null,
  built_at integer not null,
  content text not null,
  content_hash text not null,
  state text not null,
  filled_to text not null default '',
  unique (kind, period)
) strict;
create index issues_built on issues (built_at, id);
create table outbox (
  id text primary key,
  issue text not null references issues on delete cascade,
  reader text not null references readers on delete cascade,
  state text not null,
  attempts integer not null default 0,
  message_id text not null,
  last_code text,
  run_at integer not null,
  lease text,
  lease_until integer,
  sent_at integer,
  unique (issue, reader)
) strict;
create index outbox_due on outbox (run_at, id) where state = 'queued';
create index outbox_leased on outbox (lease_until) where state = 'sending';
create index outbox_unknown on outbox (attempts) where state = 'unknown';
create index outbox_reader on outbox (reader, run_at, id);

create table jobs (
  id text primary key,
  queue text not null,
  key text,
  payload text not null,
  state text not null,
  run_at integer not null,
  attempts integer not null default 0,
  max_attempts integer not null,
  last_error text,
  created_at integer not null,
  finished_at integer,
  lease text,
  lease_until integer
) strict;
create unique index jobs_key on jobs (queue, key) where key is not null and state in ('waiting', 'running');
create index jobs_due on jobs (queue, run_at, id) where state = 'waiting';
create index jobs_leased on jobs (lease_until) where state = 'running';
create index jobs_age on jobs (created_at, id);
create index jobs_finished on jobs (finished_at) where finished_at is not null;

create table sources (
  source text primary key,
  cursor text not null,
  etag text,
  last_modified text,
  succeeded_at integer,
  attempted_at integer,
  last_error text,
  not_before integer
) strict, without rowid;
create table rejections (
  num integer primary key autoincrement,
  source text not null,
  ref text not null,
  reason text not null,
  sample text not null,
  at integer not null,
  unique (source, ref)
) strict;

create table settings (key text primary key, value text not null) strict, without rowid;
`;
