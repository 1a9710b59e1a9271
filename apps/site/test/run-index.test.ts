import { mkdir, writeFile } from "node:fs/promises";
import { createRun, RunStore } from "@concord/papers";
import { expect, it, vi } from "vitest";
import { RunIndex } from "../src/runs/run-index.ts";
import { temporaryFolder } from "./support.ts";
import { toyExperiment } from "./toy-experiment.ts";

it("lists runs newest first and reads again only what was written", async () => {
  const folder = await temporaryFolder();
  const store = new RunStore(folder.path);
  const index = new RunIndex(store);
  expect(await new RunIndex(new RunStore(`${folder.path}/none`)).list()).toEqual([]);
  const first = await createRun(toyExperiment, store, { preset: "smoke" });
  const second = await createRun(toyExperiment, store, { preset: "smoke" });
  const broken = `${second.id.slice(0, -6)}000000`;
  await mkdir(store.path(broken));
  await writeFile(store.path(broken, "run.json"), "{");
  expect((await index.list()).map(({ id }) => id)).toEqual([second.id, first.id]);

  const read = vi.spyOn(store, "read");
  const known = (id: string) => read.mock.calls.filter(([asked]) => asked === id).length;
  await store.write({ ...first, status: "done" });
  expect((await index.list()).map(({ status }) => status)).toEqual(["queued", "done"]);
  expect([known(first.id), known(second.id)]).toEqual([1, 0]);
  await store.cancel(second.id);
  await store.delete(second.id);
  expect((await index.list()).map(({ id }) => id)).toEqual([first.id]);
  await folder.remove();
});
