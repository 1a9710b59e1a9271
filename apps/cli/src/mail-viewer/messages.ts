import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import PostalMime, { type Email } from "postal-mime";

/** Files that the site writes: a time, then random digits. Nothing else of the folder is shown. */
const NAME = /^[\w-]{1,100}\.eml$/;
const MAX_MESSAGE = 4 * 1024 * 1024;
const MOST_LISTED = 200;

export interface KeptMessage {
  /** Name of the file without its ending. */
  readonly id: string;
  readonly raw: Buffer;
  readonly email: Email;
}

/** Identifiers of the messages of a folder, newest first; none where there is no folder. */
export async function listMessages(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .reverse()
    .slice(0, MOST_LISTED)
    .map((name) => name.slice(0, -".eml".length));
}

/** A message of the folder; null when there is none of that name, or it is larger than 4 MiB. */
export async function readMessage(folder: string, id: string): Promise<KeptMessage | null> {
  const name = `${id}.eml`;
  if (!NAME.test(name)) return null;
  const path = join(folder, name);
  try {
    if ((await stat(path)).size > MAX_MESSAGE) return null;
    const raw = await readFile(path);
    return { id, raw, email: await PostalMime.parse(raw) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
