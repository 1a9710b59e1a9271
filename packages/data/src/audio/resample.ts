/** Zero crossings of the sinc on either side; shape of the Kaiser window, about 100 dB down; share of the band kept. */
const zeroCrossings = 32;
const kaiserBeta = 10;
const rolloff = 0.94;
/** Filters of all phases are kept when they are not more numbers than this. */
const maxTable = 2 ** 22;

/**
 * A signal at another sample rate, by a windowed sinc: what lies above 0.94 of the lower Nyquist frequency is removed.
 *
 *   y[n] = Σ_k x[k] h(n·from/to − k),   h(t) = c sinc(c t) kaiser(c t / 32),   c = 0.94 min(1, to/from)
 *
 * @param signal  [T]
 * @returns [ceil(T to / from)]
 * @throws RangeError when a rate is not an integer >= 1
 * @source Smith, Digital audio resampling (2002)
 */
export function resample(signal: Float32Array, from: number, to: number): Float32Array {
  for (const rate of [from, to])
    if (!Number.isInteger(rate) || rate < 1)
      throw new RangeError(`resample: rates must be integers >= 1, got ${rate}`);
  if (from === to) return signal;
  const divisor = gcd(from, to);
  const [up, down] = [to / divisor, from / divisor];
  const cutoff = rolloff * Math.min(1, up / down);
  const half = Math.ceil(zeroCrossings / cutoff);
  const taps = 2 * half;
  const phases = new Map<number, Float64Array>();
  const keep = up * taps <= maxTable;
  const filterOf = (phase: number): Float64Array => {
    const known = phases.get(phase);
    if (known) return known;
    // Weights of the samples from half - 1 before the place to half after it.
    const filter = Float64Array.from({ length: taps }, (_, i) => kernel(phase / up + half - 1 - i, cutoff));
    if (keep) phases.set(phase, filter);
    return filter;
  };
  const result = new Float32Array(Math.ceil((signal.length * up) / down));
  for (let n = 0; n < result.length; n++) {
    const place = n * down;
    const filter = filterOf(place % up);
    const first = Math.floor(place / up) - half + 1;
    let sum = 0;
    for (let i = Math.max(0, -first); i < taps && first + i < signal.length; i++)
      sum += (signal[first + i] as number) * (filter[i] as number);
    result[n] = sum;
  }
  return result;
}

function kernel(t: number, cutoff: number): number {
  const x = cutoff * t;
  const inside = 1 - (x / zeroCrossings) ** 2;
  if (inside < 0) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  return (cutoff * sinc * bessel(kaiserBeta * Math.sqrt(inside))) / bessel(kaiserBeta);
}

/** The modified Bessel function of the first kind of order 0, by its power series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-16; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
