import { createHash } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";

/** How long to wait for another process that is writing. */
const PATIENCE_MS = 60_000;
/** Changes when the layout of the files does. */
const LAYOUT = 2;

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
  /** Keeps vectors, all of them or (after a kill) none; of items that it has, it keeps those it has. */
  put(entries: readonly (readonly [digest: Uint8Array, vector: Float32Array])[]): void;
  close(): void;
}

/** What tells that a file is no SQLite file, or a damaged one. */
const DAMAGED = new Set([11 /* SQLITE_CORRUPT */, 26 /* SQLITE_NOTADB */]);

function codeOf(error: unknown): number {
  // Extended codes carry the plain one in their low byte.
  return ((error as { readonly errcode?: number }).errcode ?? 0) & 0xff;
}

/** A vector's bytes and behind them their CRC-32: a bit that flipped on disk must not become a feature. */
function sealed(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const blob = new Uint8Array(bytes.length + 4);
  blob.set(bytes);
  new DataView(blob.buffer).setUint32(bytes.length, crc32(bytes));
  return blob;
}

/** Null when it is not whole or of another width. */
function unsealed(blob: unknown, width: number): Float32Array | null {
  if (!(blob instanceof Uint8Array) || blob.byteLength !== 4 * width + 4) return null;
  const bytes = blob.subarray(0, 4 * width);
  const stored = new DataView(blob.buffer, blob.byteOffset + bytes.length).getUint32(0);
  if (stored !== crc32(bytes)) return null;
  const vector = new Float32Array(width);
  new Uint8Array(vector.buffer).set(bytes);
  return vector;
}

function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: PATIENCE_MS });
  try {
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec(
      "CREATE TABLE IF NOT EXISTS features (item BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID",
    );
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens the file, in place of a damaged one an empty one. */
async function openOrRenew(file: string): Promise<DatabaseSync> {
  try {
    return openDatabase(file);
  } catch (error) {
    if (!DAMAGED.has(codeOf(error))) throw error;
    // Moved, not deleted: another process may have it open, and nobody else's file is thrown away.
    await rename(file, `${file}.damaged`);
    await rm(`${file}-journal`, { force: true });
    return openDatabase(file);
  }
}

/**
 * Vectors on disk, in one SQLite file an encoder: found by what the encoder and the item are, never by their names. Any
 * number of processes may share it, and a process that is killed leaves it whole. It saves time and is never needed: a
 * damaged file is moved aside, damaged entries count as absent, and where nothing can be kept, nothing is.
 *
 * @param encoder  hexadecimal digest of the encoder with its preprocessing
 * @param width    length of its vectors; entries of another length count as absent
 * @param onProblem  told once, in a sentence, when vectors cannot be kept
 */
export async function openFeatureCache(
  folder: string,
  encoder: string,
  width: number,
  onProblem?: (sentence: string) => void,
): Promise<FeatureCache> {
  if (!/^[0-9a-f]{16,128}$/.test(encoder)) throw new RangeError(`openFeatureCache: no digest: ${encoder}`);
  const place = join(folder, "features");
  let told = false;
  const tell = (error: unknown): void => {
    if (!told) onProblem?.(`Features are not kept in ${place}: ${(error as Error).message}`);
    told = true;
  };
  let opened: DatabaseSync;
  try {
    await mkdir(place, { recursive: true });
    opened = await openOrRenew(join(place, `${encoder}.v${LAYOUT}.sqlite`));
  } catch (error) {
    tell(error);
    return { get: () => null, put: () => {}, close: () => {} };
  }
  let database: DatabaseSync | null = opened;
  const select = opened.prepare("SELECT vector FROM features WHERE item = ?");
  const insert = opened.prepare("INSERT OR REPLACE INTO features (item, vector) VALUES (?, ?)");
  /** Null when the file fails, which ends its use. */
  const attempt = <T>(work: (from: DatabaseSync) => T): T | null => {
    if (!database) return null;
    try {
      return work(database);
    } catch (error) {
      tell(error);
      database.close();
      database = null;
      return null;
    }
  };
  return {
    get: (digest) => attempt(() => unsealed(select.get(digest)?.vector, width)),
    put(entries) {
      attempt((from) => {
        from.exec("BEGIN IMMEDIATE");
        try {
          // What is there and whole stays: a run that goes on must find the bits that it began with.
          for (const [digest, vector] of entries)
            if (!unsealed(select.get(digest)?.vector, width)) insert.run(digest, sealed(vector));
          from.exec("COMMIT");
        } catch (error) {
          if (from.isTransaction) from.exec("ROLLBACK");
          throw error;
        }
      });
    },
    close() {
      database?.close();
      database = null;
    },
  };
}
