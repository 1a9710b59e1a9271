import { OnnxImportError } from "./errors.ts";
import type { OnnxLimits } from "./limits.ts";
import type { ExternalLocation } from "./tensors.ts";

/** Gives the bytes of tensors that lie outside of the model file. */
export type ExternalReader = (place: ExternalLocation) => Promise<Uint8Array>;

/** Throws unless a location names a file below the model's folder by its words alone. */
export function checkLocation(location: string): void {
  const parts = location.split("/");
  const bad =
    location === "" ||
    location.includes("\\") ||
    location.includes("\0") ||
    /^[a-zA-Z]:/.test(location) ||
    location.startsWith("/") ||
    parts.some((part) => part === ".." || part === "");
  if (bad)
    throw new OnnxImportError(
      `importOnnx: external data in '${location.replaceAll("\0", "\\0")}': expected a path below the model's folder, without '..'`,
    );
}

/** How often the bytes of one file may be read in all: weights that are shared are read more than once. */
const MAX_READINGS = 4;

/** Throws when tensors take a file's bytes again and again, which would fill the memory from a small file. */
function readingBudget(): (location: string, length: number, size: number) => void {
  const taken = new Map<string, number>();
  return (location, length, size) => {
    const total = (taken.get(location) ?? 0) + length;
    taken.set(location, total);
    if (total > MAX_READINGS * size)
      throw new OnnxImportError(
        `importOnnx: tensors take ${total} bytes of '${location}', which has ${size}; at most ${MAX_READINGS} times its size is allowed`,
      );
  };
}

/** External data held in memory, by location. */
export function memoryReader(files: Readonly<Record<string, Uint8Array>>): ExternalReader {
  const spend = readingBudget();
  return async ({ location, offset, length }) => {
    checkLocation(location);
    const bytes = Object.hasOwn(files, location) ? files[location] : undefined;
    if (!bytes)
      throw new OnnxImportError(
        `importOnnx: the model keeps data in '${location}'; give it in options.externalData, or import the model by its path`,
      );
    if (offset + length > bytes.length)
      throw new OnnxImportError(
        `importOnnx: bytes ${offset} to ${offset + length} of '${location}' are wanted, which has ${bytes.length}`,
      );
    spend(location, length, bytes.length);
    return bytes.subarray(offset, offset + length);
  };
}

/** Reads a model file, and makes a reader of the external data beside it. Node only. */
export async function openModel(
  path: string,
  limits: OnnxLimits,
): Promise<{ readonly bytes: Uint8Array; readonly external: ExternalReader }> {
  const { open, realpath, dirname, resolve, sep } = await import("#file-system");
  const spend = readingBudget();
  const readRange = async (
    file: string,
    shown: string,
    offset: number,
    length: number | undefined,
  ): Promise<Uint8Array> => {
    const handle = await open(file, "r");
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new OnnxImportError(`importOnnx: '${shown}' is no regular file`);
      const end = length === undefined ? stat.size : offset + length;
      if (length === undefined && stat.size > limits.fileBytes)
        throw new OnnxImportError(
          `importOnnx: '${shown}' has ${stat.size} bytes, more than ${limits.fileBytes} (limits.fileBytes)`,
        );
      if (end > stat.size)
        throw new OnnxImportError(
          `importOnnx: bytes ${offset} to ${end} of '${shown}' are wanted, which has ${stat.size}`,
        );
      if (length !== undefined) spend(file, length, stat.size);
      const bytes = new Uint8Array(end - offset);
      for (let done = 0; done < bytes.length; ) {
        // One read call moves at most 2 GiB.
        const part = Math.min(bytes.length - done, 2 ** 30);
        const { bytesRead } = await handle.read(bytes, done, part, offset + done);
        if (bytesRead === 0) throw new OnnxImportError(`importOnnx: '${shown}' became shorter while read`);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  };
  const inFolder = async (location: string): Promise<string> => {
    checkLocation(location);
    const folder = await realpath(dirname(resolve(path)));
    const file = await realpath(resolve(folder, location));
    if (!file.startsWith(folder.endsWith(sep) ? folder : folder + sep))
      throw new OnnxImportError(
        `importOnnx: external data '${location}' is a link that leads out of the model's folder`,
      );
    return file;
  };
  const readable = async <R>(what: string, work: () => Promise<R>): Promise<R> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof OnnxImportError) throw error;
      throw new OnnxImportError(`importOnnx: cannot read ${what}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  return {
    bytes: await readable(`'${path}'`, () => readRange(path, path, 0, undefined)),
    external: ({ location, offset, length }) =>
      readable(`external data '${location}'`, async () =>
        readRange(await inFolder(location), location, offset, length),
      ),
  };
}
