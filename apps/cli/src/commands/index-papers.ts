import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { openSqliteStore, outsideVersion, type Store } from "@concord/feed";
import {
  EncoderBusyError,
  EncoderFolderError,
  indexNewPapers,
  indexWithOutsideEncoder,
  type RefreshOptions,
  readFigures,
  retrainEncoder,
  type TrainingFigures,
} from "@concord/feed/encoder";
import type { Context } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { countText } from "../render/text.ts";
import { StageDisplay } from "../stage-display.ts";

/** Names of the store and of the folder of encoders in the data folder; the site's own. */
const STORE_FILE = "concord.sqlite";
const MODELS_FOLDER = "search-models";

export interface IndexFlags {
  readonly data?: string;
  readonly config?: string;
  readonly encoder?: string;
  readonly train?: boolean;
  readonly status?: boolean;
  readonly steps?: number;
  readonly json?: boolean;
}

type IndexContext = Pick<Context, "stdout" | "stderr" | "env" | "loadSettings" | "onStopRequest">;

const share = (value: number) => value.toFixed(3);

function figuresText({ papers, heldOut, mrr10, recall10, bm25Mrr10, seconds }: TrainingFigures): string {
  return `  trained on ${countText(papers, "paper")} in ${Math.round(seconds)} s
  ${countText(heldOut, "held-out title")} looked for among as many abstracts: MRR@10 ${share(mrr10)}, among the first ten ${share(recall10)} (BM25: MRR@10 ${share(bm25Mrr10)})
`;
}

/** What searches use, and what is not encoded yet. */
async function status(store: Store, models: string) {
  const [active, papers] = await Promise.all([store.vectors.active(), store.papers.count()]);
  if (active === null) return { encoder: null, papers, encoded: 0, waiting: papers, figures: null };
  const figures = await readFigures(join(models, active.version));
  const encoded = Math.min(active.papers, papers);
  return { encoder: active.version, papers, encoded, waiting: papers - encoded, figures };
}

function statusText({
  encoder,
  papers,
  encoded,
  waiting,
  figures,
}: Awaited<ReturnType<typeof status>>): string {
  if (encoder === null)
    return `Papers are searched by their words alone: there is no encoder yet.\nconcord index --train makes one of ${countText(papers, "paper")}.\n`;
  return `${encoder}: ${countText(encoded, "paper")} of ${papers.toLocaleString("en-GB")} can be found by meaning${waiting > 0 ? `, ${waiting.toLocaleString("en-GB")} wait` : ""}\n${figures ? figuresText(figures) : ""}`;
}

/** Encodes papers for the search by meaning, and trains the encoder for it. */
export async function indexPapers(context: IndexContext, flags: IndexFlags): Promise<ExitCode> {
  const settings = await context.loadSettings({
    file: flags.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
    over: flags.data === undefined ? {} : { data: { folder: resolve(flags.data) } },
  });
  const folder = settings.data.folder;
  const path = resolve(folder, STORE_FILE);
  if (!existsSync(path))
    throw new UsageError(`There is no store in ${resolve(folder)}: begin with concord ingest.`);
  const outside = flags.encoder ?? settings.search.encoder;
  if (flags.train && outside !== undefined)
    throw new UsageError(
      "--train makes Concord's own encoder, and the settings name another: take one of them.",
    );
  const models = resolve(folder, MODELS_FOLDER);
  const store = openSqliteStore(path);
  const stopping = new AbortController();
  const endWatch = context.onStopRequest(() => stopping.abort(new Error("stopped")));
  const display = new StageDisplay(context);
  const options: RefreshOptions = {
    store,
    modelsFolder: models,
    signal: stopping.signal,
    ...(flags.steps !== undefined && { settings: { steps: flags.steps } }),
    onProgress(progress) {
      if (progress.phase === "encoding")
        display.show({ stage: "encoding papers", done: progress.done, total: progress.of });
      else if (progress.phase === "training") {
        const { step, steps, loss, dataSeconds, computeSeconds } = progress;
        const left =
          step === 0
            ? ""
            : `, ${Math.round(((dataSeconds + computeSeconds) / step) * (steps - step))} s left`;
        display.show({
          stage: `training step ${step} of ${steps}, loss ${loss?.toFixed(3) ?? "–"}${left}`,
          done: null,
          total: null,
        });
      } else
        display.show({
          stage: progress.phase === "tokens" ? "reading papers" : "judging",
          done: null,
          total: null,
        });
    },
  };
  const write = (text: string, value: object) =>
    context.stdout.write(flags.json ? `${JSON.stringify(value)}\n` : text);
  try {
    if (flags.status) {
      const found = await status(store, models);
      write(statusText(found), found);
      return ExitCode.done;
    }
    if (outside !== undefined) {
      const result = await indexWithOutsideEncoder(outside, outsideVersion(outside), options);
      display.end();
      write(
        `${countText(result.encoded, "paper")} encoded in ${Math.round(result.seconds)} s with ${outside}\n`,
        result,
      );
      return ExitCode.done;
    }
    const known = flags.train ? null : await indexNewPapers(options);
    if (known !== null) {
      display.end();
      write(
        `${countText(known.encoded, "paper")} encoded in ${Math.round(known.seconds)} s with ${known.version}\n`,
        known,
      );
      return ExitCode.done;
    }
    const result = await retrainEncoder(options);
    display.end();
    const outcome = result.activated
      ? `${result.version} is in use: ${countText(result.encoded, "paper")} encoded, ${Math.round(result.seconds)} s in all`
      : `${result.version} is clearly worse than the encoder in use (MRR@10 ${share(result.before ?? 0)}), which stays`;
    write(`${outcome}\n${figuresText(result.figures)}`, result);
    return ExitCode.done;
  } catch (error) {
    display.end();
    if (stopping.signal.aborted) {
      context.stderr.write("Stopped. The same command goes on from here.\n");
      return ExitCode.cancelled;
    }
    if (
      error instanceof RangeError ||
      error instanceof EncoderFolderError ||
      error instanceof EncoderBusyError
    )
      throw new UsageError(error.message, { cause: error });
    throw error;
  } finally {
    endWatch();
    await store.close();
  }
}
