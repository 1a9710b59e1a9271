import { readdir, stat } from "node:fs/promises";
import { isRunId, type RunRecord, type RunStore } from "@concord/papers";

/** All runs of a folder, of which only those are read again whose record was written since the last time. */
export class RunIndex {
  readonly #store: RunStore;
  #known = new Map<string, { readonly version: string; readonly record: RunRecord }>();

  constructor(store: RunStore) {
    this.#store = store;
  }

  /** The records of all runs that can be read, newest first. */
  async list(): Promise<RunRecord[]> {
    const names = await readdir(this.#store.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const ids = names.filter(isRunId).sort().reverse();
    const entries = await Promise.all(ids.map(async (id) => ({ id, entry: await this.#entry(id) })));
    const known = entries.flatMap(({ id, entry }) => (entry ? [[id, entry] as const] : []));
    this.#known = new Map(known);
    return known.map(([, { record }]) => record);
  }

  /** Null for a run that is being made, being deleted, or broken. */
  async #entry(id: string) {
    try {
      const { ino, mtimeNs, size } = await stat(this.#store.path(id, "run.json"), { bigint: true });
      const version = `${ino} ${mtimeNs} ${size}`;
      const known = this.#known.get(id);
      return known?.version === version ? known : { version, record: await this.#store.read(id) };
    } catch {
      return null;
    }
  }
}
