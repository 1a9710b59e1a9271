import { type AudioClip, AudioError, type AudioLimits, checkClip } from "./clip.ts";

/** Reads one sample at a byte of the data. */
type SampleReader = (view: DataView, at: number) => number;

const readers: Readonly<Record<string, SampleReader>> = {
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 2 ** 15,
  "1/24": (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 2 ** 23,
  "1/32": (view, at) => view.getInt32(at, true) / 2 ** 31,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
  "6/8": (view, at) => aLaw(view.getUint8(at)),
  "7/8": (view, at) => muLaw(view.getUint8(at)),
};

/** ITU-T G.711, A-law: 13-bit values scaled to 16. */
function aLaw(code: number): number {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = ((bits & 15) << 4) + 8;
  const magnitude = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / 32_768;
}

/** ITU-T G.711, mu-law: 14-bit values scaled to 16. */
function muLaw(code: number): number {
  const bits = ~code;
  const magnitude = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132;
  return (bits & 0x80 ? -magnitude : magnitude) / 32_768;
}

interface Format {
  readonly tag: number;
  readonly channels: number;
  readonly sampleRate: number;
  readonly bits: number;
}

const extensible = 0xfffe;

/**
 * Decodes a WAV file: PCM of 8, 16, 24 and 32 bits, float of 32 and 64, mu-law and A-law, any number of channels.
 *
 * @throws AudioError when it is no WAV file, of another encoding, truncated or over the limit
 */
export function decodeWav(bytes: Uint8Array, limits: AudioLimits = {}): AudioClip {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number): string => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1");
  if (bytes.length < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") throw new AudioError("not a WAV file");
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const chunk = name(at);
    const announced = view.getUint32(at + 4, true);
    const start = at + 8;
    const rest = bytes.length - start;
    if (chunk === "fmt ") format = readFormat(view, start, Math.min(announced, rest));
    else if (chunk === "data") {
      if (!format) throw new AudioError("the sound stands before its description");
      // Programs that write to a pipe cannot know the length.
      const length = announced === 0xffffffff || announced === 0 ? rest : announced;
      if (length > rest)
        throw new AudioError(`truncated: ${length} bytes of sound are announced, ${rest} are there`);
      return readSamples(view, start, length, format, limits);
    }
    at = start + announced + (announced % 2);
  }
  throw new AudioError(format ? "there is no sound in it" : "truncated within its headings");
}

function readFormat(view: DataView, at: number, length: number): Format {
  if (length < 16) throw new AudioError("its description is too short");
  const tag = view.getUint16(at, true);
  return {
    tag: tag === extensible && length >= 26 ? view.getUint16(at + 24, true) : tag,
    channels: view.getUint16(at + 2, true),
    sampleRate: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
}

function readSamples(
  view: DataView,
  start: number,
  length: number,
  { tag, channels, sampleRate, bits }: Format,
  limits: AudioLimits,
): AudioClip {
  const read = readers[`${tag}/${bits}`];
  if (!read)
    throw new AudioError(
      `encoding ${tag} with ${bits} bits; PCM of 8 to 32 bits, float, mu-law and A-law can be read`,
    );
  checkClip(sampleRate, channels, 0, limits);
  const size = bits / 8;
  const frames = Math.floor(length / (size * channels));
  checkClip(sampleRate, channels, frames * channels, limits);
  const result = Array.from({ length: channels }, () => new Float32Array(frames));
  result.forEach((channel, c) => {
    for (let i = 0; i < frames; i++) channel[i] = read(view, start + (i * channels + c) * size);
  });
  return { sampleRate, channels: result };
}
