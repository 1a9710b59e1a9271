import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, join, posix, relative, sep } from "node:path";
import { createGunzip } from "node:zlib";
import { extract, type Header } from "tar-stream";

/** Where the bytes of one image are. */
export type ImageLocation =
  | { readonly kind: "file"; readonly path: string; readonly offset: number; readonly length: number }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

/** A folder or an archive that images are taken from by name. */
export interface ImageFiles {
  /** Path of the folder or archive. */
  readonly path: string;
  /**
   * @param name path relative to the folder or archive, with `/` or `\` between its parts
   * @throws ImageFileError when there is no such image, or the name leads outside, or it is too large
   */
  locate(name: string): Promise<ImageLocation>;
}

/** A single image cannot be had; the message is the reason, without the name. */
export class ImageFileError extends Error {
  override readonly name = "ImageFileError";
}

export interface ImageFilesLimits {
  /** Largest compressed image. Default 32 MiB. */
  readonly maxFileBytes?: number;
  /** Most bytes of images that a gzip-compressed archive may hold, all kept in memory. Default 1 GiB. */
  readonly maxArchiveBytes?: number;
  /** Most members of an archive. Default 5 million. */
  readonly maxMembers?: number;
}

export const defaultMaxFileBytes = 32 * 2 ** 20;
const defaultMaxArchiveBytes = 2 ** 30;
const defaultMaxMembers = 5_000_000;

/**
 * Opens a folder, a `.tar` or a `.tar.gz` / `.tgz` file. A tar file is read through once to find its members;
 * their bytes stay on disk; what is open already is given back. A compressed one cannot be read at random places, so its images are kept in memory.
 *
 * @throws Error when the path does not exist, the archive is broken or exceeds a limit
 */
export async function openImageFiles(
  path: string | ImageFiles,
  limits: ImageFilesLimits = {},
): Promise<ImageFiles> {
  if (typeof path !== "string") return path;
  const info = await stat(path).catch((cause: unknown) => {
    throw new Error(`There is no folder or archive of images at ${path}.`, { cause });
  });
  if (info.isDirectory()) return openFolder(path, limits);
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) return openArchive(path, limits);
  throw new Error(`Images come from a folder, a .tar, a .tar.gz or a .tgz file, not from ${path}.`);
}

/**
 * A relative path with `/` between parts and without `.` parts.
 *
 * @throws ImageFileError when it is empty, absolute or climbs with `..`
 */
export function normaliseImageName(name: string): string {
  const path = posix.normalize(name.trim().replaceAll("\\", "/"));
  if (path === "." || path.includes("\0")) throw new ImageFileError("not an image path");
  const outside = path === ".." || path.startsWith("../") || posix.isAbsolute(path) || /^[a-z]:/i.test(path);
  if (outside) throw new ImageFileError("path leads outside the image folder");
  return path;
}

async function openFolder(path: string, limits: ImageFilesLimits): Promise<ImageFiles> {
  const maxFileBytes = limits.maxFileBytes ?? defaultMaxFileBytes;
  const root = await realpath(path);
  return {
    path,
    async locate(name) {
      const wanted = join(root, normaliseImageName(name));
      // Symbolic links are followed, but only as far as they stay inside the folder.
      const found = await realpath(wanted).catch(() => {
        throw new ImageFileError("image file not found");
      });
      const below = relative(root, found);
      if (below === ".." || below.startsWith(`..${sep}`) || isAbsolute(below))
        throw new ImageFileError("path leads outside the image folder");
      const info = await stat(found);
      if (!info.isFile()) throw new ImageFileError("not a file");
      checkSize(info.size, maxFileBytes);
      return { kind: "file", path: found, offset: 0, length: info.size };
    },
  };
}

function checkSize(size: number, limit: number): void {
  if (size > limit) throw new ImageFileError(`image file of ${size} bytes is over the limit of ${limit}`);
}

/** Bytes of a member's heading, which stand before its content. */
const tarHeaderBytes = 512;

async function openArchive(path: string, limits: ImageFilesLimits): Promise<ImageFiles> {
  const maxFileBytes = limits.maxFileBytes ?? defaultMaxFileBytes;
  const maxArchiveBytes = limits.maxArchiveBytes ?? defaultMaxArchiveBytes;
  const maxMembers = limits.maxMembers ?? defaultMaxMembers;
  const compressed = /gz$/i.test(path);
  const members = new Map<string, ImageLocation | ImageFileError>();
  const archive = extract();
  const input = createReadStream(path, { highWaterMark: 2 ** 20 });
  const gunzip = compressed ? createGunzip() : undefined;
  for (const stream of [input, gunzip]) stream?.on("error", (error: Error) => archive.destroy(error));
  (gunzip ? input.pipe(gunzip) : input).pipe(archive);
  let kept = 0;
  let count = 0;
  try {
    for await (const entry of archive) {
      const { header } = entry;
      if (++count > maxMembers) throw new Error(`more than ${maxMembers} members`);
      const name = header.type === "file" || header.type === "contiguous-file" ? memberName(header) : null;
      const length = header.size;
      if (name === null) entry.resume();
      else if (length > maxFileBytes) {
        members.set(
          name,
          new ImageFileError(`image file of ${length} bytes is over the limit of ${maxFileBytes}`),
        );
        entry.resume();
      } else if (compressed) {
        kept += length;
        if (kept > maxArchiveBytes)
          throw new Error(`more than ${maxArchiveBytes} bytes inside; decompress it to a .tar file first`);
        const chunks: Buffer[] = [];
        for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
        members.set(name, { kind: "bytes", bytes: Buffer.concat(chunks) });
      } else {
        members.set(name, { kind: "file", path, offset: entry.offset + tarHeaderBytes, length });
        entry.resume();
      }
    }
  } catch (error) {
    throw new Error(`The archive ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  } finally {
    input.destroy();
    gunzip?.destroy();
  }
  return {
    path,
    async locate(name) {
      const found = members.get(normaliseImageName(name));
      if (found === undefined) throw new ImageFileError("image file not found");
      if (found instanceof ImageFileError) throw found;
      return found;
    },
  };
}

/** Members whose name leads outside are as good as absent: nobody can ask for them. */
function memberName(header: Header): string | null {
  try {
    return normaliseImageName(header.name);
  } catch {
    return null;
  }
}
