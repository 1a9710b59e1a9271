import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** How long to wait for another process that is writing. */
const PATIENCE_MS = 60_000;
/** Changes when the layout of the files does. */
const LAYOUT = 1;

/** Where features are kept unless told otherwise: $CONCORD_CACHE, else the cache folder of the user. */
export function defaultCacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.CONCORD_CACHE) return env.CONCORD_CACHE;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, "concord");
  if (process.platform === "win32" && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, "concord", "cache");
  return join(homedir(), ".cache", "concord");
}

/** SHA-256 of what an item is: its kind and its bytes or text. */
export function itemDigest(kind: string, content: string | Uint8Array): Uint8Array {
  return createHash("sha256").update(`${kind}\0`).update(content).digest();
}

/** The vectors of one encoder by the digests of the items. */
export interface FeatureCache {
  /** The vector of an item, or null. */
  get(digest: Uint8Array): Float32Array | null;
  /** Keeps vectors, all of them or (after a kill) none. */
  put(entries: readonly (readonly [digest: Uint8Array, vector: Float32Array])[]): void;
  close(): void;
}

/**
 * Vectors on disk, in one SQLite file an encoder: found by what the encoder and the item are, never by their names. Any
 * number of processes may share it, and a process that is killed leaves it whole.
 *
 * @param encoder  hexadecimal digest of the encoder with its preprocessing
 * @param width    length of its vectors; entries of another length count as absent
 */
export async function openFeatureCache(
  folder: string,
  encoder: string,
  width: number,
): Promise<FeatureCache> {
  if (!/^[0-9a-f]{16,128}$/.test(encoder)) throw new RangeError(`openFeatureCache: no digest: ${encoder}`);
  const place = join(folder, "features");
  await mkdir(place, { recursive: true });
  const database = new DatabaseSync(join(place, `${encoder}.v${LAYOUT}.sqlite`), { timeout: PATIENCE_MS });
  database.exec("PRAGMA synchronous = NORMAL");
  database.exec(
    "CREATE TABLE IF NOT EXISTS features (item BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID",
  );
  const select = database.prepare("SELECT vector FROM features WHERE item = ?");
  const insert = database.prepare("INSERT OR IGNORE INTO features (item, vector) VALUES (?, ?)");
  return {
    get(digest) {
      const blob = select.get(digest)?.vector;
      if (!(blob instanceof Uint8Array) || blob.byteLength !== 4 * width) return null;
      const vector = new Float32Array(width);
      new Uint8Array(vector.buffer).set(blob);
      return vector;
    },
    put(entries) {
      database.exec("BEGIN IMMEDIATE");
      try {
        for (const [digest, vector] of entries)
          insert.run(digest, new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => database.close(),
  };
}
