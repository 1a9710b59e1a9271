import { workerData } from "node:worker_threads";
import { readingPorts } from "../store/sqlite/reading.ts";
import type { SearchSetup, WordCalls } from "./messages.ts";
import { post, serve } from "./serve.ts";
import { papersAlike, searchByWords } from "./word-ranking.ts";

/** The store is looked at this often for vectors that came into use. */
const LOOK_EVERY_MS = 1000;

const ports = readingPorts((workerData as SearchSetup).storePath);
let seen = -1;
let vectors: string | null = null;

async function look(): Promise<void> {
  const version = ports.dataVersion();
  if (version === seen) return;
  seen = version;
  const active = (await ports.vectors.active())?.version ?? null;
  if (active !== vectors && active !== null) post({ type: "vectors", version: active });
  vectors = active;
}

async function lookOrNote(): Promise<void> {
  try {
    await look();
  } catch (error) {
    post({ type: "note", level: "warn", text: `vectors could not be read: ${(error as Error).message}` });
  }
}

serve<WordCalls>({
  search: (ask) => searchByWords(ports, ask),
  alike: (ask) => papersAlike(ports, ask),
  async state() {
    await lookOrNote();
    return { papers: await ports.papers.count(), vectors };
  },
});
void lookOrNote();
setInterval(() => void lookOrNote(), LOOK_EVERY_MS);
