import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import {
  createRun,
  type EmbeddingMap,
  embeddingMap,
  figureSeeds as figureSeedsOf,
  type RunRecord,
  type RunStore,
  readFigureSheet,
  readRunFigures,
} from "@concord/papers";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { runPage, type SeedFigures } from "./pages/run.ts";
import { runsPage } from "./pages/runs.ts";
import { runRefusal } from "./people/run-rights.ts";
import { queuePosition } from "./runs/queue.ts";
import type { SiteContext, SiteEnv } from "./site-env.ts";
import { MAX_SEEDS, type Render, type SiteParts } from "./site-parts.ts";

const RUNS_SHOWN = 200;
const MAX_WAITING = 20;
const MAX_MAP_BYTES = 16 * 2 ** 20;

const runForm = z.object({
  preset: z.enum(["smoke", "default", "paper"]),
  seeds: z
    .string()
    .trim()
    .regex(/^\d{0,4}$/)
    .transform((text) => (text === "" ? undefined : Number(text)))
    .refine((count) => count === undefined || (count >= 1 && count <= MAX_SEEDS))
    .optional(),
});

const seedQuery = z.object({ seed: z.coerce.number().int().min(0).optional() });
const allQuery = z.object({ all: z.string().max(60).optional() });
/** How long a browser may keep the pictures of a figure: a unit that is done does not change. */
const SHEET_S = 600;
const eventsQuery = z.object({ from: z.string().max(40).optional(), seen: z.coerce.number().default(0) });

/** Seeds of which the run has a map, in order. */
async function mapSeedsOf(store: RunStore, id: string): Promise<readonly number[]> {
  const names = await readdir(store.path(id, "maps")).catch(() => []);
  return names
    .flatMap((name) => /^seed-(\d{1,9})\.json$/.exec(name)?.slice(1).map(Number) ?? [])
    .sort((a, b) => a - b);
}

async function readMap(store: RunStore, id: string, seed: number): Promise<EmbeddingMap> {
  const path = store.path(id, "maps", `seed-${seed}.json`);
  const { size } = await stat(path);
  if (size > MAX_MAP_BYTES) throw new Error(`${path}: ${size} bytes, at most ${MAX_MAP_BYTES} are read.`);
  return embeddingMap.parse(JSON.parse(await readFile(path, "utf8")));
}

/** What the arms of a seed left to be shown; what cannot be read is logged. */
async function readFigures(
  { runStore, log }: Pick<SiteParts, "runStore" | "log">,
  run: RunRecord,
  seed: number,
): Promise<SeedFigures> {
  const broken: string[] = [];
  const arms = await readRunFigures(runStore, run, seed, (arm, err) => {
    log.error({ err, run: run.id }, "figures cannot be read");
    broken.push(arm);
  });
  return { seed, arms, broken };
}

/** Routes of runs: start, show, follow, stop, take up again, delete, download. */
export function runRoutes(parts: SiteParts, render: Render): Hono<SiteEnv> {
  const { catalogue, runStore: store, index, queue, journals, events, settings } = parts;
  const app = new Hono<SiteEnv>();

  const requireRight = (context: SiteContext) => {
    const refusal = runRefusal(settings, context.var);
    if (refusal !== null) throw new HTTPException(403, { message: refusal });
  };

  app.post("/papers/:slug/runs", async (context) => {
    requireRight(context);
    const slug = context.req.param("slug");
    const experiment = await catalogue.experiment(slug);
    if (!experiment) throw new HTTPException(404, { message: "There is no such paper to run here." });
    const parsed = runForm.safeParse(await context.req.parseBody());
    if (!parsed.success) {
      throw new HTTPException(400, {
        message: `Choose a size and a number of seeds from 1 to ${MAX_SEEDS}, or none. More seeds can be run from a terminal.`,
      });
    }
    const waiting = (await index.list()).filter(({ status }) => status === "queued").length;
    if (waiting >= MAX_WAITING) {
      throw new HTTPException(429, {
        message: `${waiting} runs are waiting already. Let some finish first.`,
      });
    }
    const { preset, seeds } = parsed.data;
    const run = await createRun(experiment, store, {
      preset,
      ...(seeds === undefined ? {} : { seeds: Array.from({ length: seeds }, (_, seed) => seed) }),
    });
    queue.notify();
    return context.redirect(`/runs/${run.id}`, 303);
  });

  app.get("/runs", async (context) => {
    const all = await index.list();
    const runs = all.slice(0, RUNS_SHOWN);
    const titles = new Map(
      runs.flatMap(({ paper }) => {
        const title = catalogue.card(paper)?.title;
        return title ? [[paper, title] as const] : [];
      }),
    );
    const body = runsPage({ runs, titles, total: all.length, executesHere: queue.executes });
    return context.html(render(context, { title: "Runs", section: "runs", body }));
  });

  app.get("/runs/:id", async (context) => {
    const id = context.req.param("id");
    const { mtimeMs: changed } = await stat(store.path(id, "run.json")).catch(() => ({ mtimeMs: 0 }));
    const run = await store.read(id);
    const waiting = run.status === "queued" ? await index.list() : [];
    const mapSeeds = await mapSeedsOf(store, id);
    const figureSeeds = await figureSeedsOf(store, run);
    const asked = seedQuery.safeParse(context.req.query()).data?.seed;
    const choose = (seeds: readonly number[]) =>
      asked !== undefined && seeds.includes(asked) ? asked : seeds[0];
    const mapSeed = choose(mapSeeds);
    const figureSeed = choose(figureSeeds);
    const card = catalogue.card(run.paper);
    const body = runPage({
      context,
      mayAct: runRefusal(settings, context.var) === null,
      run,
      card,
      changed,
      experiment: await catalogue.experiment(run.paper),
      journal: await journals.read(store.path(id, "log.jsonl")),
      queuePosition: queuePosition(waiting, id),
      map: mapSeed === undefined ? null : await readMap(store, id, mapSeed),
      mapSeeds,
      figures: figureSeed === undefined ? null : await readFigures(parts, run, figureSeed),
      figureSeeds,
      allOf: allQuery.safeParse(context.req.query()).data?.all,
    });
    const title = `${run.preset} run of ${card?.title ?? run.paper}`;
    return context.html(render(context, { title, section: "runs", scripts: ["run"], body }));
  });

  app.get("/runs/:id/events", async (context) => {
    const { id } = await store.read(context.req.param("id"));
    const { from, seen } = eventsQuery.parse(context.req.query());
    return events.stream(context, id, context.req.header("last-event-id") ?? from, seen);
  });

  app.post("/runs/:id/:action{cancel|resume|delete}", async (context) => {
    requireRight(context);
    const { id, status } = await store.read(context.req.param("id"));
    switch (context.req.param("action")) {
      case "cancel":
        requireStatus(status, ["queued", "running"], "be cancelled");
        await queue.cancel(id);
        break;
      case "resume":
        requireStatus(status, ["failed", "cancelled"], "be resumed");
        await queue.resume(id);
        break;
      default:
        requireStatus(status, ["done", "failed", "cancelled"], "be deleted");
        await queue.delete(id);
        return context.redirect("/runs", 303);
    }
    return context.redirect(`/runs/${id}`, 303);
  });

  app.get("/runs/:id/:file{run\\.json|log\\.jsonl}", async (context) => {
    const { id } = await store.read(context.req.param("id"));
    const file = context.req.param("file");
    const path = store.path(id, file);
    const found = await stat(path).catch(() => null);
    if (!found) throw new HTTPException(404, { message: "The run has no such file yet." });
    return context.body(Readable.toWeb(createReadStream(path)) as ReadableStream, 200, {
      "Content-Type": file === "run.json" ? "application/json" : "application/jsonl",
      "Content-Disposition": `attachment; filename="${id}.${file}"`,
    });
  });

  app.get("/runs/:id/maps/:seed{\\d{1,9}}", async (context) => {
    const { id } = await store.read(context.req.param("id"));
    const seed = Number(context.req.param("seed"));
    if (!(await mapSeedsOf(store, id)).includes(seed)) {
      throw new HTTPException(404, { message: "There is no map of this seed." });
    }
    return context.json(await readMap(store, id, seed));
  });

  app.get("/runs/:id/figures/:seed{\\d{1,9}}", async (context) => {
    const run = await store.read(context.req.param("id"));
    const seed = Number(context.req.param("seed"));
    const { arms } = await readFigures(parts, run, seed);
    if (arms.length === 0) throw new HTTPException(404, { message: "There are no figures of this seed." });
    return context.json({ run: run.id, seed, arms });
  });

  app.get("/runs/:id/figures/:seed{\\d{1,9}}/:arm/:file{[A-Za-z0-9-]+\\.png}", async (context) => {
    const run = await store.read(context.req.param("id"));
    const { seed, arm, file } = context.req.param();
    const place = { seed: Number(seed), arm, figure: file.slice(0, -".png".length) };
    const sheet = await readFigureSheet(store, run, place);
    if (!sheet) throw new HTTPException(404, { message: "There are no such pictures." });
    return context.body(sheet, 200, {
      "Content-Type": "image/png",
      "Cache-Control": `private, max-age=${SHEET_S}`,
    });
  });

  return app;
}

/** Refuses an action that the run's status does not allow, e.g. from a page that was open for long. */
function requireStatus(
  status: RunRecord["status"],
  allowed: readonly RunRecord["status"][],
  verb: string,
): void {
  if (!allowed.includes(status)) {
    throw new HTTPException(409, { message: `This run is ${status} and cannot ${verb}.` });
  }
}
