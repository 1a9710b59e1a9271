import { type ArxivId, parseArxivId } from "../intake/formats/arxiv-text.ts";
import { type IngestReport, ingest } from "../intake/ingest.ts";
import type { SafeFetch } from "../net/index.ts";
import type { Clock, Job, Store } from "../store/ports.ts";
import { PeopleError } from "./errors.ts";
import { limitRules, takeOrRefuse } from "./limits.ts";

export const SUBMISSION_QUEUE = "submit-paper";
const LEASE_MS = 5 * 60_000;
const RETRY_MS = [60_000, 10 * 60_000, 3_600_000, 6 * 3_600_000];

/** What has become of a paper that somebody asked for. */
export interface Submission {
  readonly id: string;
  /** `here`: the store has it; `failed`: for good, see `reason`. */
  readonly state: "here" | "waiting" | "running" | "failed";
  readonly reason: string | null;
  readonly attempts: number;
}

/** @throws PeopleError `fault` for text that names no arXiv paper */
export function checkedArxivId(text: string): string {
  const parsed: ArxivId | null = parseArxivId(
    text
      .slice(0, 300)
      .replace(/[?#].*$/s, "")
      .replace(/\/+$/, ""),
  );
  if (parsed === null)
    throw new PeopleError(
      "fault",
      "Expected an arXiv id such as 2504.12717, alone or in an address such as https://arxiv.org/abs/2504.12717.",
      { field: "id" },
    );
  return parsed.id;
}

/**
 * Asks for a paper by its arXiv id. What the store lacks becomes a job, which survives restarts; the same paper asked for
 * twice is one job.
 *
 * @returns the bare id
 * @throws PeopleError `fault`, `limited`
 */
export async function submitPaper(
  store: Store,
  asked: { readonly text: string; readonly accountId: string },
  clock: Clock,
): Promise<{ readonly id: string; readonly here: boolean }> {
  const id = checkedArxivId(asked.text);
  if ((await store.papers.get(id)) !== null) return { id, here: true };
  await takeOrRefuse(store.limits, limitRules.submit(asked.accountId), clock());
  await store.jobs.add({
    queue: SUBMISSION_QUEUE,
    key: id,
    payload: { id, accountId: asked.accountId },
    maxAttempts: RETRY_MS.length + 1,
  });
  return { id, here: false };
}

const idOf = ({ payload }: Job): string | null =>
  typeof payload === "object" && payload !== null && "id" in payload && typeof payload.id === "string"
    ? payload.id
    : null;

const ofAccount = ({ payload }: Job, accountId: string): boolean =>
  typeof payload === "object" &&
  payload !== null &&
  "accountId" in payload &&
  payload.accountId === accountId;

/** What an account asked for lately, newest first: among the last 200 submissions of the site. */
export async function submissionsOf(store: Store, accountId: string): Promise<Submission[]> {
  const { items } = await store.jobs.list({ queue: SUBMISSION_QUEUE, limit: 200 });
  const own = items.filter((job) => ofAccount(job, accountId)).slice(0, 20);
  const ids = own.map(idOf).filter((id) => id !== null);
  const here = new Set((await store.papers.getMany(ids)).map(({ id }) => id));
  const seen = new Set<string>();
  return own.flatMap((job): Submission[] => {
    const id = idOf(job);
    if (id === null || seen.has(id)) return [];
    seen.add(id);
    const { attempts, lastError: reason } = job;
    if (here.has(id)) return [{ id, state: "here", reason: null, attempts }];
    const state = job.state === "done" ? "failed" : job.state;
    return [{ id, state, reason, attempts }];
  });
}

/**
 * Fetches the next paper that somebody asked for.
 *
 * @returns false when none is due
 */
export async function fetchSubmission(
  store: Store,
  options: { readonly fetch: SafeFetch; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const { fetch, clock, signal } = options;
  const job = await store.jobs.lease([SUBMISSION_QUEUE], LEASE_MS);
  if (job === null) return false;
  const id = idOf(job);
  if (id === null) {
    await store.jobs.failed(job, "The job names no paper.", null);
    return true;
  }
  let report: IngestReport;
  try {
    report = await ingest({ kind: "arxiv-ids", ids: [id] }, store, { fetch, signal, now: clock });
  } catch (error) {
    await store.jobs.failed(job, "The paper could not be taken in.", null);
    throw error;
  }
  const later = clock() + (RETRY_MS[Math.min(job.attempts, RETRY_MS.length) - 1] ?? RETRY_MS[0]!);
  const [rejection] = report.rejections;
  if (report.status === "stopped") await store.jobs.failed(job, "The server was stopped.", clock());
  else if (report.status === "waiting" || report.status === "failed")
    await store.jobs.failed(
      job,
      report.error ?? "arXiv asked to wait.",
      Math.max(report.notBefore ?? 0, later),
    );
  else if (rejection !== undefined) await store.jobs.failed(job, rejection.reason, null);
  else await store.jobs.done(job);
  return true;
}
