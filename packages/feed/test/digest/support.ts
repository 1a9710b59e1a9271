import { DigestPublisher, latestSlot, ReaderLinks } from "../../src/digest/index.ts";
import { openSqliteStore, type PaperRecordInput, paperRecord, type Store } from "../../src/index.ts";
import { secretHash } from "../../src/people/index.ts";

export const SITE = "https://papers.example.org";
export const TIMES = { minute: 7 * 60, weekday: 5 };

export function papersOf(day: string, count: number, over: Partial<PaperRecordInput> = {}) {
  return Array.from({ length: count }, (_, index) =>
    paperRecord.parse({
      id: `2511.${String(10_000 + index + Number(day.slice(8)) * 100).padStart(5, "0")}`,
      title: `Aligning $\\mathbb{R}^{${index}}$ with naïve café models, part ${index}`,
      abstract: `We study how spaces agree, for $\\alpha \\le ${index}$. A second sentence says what was found. A third one adds more.`,
      authors: [{ name: "Ada Lovelace" }, { name: "Grace Hopper" }],
      announced: day,
      published: day,
      categories: ["cs.LG"],
      sources: ["test"],
      ...over,
    }),
  );
}

/** Readers who have confirmed; their addresses are name@domain. */
export async function confirmed(
  store: Store,
  names: readonly string[],
  over: {
    readonly topics?: readonly string[];
    readonly savedSearches?: readonly string[];
    readonly cadence?: "daily" | "weekly";
    readonly domain?: (index: number) => string;
  } = {},
): Promise<string[]> {
  const links = await ReaderLinks.of(store, () => SITE);
  const ids: string[] = [];
  for (const [index, name] of names.entries()) {
    const email = `${name}@${over.domain?.(index) ?? "example.org"}`;
    await store.subscriptions.subscribe({
      ...{ email, cadence: over.cadence ?? "daily", topics: over.topics ?? [] },
      savedSearches: over.savedSearches ?? [],
      consent: { form: "test", addressHash: null },
      tokens: links.hashes(email, "n"),
    });
    const reader = await store.subscriptions.confirm(secretHash(links.token("confirm", email, "n")));
    ids.push(reader?.id ?? "");
  }
  return ids;
}

/** A store in a file with one open daily issue for many readers. */
export async function filledStore(file: string, readers: number): Promise<void> {
  const store = openSqliteStore(file);
  const day = latestSlot("daily", TIMES, Date.now()).day;
  await store.papers.upsert(papersOf(day, 3));
  const links = await ReaderLinks.of(store, () => SITE);
  const names = Array.from({ length: readers }, (_, index) => `reader-${index}`);
  await store.transaction(async (ports) => {
    for (const [index, name] of names.entries()) {
      const email = `${name}@domain-${index % 50}.example`;
      await ports.subscriptions.subscribe({
        ...{ email, cadence: "daily" as const, consent: { form: "test", addressHash: null } },
        tokens: links.hashes(email, "n"),
      });
      await ports.subscriptions.confirm(secretHash(links.token("confirm", email, "n")));
    }
  });
  const publisher = new DigestPublisher({ store, times: TIMES, host: () => links.host });
  const [published] = await publisher.publishDue();
  if (published?.readers !== readers)
    throw new Error(`Filled ${published?.readers} rows instead of ${readers}.`);
  await store.close();
}
