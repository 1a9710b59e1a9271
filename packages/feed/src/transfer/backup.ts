import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, copyFile, link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { backup as copyDatabase, DatabaseSync } from "node:sqlite";
import { writeFileAtomic } from "@concord/papers";
import { z } from "zod";
import { StoreError } from "../store/ports.ts";
import { checkSchema, migrate, schemaVersion } from "../store/sqlite/migrations.ts";
import { makePrivateFile, openForReading } from "../store/sqlite/open.ts";

/** Pages of a step of a backup: it tells its progress after each. */
const PAGES_PER_STEP = 1000;
const MAX_MANIFEST_BYTES = 100_000;

/** What a backup holds, beside it as FILE.json. */
const manifest = z.object({
  format: z.literal("concord-backup"),
  formatVersion: z.literal(1),
  /** Name of the file that it describes. */
  file: z.string(),
  bytes: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  schemaVersion: z.int().min(1),
  papers: z.int().min(0),
  accounts: z.int().min(0),
  readers: z.int().min(0),
  createdAt: z.iso.datetime(),
});

export type BackupManifest = z.infer<typeof manifest>;

export interface Backup {
  readonly path: string;
  readonly manifest: BackupManifest;
}

/** Pages done and pages in all. */
export type BackupProgress = (done: number, total: number) => void;

const manifestPath = (path: string) => `${path}.json`;

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function flush(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives a finished file its name, unless there is one of that name: never overwrites, not even in a race. */
async function publish(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      throw new StoreError("conflict", `${path} exists already and is not overwritten.`);
    }
    // File systems without hard links.
    await copyFile(temporary, path, 1 /* COPYFILE_EXCL */);
  }
  await rm(temporary, { force: true });
}

function refuseExisting(path: string): void {
  // A log without its file, too, would be taken for the new file's.
  for (const file of [path, `${path}-wal`, `${path}-journal`]) {
    if (existsSync(file)) throw new StoreError("conflict", `${file} exists already and is not overwritten.`);
  }
}

/** @throws StoreError `corrupt` saying what SQLite found */
function checkIntegrity(database: DatabaseSync, path: string): void {
  const found = database.prepare("pragma integrity_check(5)").all() as { integrity_check: string }[];
  if (found.length !== 1 || found[0]?.integrity_check !== "ok") {
    const text = found.map((row) => row.integrity_check).join("; ");
    throw new StoreError("corrupt", `${path} is damaged: ${text.slice(0, 500)}.`);
  }
  const [broken] = database.prepare("pragma foreign_key_check").all();
  if (broken) throw new StoreError("corrupt", `${path} is damaged: rows of ${broken.table} point nowhere.`);
}

function countRows(database: DatabaseSync): Pick<BackupManifest, "papers" | "accounts" | "readers"> {
  return database
    .prepare(
      "select (select count(*) from papers) as papers, (select count(*) from accounts) as accounts, (select count(*) from readers) as readers",
    )
    .get() as Pick<BackupManifest, "papers" | "accounts" | "readers">;
}

/**
 * Copies a store while it is in use, as it is at one moment, and checks the copy. It is readable for its owner alone.
 *
 * @param source  file of the store
 * @param target  a folder, which gets `concord-TIME.db`, or the file to write; beside it comes FILE.json with checksum
 *   and counts
 * @throws StoreError `conflict` when the target exists, `corrupt` when the copy does not pass SQLite's own check
 */
export async function backupStore(
  source: string,
  target: string,
  options: { readonly onProgress?: BackupProgress; readonly now?: () => Date } = {},
): Promise<Backup> {
  const created = (options.now ?? (() => new Date()))();
  const isFolder = await stat(target).then(
    (entry) => entry.isDirectory(),
    () => target.endsWith("/"),
  );
  const stamp = created
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "")
    .replace("T", "-");
  const path = resolve(isFolder ? join(target, `concord-${stamp}.db`) : target);
  refuseExisting(path);
  if (!existsSync(source)) throw new StoreError("not-found", `There is no store ${resolve(source)}.`);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const database = openForReading(source);
  try {
    makePrivateFile(temporary);
    // One snapshot for all steps: what is written meanwhile neither comes in nor starts the copy anew.
    database.exec("begin; select count(*) from sequences");
    const pages = await copyDatabase(database, temporary, {
      rate: PAGES_PER_STEP,
      progress: ({ totalPages, remainingPages }) =>
        options.onProgress?.(totalPages - remainingPages, totalPages),
    });
    options.onProgress?.(pages, pages);
    const copy = new DatabaseSync(temporary);
    let counts: ReturnType<typeof countRows>;
    let version: number;
    try {
      // The copy is one file that needs no log.
      copy.exec("pragma journal_mode = delete");
      checkIntegrity(copy, temporary);
      counts = countRows(copy);
      version = schemaVersion(copy);
    } finally {
      copy.close();
    }
    await flush(temporary);
    const described: BackupManifest = {
      format: "concord-backup",
      formatVersion: 1,
      file: basename(path),
      bytes: (await stat(temporary)).size,
      sha256: await sha256OfFile(temporary),
      schemaVersion: version,
      ...counts,
      createdAt: created.toISOString(),
    };
    await publish(temporary, path);
    await writeFileAtomic(manifestPath(path), [`${JSON.stringify(described, null, 2)}\n`]);
    return { path, manifest: described };
  } finally {
    database.close();
    await rm(temporary, { force: true });
    await rm(`${temporary}-journal`, { force: true });
  }
}

async function readManifest(path: string): Promise<BackupManifest> {
  const file = manifestPath(path);
  const size = await stat(file).then(
    (entry) => entry.size,
    () => null,
  );
  if (size === null) {
    throw new StoreError(
      "not-found",
      `${file} is missing: it holds the checksum of the backup. Keep both together.`,
    );
  }
  if (size > MAX_MANIFEST_BYTES) throw new StoreError("corrupt", `${file} is no manifest of a backup.`);
  try {
    return manifest.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    throw new StoreError("corrupt", `${file} is no manifest of a backup.`, { cause: error });
  }
}

/**
 * Reads a backup whole and compares it with its manifest.
 *
 * @throws StoreError `not-found` without file or manifest, `corrupt` when they do not fit or SQLite finds damage,
 *   `schema` for one of a newer Concord
 */
export async function verifyBackup(path: string): Promise<BackupManifest> {
  if (!existsSync(path)) throw new StoreError("not-found", `There is no backup ${resolve(path)}.`);
  const described = await readManifest(path);
  const { size } = await stat(path);
  if (size !== described.bytes) {
    throw new StoreError("corrupt", `${path} has ${size} bytes; its manifest says ${described.bytes}.`);
  }
  if ((await sha256OfFile(path)) !== described.sha256) {
    throw new StoreError(
      "corrupt",
      `${path} is not the file that its manifest describes: the checksums differ.`,
    );
  }
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    checkSchema(database, path);
    checkIntegrity(database, path);
    const counts = countRows(database);
    for (const name of ["papers", "accounts", "readers"] as const) {
      if (counts[name] !== described[name]) {
        throw new StoreError(
          "corrupt",
          `${path} has ${counts[name]} ${name}; its manifest says ${described[name]}.`,
        );
      }
    }
  } finally {
    database.close();
  }
  return described;
}

/**
 * Makes a store of a backup, at a place where there is none, and brings it to the present schema.
 *
 * @throws StoreError as `verifyBackup`, and `conflict` when there is a store already
 */
export async function restoreStore(path: string, target: string): Promise<BackupManifest> {
  const store = resolve(target);
  refuseExisting(store);
  const described = await verifyBackup(path);
  await mkdir(dirname(store), { recursive: true });
  const temporary = `${store}.${process.pid}.tmp`;
  try {
    await copyFile(path, temporary);
    await chmod(temporary, 0o600);
    const database = new DatabaseSync(temporary);
    try {
      migrate(database, temporary);
    } finally {
      database.close();
    }
    await flush(temporary);
    await publish(temporary, store);
  } finally {
    await rm(temporary, { force: true });
  }
  return described;
}
