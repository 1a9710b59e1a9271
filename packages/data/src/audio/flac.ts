import createFlac from "libflacjs";
import { type AudioClip, AudioError, type AudioLimits, checkClip } from "./clip.ts";

type Flac = ReturnType<typeof createFlac>;

let loading: Promise<Flac> | undefined;

/** The decoder, started once. Its WebAssembly build fetches itself by URL, which Node cannot do for a path. */
function loadFlac(): Promise<Flac> {
  loading ??= new Promise((resolve) => {
    const flac = createFlac("min");
    if (flac.isReady()) resolve(flac);
    else flac.on("ready", () => resolve(flac));
  });
  return loading;
}

const endOfStream = 4;

/**
 * Decodes a FLAC file of 4 to 24 bits, frame by frame, so that a small file that claims much is stopped in time.
 *
 * @throws AudioError when it is no FLAC file, broken, truncated or over the limit
 */
export async function decodeFlac(bytes: Uint8Array, limits: AudioLimits = {}): Promise<AudioClip> {
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== "fLaC")
    throw new AudioError("not a FLAC file");
  const flac = await loadFlac();
  const decoder = flac.create_libflac_decoder(false);
  if (decoder === 0) throw new AudioError("the FLAC decoder cannot be started");
  const frames: Float32Array[][] = [];
  let at = 0;
  let count = 0;
  let sampleRate = 0;
  let announced = 0;
  let failure: AudioError | undefined;
  const fail = (reason: string): void => {
    failure ??= new AudioError(reason);
  };
  try {
    const status = flac.init_decoder_stream(
      decoder,
      (wanted) => {
        const length = failure ? 0 : Math.min(wanted, bytes.length - at);
        const buffer = bytes.slice(at, at + length);
        at += length;
        return { buffer, readDataLength: length, error: false };
      },
      (channels, info) => {
        if (failure) return;
        if (sampleRate === 0) ({ sampleRate } = info);
        count += info.blocksize * channels.length;
        try {
          checkClip(info.sampleRate, channels.length, count, limits);
          if (info.sampleRate !== sampleRate || channels.length !== (frames[0]?.length ?? channels.length))
            throw new AudioError("sample rate or channels change within the file");
          frames.push(channels.map((channel) => toFloat(channel, info.bitsPerSample, info.blocksize)));
        } catch (error) {
          if (!(error instanceof AudioError)) throw error;
          failure = error;
        }
      },
      (_, description) => fail(`broken FLAC data (${String(description)})`),
      (metadata) => {
        announced = metadata?.total_samples ?? 0;
      },
    );
    if (status !== 0) throw new AudioError("the FLAC decoder cannot be started");
    while (!failure && flac.FLAC__stream_decoder_get_state(decoder) !== endOfStream)
      if (!flac.FLAC__stream_decoder_process_single(decoder)) fail("broken FLAC data");
  } finally {
    flac.FLAC__stream_decoder_finish(decoder);
    flac.FLAC__stream_decoder_delete(decoder);
  }
  if (failure) throw failure;
  const channels = (frames[0] ?? []).map((_, c) => joined(frames.map((frame) => frame[c] as Float32Array)));
  const length = channels[0]?.length ?? 0;
  if (length === 0) throw new AudioError("there is no sound in it");
  if (announced > length)
    throw new AudioError(`truncated: ${announced} samples are announced, ${length} are there`);
  return { sampleRate, channels };
}

/** Little-endian integers; the decoder gives 24 bits in four bytes. */
function toFloat(bytes: Uint8Array, bits: number, samples: number): Float32Array {
  const size = bytes.length / samples;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: samples }, (_, i) => {
    const at = i * size;
    const value =
      size === 4
        ? view.getInt32(at, true)
        : size === 3
          ? (view.getInt8(at + 2) << 16) | view.getUint16(at, true)
          : size === 2
            ? view.getInt16(at, true)
            : view.getInt8(at);
    return value / 2 ** (bits - 1);
  });
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
