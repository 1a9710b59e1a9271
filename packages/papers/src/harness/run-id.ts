import { randomBytes } from "node:crypto";

const RUN_ID = /^\d{8}-\d{6}-\d{3}-[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{6}$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const SLUG = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const MAX_ID_LENGTH = 120;
const MAX_NAME_LENGTH = 80;

/** An id that names no run here, either because it is malformed or because there is no such folder. */
export class UnknownRunError extends Error {
  override readonly name = "UnknownRunError";

  constructor(id: string) {
    const shown = id.length > MAX_ID_LENGTH ? `${id.slice(0, MAX_ID_LENGTH)}...` : id;
    super(`Unknown run ${JSON.stringify(shown)}.`);
  }
}

/** A lower-case name with single hyphens, e.g. of a paper or an arm. */
export function isSlug(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && SLUG.test(text);
}

/** An id such as `20260901-101500-123-clip-refine-4f2a1c`: sorts by time (UTC), safe as a folder name. */
export function makeRunId(slug: string, time: Date): string {
  if (!isSlug(slug)) throw new RangeError(`makeRunId: expected a slug, got ${JSON.stringify(slug)}`);
  const digits = time.toISOString().replaceAll(/\D/g, "");
  const stamp = `${digits.slice(0, 8)}-${digits.slice(8, 14)}-${digits.slice(14, 17)}`;
  return `${stamp}-${slug}-${randomBytes(3).toString("hex")}`;
}

export function isRunId(text: string): boolean {
  return text.length <= MAX_ID_LENGTH && RUN_ID.test(text);
}

/**
 * Checks a name that becomes part of a path inside a run folder.
 *
 * @throws RangeError for anything but letters, digits, `.`, `_`, `-`, starting with a letter or digit
 */
export function assertFileName(name: string, what: string): string {
  if (name.length > MAX_NAME_LENGTH || !FILE_NAME.test(name)) {
    throw new RangeError(
      `${what}: expected at most ${MAX_NAME_LENGTH} letters, digits, '.', '_' or '-', starting with a letter or ` +
        `digit, got ${JSON.stringify(name.slice(0, 2 * MAX_NAME_LENGTH))}`,
    );
  }
  return name;
}
