import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, type Zlib } from "node:zlib";
import { FetchError } from "./errors.ts";

type Decoder = Readable & NodeJS.WritableStream & Zlib;

const decoders: Readonly<Record<string, () => Decoder>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** What `readBody` can decompress, for the Accept-Encoding header. */
export const ACCEPT_ENCODING = "gzip, deflate, br";

export interface BodyLimits {
  readonly url: string;
  readonly contentEncoding: string | undefined;
  readonly contentLength: string | undefined;
  /** Counted on the wire and again after decompression. */
  readonly maxBytes: number;
}

/**
 * A body as bytes, decompressed.
 *
 * Decompression is stopped at the limit, so what a small answer unpacks to never stands in memory.
 *
 * @throws FetchError `too-large`, `encoding`, `truncated`; errors of the connection as they are
 */
export async function readBody(body: Readable, limits: BodyLimits): Promise<Buffer> {
  const { url, maxBytes } = limits;
  const tooLarge = () =>
    new FetchError("too-large", `expected at most ${maxBytes} bytes, and there are more`, { url });
  const declared = Number(limits.contentLength ?? 0);
  if (declared > maxBytes) {
    body.destroy();
    throw tooLarge();
  }
  const coding = (limits.contentEncoding ?? "").trim().toLowerCase();
  let source: Readable = body;
  if (coding !== "" && coding !== "identity") {
    const decoder = Object.hasOwn(decoders, coding) ? decoders[coding]?.() : undefined;
    if (decoder === undefined) {
      body.destroy();
      throw new FetchError(
        "encoding",
        `expected ${ACCEPT_ENCODING} or no encoding, got ${JSON.stringify(coding)}`,
        {
          url,
        },
      );
    }
    let wireBytes = 0;
    body.on("data", (chunk: Buffer) => {
      wireBytes += chunk.length;
      if (wireBytes > maxBytes) decoder.destroy(tooLarge());
    });
    // Errors of either end arrive in the loop below.
    source = pipeline(body, decoder, () => {}) as unknown as Readable;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "Z_BUF_ERROR") {
      throw new FetchError("truncated", `the ${coding} data end before their end`, { url, cause: error });
    }
    if (code.startsWith("Z_") || code.startsWith("ERR__ERROR_FORMAT") || code.startsWith("ERR_BROTLI")) {
      throw new FetchError("encoding", `the body is not ${coding} as its header says`, { url, cause: error });
    }
    throw error;
  } finally {
    body.destroy();
    source.destroy();
  }
  return Buffer.concat(chunks, bytes);
}

/**
 * Bytes as text: in the encoding of the Content-Type header, else of a byte order mark or an XML declaration, else UTF-8.
 *
 * @throws FetchError `encoding` when the encoding is unknown or the bytes are not in it
 */
export function decodeText(bytes: Uint8Array, contentType: string | undefined, url: string): string {
  const label = charsetOf(bytes, contentType);
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FetchError("encoding", `expected text in ${JSON.stringify(label)}`, { url, cause });
  }
}

function charsetOf(bytes: Uint8Array, contentType: string | undefined): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  const header = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType ?? "")?.[1];
  if (header !== undefined) return header;
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(200, bytes.length)).toString("latin1");
  return (
    /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(start)?.[1] ?? "utf-8"
  );
}
