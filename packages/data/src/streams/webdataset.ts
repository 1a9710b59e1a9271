import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { ImageFileError, normaliseImageName } from "../images/image-files.ts";
import { ProblemLog, type RowProblem, shownValue } from "../loaders/rows.ts";
import { expandShards } from "./shards.ts";

/** A member of a sample. */
export interface SamplePart {
  readonly bytes: Uint8Array;
  /** Where the bytes begin in the shard; null in compressed shards. */
  readonly offset: number | null;
  readonly length: number;
}

/** Members of a shard that share a name up to the first dot. */
export interface WebdatasetSample {
  /** Folder and name without endings, e.g. `0001/cat_17`. */
  readonly key: string;
  readonly shard: string;
  /** Number of the sample in its shard, from 1. */
  readonly number: number;
  /** By ending in small letters, e.g. `jpg`, `txt`, `cls`, `seg.png`. */
  readonly parts: ReadonlyMap<string, SamplePart>;
}

export interface WebdatasetOptions {
  /** Endings that are wanted; the bytes of others are passed over. Default: all. */
  readonly endings?: readonly string[];
  /** Endings of which only the place is wanted; `bytes` is then empty, unless the shard is compressed. */
  readonly placesOnly?: readonly string[];
  /** Largest member. Default 32 MiB. */
  readonly maxPartBytes?: number;
  /** Most members of a sample. Default 100. */
  readonly maxParts?: number;
  /** Most samples of a shard. Default 1 million. */
  readonly maxSamples?: number;
  /** Called for each member that is passed over though it was wanted. */
  readonly onProblem?: (problem: RowProblem) => void;
  /** Throw a `RowError` instead. Default false. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
}

type Entry = ReturnType<typeof extract> extends AsyncIterable<infer Member> ? Member : never;

/** Bytes of a member's heading, which stand before its content. */
const headingBytes = 512;

/** Settings with their defaults. */
type Settings = Required<Pick<WebdatasetOptions, "maxPartBytes" | "maxParts" | "maxSamples">> &
  WebdatasetOptions;

/**
 * Samples of WebDataset shards (`.tar`, `.tar.gz`, `.tgz`), one after another; memory holds one sample. Members that
 * follow each other and share a key are a sample. Members that are links or devices, lead outside with their names, are
 * too large or repeat what was there are reported and passed over.
 *
 * @param shards  a path, a pattern such as `train-{000..011}.tar`, or several of them
 * @throws Error naming the shard when it is missing, broken or truncated
 */
export async function* webdatasetSamples(
  shards: string | readonly string[],
  options: WebdatasetOptions = {},
): AsyncGenerator<WebdatasetSample> {
  const settings: Settings = {
    ...options,
    maxPartBytes: options.maxPartBytes ?? 32 * 2 ** 20,
    maxParts: options.maxParts ?? 100,
    maxSamples: options.maxSamples ?? 1e6,
  };
  const log = new ProblemLog(options.strict ?? false);
  const report = (problem: RowProblem): void => {
    log.add(problem);
    options.onProblem?.(problem);
  };
  for (const pattern of typeof shards === "string" ? [shards] : shards)
    for (const shard of expandShards(pattern)) yield* shardSamples(shard, settings, report);
}

async function* shardSamples(
  shard: string,
  settings: Settings,
  report: (problem: RowProblem) => void,
): AsyncGenerator<WebdatasetSample> {
  const archive = extract();
  const input = createReadStream(shard, { highWaterMark: 2 ** 20 });
  const compressed = /gz$/i.test(shard);
  const gunzip = compressed ? createGunzip() : undefined;
  for (const stream of [input, gunzip]) stream?.on("error", (error: Error) => archive.destroy(error));
  (gunzip ? input.pipe(gunzip) : input).pipe(archive);
  const seen = new Set<string>();
  let number = 0;
  let key = "";
  let parts = new Map<string, SamplePart>();
  const finished = (): WebdatasetSample => ({ key, shard, number, parts });
  try {
    for await (const entry of archive) {
      settings.signal?.throwIfAborted();
      const problem = (reason: string): void =>
        report({ file: shard, line: 0, reason, value: shownValue(entry.header.name) });
      const name = memberName(entry, problem);
      if (name === null) {
        await drained(entry);
        continue;
      }
      if (name.key !== key || number === 0) {
        if (parts.size > 0) yield finished();
        ({ key } = name);
        parts = new Map();
        if (++number > settings.maxSamples) throw new Error(`more than ${settings.maxSamples} samples`);
        if (seen.has(key)) problem("sample has the name of an earlier one");
        seen.add(key);
      }
      const { size } = entry.header;
      const wanted = settings.endings === undefined || settings.endings.includes(name.ending);
      const reason =
        size > settings.maxPartBytes
          ? `member of ${size} bytes is over the limit of ${settings.maxPartBytes}`
          : parts.has(name.ending)
            ? "member is there twice"
            : parts.size >= settings.maxParts
              ? `sample has more than ${settings.maxParts} members`
              : null;
      if (!wanted || reason !== null) {
        if (wanted && reason !== null) problem(reason);
        await drained(entry);
        continue;
      }
      const placeOnly = !compressed && (settings.placesOnly?.includes(name.ending) ?? false);
      const bytes = placeOnly ? new Uint8Array(0) : await content(entry);
      if (placeOnly) await drained(entry);
      parts.set(name.ending, {
        bytes,
        offset: compressed ? null : entry.offset + headingBytes,
        length: size,
      });
    }
    if (parts.size > 0) yield finished();
  } catch (error) {
    if ((error as Error).name !== "Error") throw error;
    throw new Error(`The shard ${shard} cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    input.destroy();
    gunzip?.destroy();
    archive.destroy();
  }
}

/** Null for members that are no part of a sample. */
function memberName(
  { header }: Entry,
  problem: (reason: string) => void,
): { readonly key: string; readonly ending: string } | null {
  if (header.type === "directory") return null;
  if (header.type !== "file" && header.type !== "contiguous-file") {
    problem(`member is a ${header.type ?? "thing of unknown kind"}, not a file`);
    return null;
  }
  let path: string;
  try {
    path = normaliseImageName(header.name);
  } catch (error) {
    if (!(error instanceof ImageFileError)) throw error;
    problem("member's path leads outside");
    return null;
  }
  const start = path.lastIndexOf("/") + 1;
  const dot = path.indexOf(".", start);
  // Hidden files, e.g. those that macOS adds, belong to no sample.
  if (dot === start) return null;
  if (dot < 0) {
    problem("member has no ending");
    return null;
  }
  return { key: path.slice(0, dot), ending: path.slice(dot + 1).toLowerCase() };
}

async function content(entry: Entry): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

async function drained(entry: Entry): Promise<void> {
  for await (const _ of entry as AsyncIterable<Uint8Array>);
}
