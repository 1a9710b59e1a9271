import type { Readable } from "node:stream";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import type { ArrayBytes, ByteSequence } from "./array-rows.ts";
import { ByteFile } from "./byte-file.ts";
import { type NamedArray, type NamedArrays, requireArray } from "./named-arrays.ts";
import { plainBytes } from "./npy-file.ts";
import { type ArrayLayout, npyStartBytes, parseNpyHeader } from "./npy-header.ts";
import { VectorFileError } from "./source.ts";

/** Most members of an archive. */
const maxMembers = 10_000;

/**
 * The arrays of NumPy's `.npz` format, a zip archive of `.npy` files. Compressed ones are inflated as they are read.
 *
 * @throws VectorFileError when the archive is broken or has too many members
 */
export async function openNpz(path: string): Promise<NamedArrays> {
  const zip = await openPromise(path, { autoClose: false }).catch((error: Error) => {
    throw new VectorFileError(path, `is not a whole .npz file: ${error.message}`, { cause: error });
  });
  // Failures reach whoever reads; the emitter's own event would end the process.
  zip.on("error", () => {});
  const file = await ByteFile.open(path);
  const close = async (): Promise<void> => {
    zip.close();
    await file.close();
  };
  try {
    if (zip.entryCount > maxMembers)
      throw new VectorFileError(path, `has ${zip.entryCount} members; at most ${maxMembers} are read`);
    const entries = new Map<string, Entry>();
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith(".npy")) continue;
      const name = entry.fileName.slice(0, -".npy".length);
      if (entries.has(name)) throw new VectorFileError(path, `has two arrays ${JSON.stringify(name)}`);
      entries.set(name, entry);
    }
    const arrays = new Map<string, () => Promise<NamedArray>>();
    for (const [name, entry] of entries) arrays.set(name, () => member(path, name, entry, zip, file));
    return {
      path,
      kind: ".npz",
      names: [...entries.keys()],
      array: (name) => requireArray(path, arrays, name)(),
      close,
    };
  } catch (error) {
    await close();
    if (error instanceof VectorFileError) throw error;
    throw new VectorFileError(path, `is not a whole .npz file: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function member(
  path: string,
  name: string,
  entry: Entry,
  zip: ZipFile,
  file: ByteFile,
): Promise<NamedArray> {
  const shown = `${path}[${name}]`;
  const start = await sequence(shown, zip, entry);
  let layout: ArrayLayout;
  try {
    layout = parseNpyHeader(await start.next(Math.min(npyStartBytes, entry.uncompressedSize)), shown);
  } finally {
    await start.close();
  }
  const present = entry.uncompressedSize - layout.dataOffset;
  if (present !== layout.dataBytes)
    throw new VectorFileError(
      shown,
      `shape (${layout.shape.join(", ")}) of ${layout.element.name} takes ${layout.dataBytes} bytes, ` +
        `the archive announces ${present}`,
    );
  if (entry.compressionMethod === 0 && !entry.isEncrypted()) {
    const header = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    return { name: shown, layout, bytes: plainBytes(file, header.fileDataStart + layout.dataOffset) };
  }
  const bytes: ArrayBytes = {
    async sequential() {
      const all = await sequence(shown, zip, entry);
      await all.next(layout.dataOffset);
      return all;
    },
  };
  return { name: shown, layout, bytes };
}

/** The bytes of a member, inflated as they are asked for. */
async function sequence(name: string, zip: ZipFile, entry: Entry): Promise<ByteSequence> {
  const broken = (error: unknown): VectorFileError =>
    error instanceof VectorFileError
      ? error
      : new VectorFileError(name, `cannot be inflated: ${(error as Error).message}`, { cause: error });
  if (!entry.canDecodeFileData())
    throw new VectorFileError(name, `is encrypted, or compressed by a method other than deflate`);
  let stream: Readable;
  try {
    stream = await zip.openReadStreamPromise(entry);
  } catch (error) {
    throw broken(error);
  }
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let held: Uint8Array = new Uint8Array(0);
  return {
    async next(length) {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        if (held.length === 0) {
          const chunk = await chunks.next().catch((error: unknown) => {
            throw broken(error);
          });
          if (chunk.done)
            throw new VectorFileError(name, `is truncated: it ends ${length - filled} bytes early`);
          held = chunk.value;
        }
        const part = held.subarray(0, length - filled);
        bytes.set(part, filled);
        filled += part.length;
        held = held.subarray(part.length);
      }
      return bytes;
    },
    close: async () => {
      stream.destroy();
    },
  };
}
